/**
 * A file system of a few hundred kilobytes: what "the disk is full" and "read-only" really do.
 * Needs root; `canMount` says why a test is skipped otherwise.
 */
import { afterAll } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Takes all the space that is left. */
  fill(): void
  /** Gives it back. */
  free(): void
  remount(option: 'ro' | 'rw'): void
}

export const canMount: boolean = (() => {
  const path = mkdtempSync(join(tmpdir(), 'callsign-mount-'))
  const mounted =
    process.geteuid?.() === 0 &&
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path]).status === 0
  if (mounted) spawnSync('umount', ['--lazy', path])
  rmdirSync(path)
  return mounted
})()

export function smallDisks(): (kilobytes: number) => SmallDisk {
  const mounted: string[] = []
  afterAll(() => {
    for (const path of mounted) {
      spawnSync('umount', ['--lazy', path])
      rmdirSync(path)
    }
  })
  return (kilobytes) => {
    const path = mkdtempSync(join(tmpdir(), 'callsign-disk-'))
    const { status, stderr } = spawnSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${kilobytes}k`,
      'tmpfs',
      path,
    ])
    if (status !== 0) throw new Error(`Cannot mount a tmpfs: ${stderr}`)
    mounted.push(path)
    const ballast = join(path, 'ballast')
    return {
      path,
      fill() {
        for (let bytes = 1 << 20, n = 0; bytes >= 4096; n++) {
          try {
            writeFileSync(`${ballast}-${n}`, new Uint8Array(bytes))
          } catch {
            bytes /= 2
          }
        }
      },
      free() {
        for (let n = 0; n < 256; n++) rmSync(`${ballast}-${n}`, { force: true })
      },
      remount(option) {
        spawnSync('mount', ['-o', `remount,${option}`, path])
      },
    }
  }
}
