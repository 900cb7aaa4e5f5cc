/**
 * The files that a package puts on a host, as a directory: binary, units, manual, completions,
 * documents, a sample of the settings. Times are all the same (epoch), so that the same sources
 * give the same package.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from './fail.ts'
import { manualPage } from './manual.ts'

export interface TreeOptions {
  readonly checkout: string
  /** Of the target. */
  readonly binary: string
  readonly version: string
  /** Unix seconds. */
  readonly epoch: number
}

/** Read by the service's user and run by it, by nobody else; see docs/install.md. */
const BINARY_MODE = 0o750

export async function makeTree(directory: string, options: TreeOptions): Promise<void> {
  const { checkout, binary, version, epoch } = options
  rmSync(directory, { recursive: true, force: true })
  const put = (path: string, content: string | Uint8Array, mode = 0o644) => {
    const target = join(directory, path)
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 })
    writeFileSync(target, content)
    chmodSync(target, mode)
  }
  const source = (path: string) => readFileSync(join(checkout, path))
  put('usr/bin/agent', '')
  copyFileSync(binary, join(directory, 'usr/bin/agent'))
  chmodSync(join(directory, 'usr/bin/agent'), BINARY_MODE)
  put('usr/lib/systemd/system/callsign.service', source('packaging/callsign.service'))
  put('etc/callsign/agent.toml', source('packaging/agent.toml'))
  const date = new Date(epoch * 1000).toISOString().slice(0, 10)
  put('usr/share/man/man1/agent.1.gz', gzip(await manualPage(version, date), 9))
  for (const [shell, path] of Object.entries(COMPLETIONS))
    put(path, run([process.execPath, 'src/cli.ts', 'completion', shell], { cwd: checkout }))
  put('usr/share/doc/callsign/README.md', source('README.md'))
  put('usr/share/doc/callsign/changelog.gz', gzip(source('CHANGELOG.md'), 9))
  put('usr/share/doc/callsign/copyright', copyright(source('LICENSE').toString()))
  setTimes(directory, epoch)
}

const COMPLETIONS = {
  bash: 'usr/share/bash-completion/completions/agent',
  zsh: 'usr/share/zsh/vendor-completions/_agent',
  fish: 'usr/share/fish/vendor_completions.d/agent.fish',
} as const

/** Without the time of packing, which gzip would write into its head. */
export function gzip(content: string | Uint8Array, level: 6 | 9 = 6): Uint8Array {
  return Bun.gzipSync(
    typeof content === 'string' ? new TextEncoder().encode(content) : Buffer.from(content),
    {
      level,
    },
  )
}

/** Machine-readable form of Debian's policy; harmless elsewhere. */
function copyright(license: string): string {
  const [, , holders = '', , ...body] = license.split('\n')
  const text = body.map((line) => (line === '' ? ' .' : ` ${line}`)).join('\n')
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: callsign

Files: *
Copyright: ${holders.replace(/^Copyright \(c\) /, '')}
License: Expat

License: Expat
${text.replace(/( \.\n?)+$/, '')}
`
}

export function setTimes(directory: string, epoch: number): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    utimesSync(join(entry.parentPath, entry.name), epoch, epoch)
  utimesSync(directory, epoch, epoch)
}
