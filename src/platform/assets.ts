/**
 * Files shipped with the agent (default model, demo recordings), by their path in the checkout. Run
 * from source they are read from the checkout, in the compiled binary from the binary; nothing is
 * unpacked to disk.
 */
import { readFileSync } from 'node:fs'
import { AgentError } from '../domain/error.ts'
import { assets } from './embedded.ts'

/** Names below a folder (`models/default/`), ascending. */
export function assetNames(folder: string): string[] {
  return [...assets.keys()].filter((name) => name.startsWith(folder)).sort()
}

/** A path that this process (and no other) can read; do not pass it to a child. */
export function assetPath(name: string): string {
  const path = assets.get(name)
  if (path === undefined)
    throw new AgentError('ERR_FAILED', `Cannot open "${name}": this build does not contain it`, {
      hint: 'Install a released build, or build from a complete checkout',
    })
  return path
}

export function hasAsset(name: string): boolean {
  return assets.has(name)
}

export function readAsset(name: string): Uint8Array {
  return readFileSync(assetPath(name))
}
