/** Recorded fixtures, unpacked. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

/** Full path of a file below test/fixtures. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

export function fixture(name: string): Uint8Array {
  const bytes = readFileSync(fixturePath(name))
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes
}
