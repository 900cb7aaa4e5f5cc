/** Archives with names in order, one owner and one time: the same tree gives the same bytes. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './fail.ts'
import { gzip } from './tree.ts'

/** @param prefix put before each name, such as "callsign-1.2.3/" */
export function tarOf(directory: string, epoch: number, prefix = ''): Uint8Array {
  return run([
    ...['tar', '--create', '--format=posix', '--sort=name', `--mtime=@${epoch}`],
    ...[
      '--owner=root:0',
      '--group=root:0',
      '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    ],
    ...(prefix === '' ? [] : [`--transform=flags=r;s|^|${prefix}|`]),
    ...['--directory', directory, ...readdirSync(directory).sort()],
  ])
}

/** As .tar.gz and .tar.zst. */
export function makeArchives(tree: string, name: string, epoch: number, out: string): void {
  const tar = tarOf(tree, epoch, `${name}/`)
  writeFileSync(join(out, `${name}.tar.gz`), gzip(tar))
  writeFileSync(join(out, `${name}.tar.zst`), Bun.zstdCompressSync(Buffer.from(tar), { level: 12 }))
}
