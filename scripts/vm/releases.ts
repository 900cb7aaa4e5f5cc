/**
 * Three signed releases of the built agent, for the life of a service: an older one, the one that
 * is installed first, and a newer one. They differ in their versions alone.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './programs.ts'

const VERSIONS = { 'release-0': '0.0.1', 'release-1': '0.1.0', 'release-2': '0.1.1' } as const

/** Made once for a binary. @returns their directories */
export async function makeReleases(
  binary: string,
  checkout: string,
  directory: string,
): Promise<string[]> {
  const releases = Object.keys(VERSIONS).map((name) => join(directory, name))
  const stamp = join(directory, 'made-of')
  const { size, mtimeMs } = statSync(binary)
  const sources = ['install.sh', 'packaging/callsign.service'].map((name) =>
    Bun.hash(readFileSync(join(checkout, name))).toString(16),
  )
  const made = `${[binary, size, mtimeMs, ...sources].join(' ')}\n`
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return releases
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const key = join(directory, 'key.pem')
  await run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', key])
  for (const [name, version] of Object.entries(VERSIONS)) {
    const script = join(checkout, 'scripts/release.ts')
    const words = [
      '--out',
      join(directory, name),
      '--targets',
      'linux-x64',
      '--formats=',
      '--binary',
      binary,
    ]
    await run([process.execPath, script, ...words, '--version', version], { RELEASE_KEY_FILE: key })
  }
  rmSync(key)
  writeFileSync(stamp, made)
  return releases
}
