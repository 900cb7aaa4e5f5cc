/**
 * What a process writes: files that it was seen to have open for writing, and whether they are
 * unreadable once it is through with them.
 *
 * Who works in a directory beside an encryptor has the same unreadable files before it; what tells
 * the two apart is what each of them writes. A file is kept open here from the first sight, so
 * neither a new name nor its removal hides what it became. Bounded by WRITTEN_FILES_MAX.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { WRITTEN_FILES_MAX } from '../domain/limits.ts'
import { type Content, contentOf, is7z, isEven, isLocked7z } from './entropy.ts'
import { procText, readAt } from './proc-files.ts'

const BLOCK_BYTES = 4_096
const END_BYTES = 256
/** A file shorter than this has no middle apart from its head. */
const MIDDLE_FROM_BYTES = 16 * BLOCK_BYTES

/** What a file holds, at its beginning and in its middle: some encrypt the middle alone. */
export interface Texture {
  readonly head: Content
  readonly isMiddleEven: boolean
}

export function textureOf(descriptor: number, size: number): Texture {
  const middle =
    size < MIDDLE_FROM_BYTES
      ? undefined
      : readAt(descriptor, Math.floor(size / 2 / BLOCK_BYTES) * BLOCK_BYTES, BLOCK_BYTES)
  const beginning = readAt(descriptor, 0, BLOCK_BYTES)
  const end = () => readAt(descriptor, Math.max(0, size - END_BYTES), END_BYTES)
  return {
    head: is7z(beginning) && isLocked7z(end()) ? 'cipher' : contentOf(beginning),
    isMiddleEven: middle !== undefined && isEven(middle),
  }
}

export class WrittenFiles {
  /** Ours, by inode; undefined once it was looked into. */
  readonly #files = new Map<number, number | undefined>()
  #written = 0
  #unreadable = 0

  /** Files that it is through with and that could be looked into. */
  get written(): number {
    return this.#written
  }

  /** Of those, the ones without a known format or anything readable. */
  get unreadable(): number {
    return this.#unreadable
  }

  get isFull(): boolean {
    return this.#files.size >= WRITTEN_FILES_MAX
  }

  /** @returns the file's inode if the process has it open for writing */
  see(pid: number, descriptor: number): number | undefined {
    if (!isForWriting(pid, descriptor)) return undefined
    const link = `/proc/${pid}/fd/${descriptor}`
    try {
      const stat = statSync(link)
      if (!stat.isFile()) return undefined
      if (!this.#files.has(stat.ino) && !this.isFull) {
        const ours = openSync(link, constants.O_RDONLY | constants.O_NONBLOCK)
        this.#files.set(fstatSync(ours).ino, ours)
      }
      return stat.ino
    } catch {
      return undefined
    }
  }

  /** Looks into those that are open no longer. @param open inodes that are still written to */
  settle(open: ReadonlySet<number>): void {
    for (const [inode, ours] of this.#files) {
      if (ours === undefined || open.has(inode)) continue
      this.#look(ours)
      closeSync(ours)
      this.#files.set(inode, undefined)
    }
  }

  close(): void {
    for (const ours of this.#files.values()) if (ours !== undefined) closeSync(ours)
    this.#files.clear()
  }

  #look(descriptor: number): void {
    try {
      const { head, isMiddleEven } = textureOf(descriptor, fstatSync(descriptor).size)
      if (head === 'short') return
      this.#written++
      if (head === 'cipher' || (head === 'plain' && isMiddleEven)) this.#unreadable++
    } catch {
      // A disk that fails: nothing is known of this file.
    }
  }
}

function isForWriting(pid: number, descriptor: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(procText(pid, `fdinfo/${descriptor}`, 1024) ?? '')?.[1]
  return (Number.parseInt(flags ?? '0', 8) & (constants.O_WRONLY | constants.O_RDWR)) !== 0
}
