/**
 * A release of a small program in place of the binary: packages differ from the real ones in size
 * only.
 */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from './agent-binary.ts'

const checkout = join(import.meta.dir, '../..')

export const has = (tool: string): boolean => Bun.which(tool) !== null

export interface ReleaseOptions {
  /** For the key and the program; the same folder, the same key. */
  readonly folder: string
  readonly out: string
  readonly formats: readonly string[]
  readonly version?: string
}

export async function makeRelease({
  folder,
  out,
  formats,
  version = '0.1.0',
}: ReleaseOptions): Promise<void> {
  const key = join(folder, 'key.pem')
  if (!existsSync(key)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  }
  const program = join(folder, `program-${version}`)
  writeFileSync(program, `#!/bin/sh\necho "agent ${version} (small)"\n`, { mode: 0o755 })
  const { code, stderr } = await runProgram(
    [
      ...[process.execPath, 'scripts/release.ts', '--out', out, '--version', version],
      ...['--targets', 'linux-x64', '--binary', program, '--formats', formats.join(',')],
    ],
    {
      cwd: checkout,
      env: { RELEASE_KEY_FILE: key, SOURCE_DATE_EPOCH: '1790000000', HOME: folder },
      limitMs: 280_000,
    },
  )
  if (code !== 0) throw new Error(stderr)
}
