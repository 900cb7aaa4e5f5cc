/** A Debian package by dpkg-deb: the tree, control files and maintainer scripts (packaging/deb). */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from './fail.ts'
import { gzip, setTimes } from './tree.ts'

export interface PackageOptions {
  readonly checkout: string
  /** From makeTree; a format may add its own files. */
  readonly tree: string
  readonly version: string
  readonly arch: 'x64' | 'arm64'
  readonly epoch: number
  readonly out: string
}

/** Written into packages, where each format wants one. */
export const MAINTAINER = 'Callsign maintainers <maintainers@callsign.invalid>'
export const SUMMARY = 'recognises programs by their system calls'
export const DESCRIPTION = `Counts the system calls of each process in the kernel, tells from them
which program a process really is, and raises alerts about processes that
do not match their names. Everything runs on the host; only alerts and a
summary a minute leave it, where a broker is set.`

/** @returns path of the package */
export function makeDeb({ checkout, tree, version, arch, epoch, out }: PackageOptions): string {
  const doc = join(tree, 'usr/share/doc/callsign')
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  const entry = `callsign (${version}) unstable; urgency=medium

  * Release ${version}; what changed for users is in changelog.gz.

 -- ${MAINTAINER}  ${date}
`
  writeFileSync(join(doc, 'changelog.Debian.gz'), gzip(entry, 9))
  const overrides = join(tree, 'usr/share/lintian/overrides')
  mkdirSync(overrides, { recursive: true, mode: 0o755 })
  copyFileSync(join(checkout, 'packaging/deb/lintian-overrides'), join(overrides, 'callsign'))
  const files = filesOf(tree)
  const size = files.reduce((sum, path) => sum + Bun.file(join(tree, path)).size, 0)
  const control = join(tree, 'DEBIAN')
  mkdirSync(control, { mode: 0o755 })
  writeFileSync(
    join(control, 'control'),
    `Package: callsign
Version: ${version}
Section: admin
Priority: optional
Architecture: ${arch === 'x64' ? 'amd64' : 'arm64'}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(size / 1024)}
Depends: libc6 (>= 2.27), libgcc-s1 | libgcc1, libstdc++6 (>= 9), adduser
Suggests: sysdig, xz-utils
Description: ${SUMMARY}
 ${DESCRIPTION.replaceAll('\n', '\n ')}
`,
  )
  writeFileSync(join(control, 'conffiles'), '/etc/callsign/agent.toml\n')
  const sum = (path: string) =>
    new Bun.CryptoHasher('md5').update(readFileSync(join(tree, path))).digest('hex')
  const sums = files.filter((path) => !path.startsWith('etc/'))
  writeFileSync(join(control, 'md5sums'), sums.map((path) => `${sum(path)}  ${path}\n`).join(''))
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(join(checkout, 'packaging/deb', script), join(control, script))
    chmodSync(join(control, script), 0o755)
  }
  for (const name of ['control', 'conffiles', 'md5sums']) chmodSync(join(control, name), 0o644)
  chmodSync(join(overrides, 'callsign'), 0o644)
  setTimes(tree, epoch)
  const target = join(out, `callsign_${version}_${arch === 'x64' ? 'amd64' : 'arm64'}.deb`)
  // xz: Debian 11 knows no zstd in packages. What is large in it is packed already.
  run(['dpkg-deb', '--root-owner-group', '-Zxz', '-z2', '--build', tree, target], {
    env: { SOURCE_DATE_EPOCH: String(epoch) },
  })
  return target
}

function filesOf(tree: string): string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1))
    .sort()
}
