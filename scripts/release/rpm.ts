/** An RPM package by rpmbuild from the tree (packaging/rpm/callsign.spec). */
import { copyFileSync, cpSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DESCRIPTION, type PackageOptions } from './deb.ts'
import { run } from './fail.ts'
import { setTimes } from './tree.ts'

/** @returns path of the package */
export function makeRpm({ checkout, tree, version, arch, epoch, out }: PackageOptions): string {
  const machine = arch === 'x64' ? 'x86_64' : 'aarch64'
  const work = `${tree}.rpm`
  const files = join(work, 'tree')
  cpSync(tree, files, { recursive: true, preserveTimestamps: true })
  mkdirSync(join(files, 'usr/share/zsh/site-functions'), { recursive: true })
  renameSync(
    join(files, 'usr/share/zsh/vendor-completions/_agent'),
    join(files, 'usr/share/zsh/site-functions/_agent'),
  )
  rmSync(join(files, 'usr/share/zsh/vendor-completions'), { recursive: true })
  rmSync(join(files, 'usr/share/doc/callsign/copyright'))
  const license = join(files, 'usr/share/licenses/callsign/LICENSE')
  mkdirSync(dirname(license), { recursive: true })
  copyFileSync(join(checkout, 'LICENSE'), license)
  setTimes(files, epoch)
  const macros: Record<string, string> = {
    _topdir: join(work, 'top'),
    _rpmdir: out,
    _rpmfilename: '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    callsign_version: version.replaceAll('-', '~'),
    callsign_tree: files,
    callsign_description: DESCRIPTION,
    // The same sources give the same package, on whichever machine.
    _buildhost: 'localhost',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    build_mtime_policy: 'clamp_to_source_date_epoch',
  }
  const defines = Object.entries(macros).flatMap(([name, value]) => [
    '--define',
    `${name} ${value}`,
  ])
  run(
    [
      ...['rpmbuild', '-bb', '--target', machine, '--noclean', ...defines],
      join(checkout, 'packaging/rpm/callsign.spec'),
    ],
    { env: { SOURCE_DATE_EPOCH: String(epoch), HOME: work } },
  )
  rmSync(work, { recursive: true })
  return join(out, `callsign-${version.replaceAll('-', '~')}-1.${machine}.rpm`)
}
