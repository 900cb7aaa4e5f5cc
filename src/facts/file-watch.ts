/**
 * Watches for some seconds what a process does to files: where it works is seen from its
 * descriptors, its children's and its working directory, and the files there are looked into again
 * and again (file-changes.ts says what became of them). An encryptor has each file open for a
 * moment only, so directories are watched, not descriptors.
 *
 * Bounded in directories, files, bytes and time; a few milliseconds a look. Regular files on local
 * file systems only, reached through descriptors of their directories: no link and no rename leads
 * elsewhere. Files that are known as secrets (domain/secrets.ts) are not opened; of those that come
 * into being meanwhile the first few only, for a host has few and an encryptor names its files as it
 * likes.
 */
import { closeSync, constants, lstatSync, openSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  FILE_WATCH_LONG_MS,
  FILE_WATCH_MS,
  FOLDER_ENTRIES_MAX,
  WATCHED_FILES_PER_FOLDER_MAX,
  WATCHED_FOLDERS_MAX,
} from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { FileChanges } from '../domain/process-facts.ts'
import { FileLedger, type FileState, isPrivate } from './file-changes.ts'
import { Pace } from './pace.ts'
import {
  descriptorsOf,
  entriesOf,
  isLocalPath,
  procLink,
  procStat,
  withFile,
} from './proc-files.ts'
import { toolsOf, uptimeMs } from './tools.ts'
import { textureOf, WrittenFiles } from './written-files.ts'

/** Uneven: who encrypts and decrypts in turns must not meet us in step. */
const LOOKS_MS = [400, 1_100, 1_900, 3_100, 4_300, FILE_WATCH_MS] as const
/** And where something was found and not enough, of who takes its time. */
const LATE_LOOKS_MS = [8_000, 10_000, 12_000, FILE_WATCH_LONG_MS] as const
/** Between two looks at the descriptors. */
const SAMPLE_EVERY_MS = 100
/** Until enough is known of what it writes itself: files are open for a moment only. */
const SAMPLE_OFTEN_MS = 25
const ENOUGH_WRITTEN = 4
/** Directories and files changed in the last of these count as being worked on. */
const RECENT_MS = 20_000
/** So many encrypted files leave nothing to be waited for. */
const ENOUGH = 6
/** And after so long many files that are as they were. */
const ORDINARY_MS = 3_100
const NEIGHBOURS = 5
/** New files that are named like secrets and may be some. */
const NEW_SECRETS = 3
/** Files that come next after one that was replaced, and how many of them in all. */
const NEXT_FILES = 5
const NEXT_FILES_MOST = 100
const NOT_WATCHED = /^\/(proc|sys|dev|run)(\/|$)/

/** Of all watches together. */
export const pace = new Pace()

interface Folder {
  readonly path: string
  readonly descriptor: number
  /** What was there at first, as the directory lists it, and sorted. */
  orders: readonly (readonly string[])[]
  /** Newcomers that were looked into. */
  readonly seen: Set<string>
}

/**
 * @param untilMs Unix ms: what was changed later is not its work, for it had ended by then
 */
export async function watchFiles(
  pid: number,
  untilMs = Number.POSITIVE_INFINITY,
): Promise<FileChanges> {
  const watch = new FileWatch(pid, untilMs)
  try {
    return await watch.run()
  } finally {
    watch.close()
  }
}

class FileWatch {
  readonly #pid: number
  /** What was changed later is not its work. */
  #untilMs: number
  readonly #bornMs: number | undefined
  readonly #ledger = new FileLedger()
  readonly #written = new WrittenFiles()
  readonly #folders = new Map<string, Folder>()
  readonly #startedMs = Date.now()
  /** New files that are named like secrets. */
  readonly #newSecrets = new Set<string>()
  #nextFiles = 0
  /** Unix ms of its start; what is older was there before it. */
  readonly #beganMs: number

  constructor(pid: number, untilMs: number) {
    this.#pid = pid
    this.#untilMs = untilMs
    this.#bornMs = procStat(pid)?.startMs
    this.#beganMs = this.#startedMs - uptimeMs() + (this.#bornMs ?? 0)
  }

  async run(): Promise<FileChanges> {
    this.#addWorkingDirectory()
    if (Number.isFinite(this.#untilMs)) return this.#result()
    const began = performance.now()
    for (const lookMs of [...LOOKS_MS, ...LATE_LOOKS_MS]) {
      while (performance.now() - began < lookMs && this.#isAlive()) {
        this.#sampleAll()
        const isEnough = this.#written.written >= ENOUGH_WRITTEN || lookMs > FILE_WATCH_MS
        await Bun.sleep(pace.wait(isEnough ? SAMPLE_EVERY_MS : SAMPLE_OFTEN_MS))
      }
      for (const folder of this.#folders.values()) this.#lookAgain(folder)
      if (Number.isFinite(this.#untilMs)) break
      const { encrypted, replaced, sampled } = this.#ledger.result()
      const isSettled = this.#written.written >= ENOUGH_WRITTEN || lookMs >= ORDINARY_MS
      if (encrypted >= ENOUGH && isSettled) break
      if (lookMs >= ORDINARY_MS && sampled >= 2 * ENOUGH && encrypted + replaced === 0) break
      const found = encrypted + replaced
      if (lookMs >= FILE_WATCH_MS && (found === 0 || found >= ENOUGH)) break
    }
    return this.#result()
  }

  close(): void {
    for (const { descriptor } of this.#folders.values()) closeSync(descriptor)
    this.#written.close()
  }

  /** Once it has ended, nothing that happens from then on is its work. */
  #isAlive(): boolean {
    if (procStat(this.#pid)?.startMs === this.#bornMs) return true
    this.#untilMs = Math.min(this.#untilMs, Date.now())
    return false
  }

  #result(): FileChanges {
    this.#written.settle(new Set())
    const { written, unreadable } = this.#written
    return { ...this.#ledger.result(), written, unreadable }
  }

  /** The directory and those below it in which something happens. */
  #addWorkingDirectory(): void {
    const path = procLink(this.#pid, 'cwd')
    if (path === undefined || path === '/') return
    this.#ledger.workingDirectory = `${path}/`
    const folder = this.#add(path, `/proc/${this.#pid}/cwd`)
    if (folder === undefined) return
    for (const name of subfolders(folder, true)) this.#addBelow(folder, name)
  }

  #addBelow(folder: Folder, name: string): Folder | undefined {
    return this.#add(`${folder.path}/${name}`, `/proc/self/fd/${folder.descriptor}/${name}`)
  }

  #sampleAll(): void {
    const open = new Set<number>()
    for (const pid of [this.#pid, ...toolsOf(this.#pid)]) this.#sample(pid, open)
    this.#written.settle(open)
  }

  /** @param open gathers the inodes that are written to */
  #sample(pid: number, open: Set<number>): void {
    for (const [descriptor, link] of descriptorsOf(pid)) {
      if (!link.startsWith('/') || NOT_WATCHED.test(link)) continue
      const path = link.replace(/ \(deleted\)$/, '')
      if (
        this.#folders.has(dirname(path)) &&
        this.#mayOpen(path, `/proc/${pid}/fd/${descriptor}`)
      ) {
        const inode = this.#written.see(pid, descriptor)
        if (inode !== undefined) open.add(inode)
      }
      if (this.#folders.size >= WATCHED_FOLDERS_MAX) continue
      if (this.#folders.has(path) || this.#folders.has(dirname(path))) continue
      if (!isLocalPath(pid, path)) continue
      // A descriptor of a directory tells where it works; that of a file, too, a part shorter.
      const at =
        this.#add(path, `/proc/${pid}/root${path}`) ??
        this.#add(dirname(path), `/proc/${pid}/root${dirname(path)}`)
      if (at !== undefined) this.#addNeighbours(pid, at)
    }
  }

  /** Where it may come to next: seen before it is there, it tells what was. */
  #addNeighbours(pid: number, folder: Folder): void {
    this.#addSome(folder, folder.path)
    const above = dirname(folder.path)
    if (above === '/' || this.#folders.has(above)) return
    const parent = openFolder(above, `/proc/${pid}/root${above}`)
    if (parent === undefined) return
    try {
      this.#addSome(parent, above)
    } finally {
      closeSync(parent.descriptor)
    }
  }

  #addSome(folder: Folder, path: string): void {
    const others = subfolders(folder, false).filter((name) => !this.#folders.has(`${path}/${name}`))
    for (const name of others.slice(0, NEIGHBOURS)) this.#addBelow(folder, name)
  }

  #add(path: string, via: string): Folder | undefined {
    if (this.#folders.has(path) || this.#folders.size >= WATCHED_FOLDERS_MAX) return undefined
    if (NOT_WATCHED.test(path) || path === '/' || !isLocalPath(this.#pid, path)) return undefined
    const folder = openFolder(path, via)
    if (folder === undefined) return undefined
    this.#folders.set(path, folder)
    const names = entriesOf(`/proc/self/fd/${folder.descriptor}`, FOLDER_ENTRIES_MAX)
    folder.orders = [names, [...names].sort()]
    // Evenly over the whole: who works through a directory comes to them one after the other.
    const step = Math.max(1, Math.floor(names.length / WATCHED_FILES_PER_FOLDER_MAX))
    const here = new Set(names)
    let seen = 0
    for (let i = 0; i < names.length && seen < WATCHED_FILES_PER_FOLDER_MAX; i += step) {
      const state = this.#stateOf(folder, names[i]!)
      if (state === undefined || state.changedMs > this.#untilMs) continue
      seen++
      this.#ledger.see(`${path}/${names[i]}`, state, state.changedMs < this.#beganMs)
      if (state.changedMs > this.#startedMs - RECENT_MS)
        this.#seeNew(folder, names[i]!, state, here)
    }
    return folder
  }

  #lookAgain(folder: Folder): void {
    const names = entriesOf(`/proc/self/fd/${folder.descriptor}`, FOLDER_ENTRIES_MAX)
    const here = new Set(names)
    const unknown = names.filter((name) => !this.#ledger.knows(`${folder.path}/${name}`))
    for (const path of this.#ledger.pathsIn(folder.path)) {
      const name = path.slice(folder.path.length + 1)
      if (here.has(name)) {
        const state = this.#stateOf(folder, name, this.#ledger.versionOf(path))
        if (state !== undefined && state.changedMs <= this.#untilMs) this.#ledger.see(path, state)
        continue
      }
      const successor =
        unknown.find((other) => other.startsWith(`${name}.`)) ??
        unknown.find((other) => name.includes('.') && other.startsWith(name)) ??
        unknown.find((other) => other.startsWith(`${stem(name)}.`))
      const state = successor === undefined ? undefined : this.#stateOf(folder, successor)
      if (successor === undefined) this.#ledger.seeGone(path)
      if (state !== undefined && state.changedMs <= this.#untilMs)
        this.#ledger.seeSuccessor(path, state)
    }
    let looked = 0
    for (const name of inTurn(folder, unknown)) {
      if (looked >= WATCHED_FILES_PER_FOLDER_MAX) break
      const state = this.#stateOf(folder, name)
      if (state === undefined || state.changedMs < this.#startedMs - RECENT_MS) continue
      if (state.changedMs > this.#untilMs) continue
      looked++
      folder.seen.add(name)
      // What was there when we came, and is as readable as ever, is what may yet become of it.
      if (folder.orders[0]?.includes(name) === true && state.head !== 'cipher')
        this.#ledger.see(`${folder.path}/${name}`, state, state.changedMs < this.#beganMs)
      else this.#seeNew(folder, name, state, here)
    }
  }

  /** @param via how to reach the file */
  #mayOpen(path: string, via: string): boolean {
    if (!isPrivate(path)) return true
    if (this.#newSecrets.has(path)) return this.#newSecrets.size > NEW_SECRETS
    // The time of birth cannot be set; where the file system keeps none it is 0.
    const bornMs = statSync(via, { throwIfNoEntry: false })?.birthtimeMs ?? 0
    if (bornMs < this.#startedMs || this.#newSecrets.size >= WATCHED_FILES_PER_FOLDER_MAX)
      return false
    this.#newSecrets.add(path)
    return this.#newSecrets.size > NEW_SECRETS
  }

  /** @param known the version that need not be read again */
  #stateOf(folder: Folder, name: string, known?: string): SeenState | undefined {
    const via = `/proc/self/fd/${folder.descriptor}/${name}`
    return this.#mayOpen(`${folder.path}/${name}`, via) ? stateOf(folder, name, known) : undefined
  }

  #seeNew(folder: Folder, name: string, state: FileState, here: ReadonlySet<string>): void {
    const before = name.slice(0, name.lastIndexOf('.'))
    const isAlone = !here.has(before)
    this.#ledger.seeNew(`${folder.path}/${name}`, state, isAlone)
    if (isAlone) this.#seeNext(folder, before)
  }

  /** One after the other: who works through a directory comes to these soon. */
  #seeNext(folder: Folder, name: string): void {
    for (const order of folder.orders) {
      const at = order.indexOf(name)
      if (at < 0) continue
      for (const next of order.slice(at + 1, at + 1 + NEXT_FILES)) {
        if (this.#nextFiles >= NEXT_FILES_MOST) return
        if (this.#ledger.knows(`${folder.path}/${next}`)) continue
        const state = this.#stateOf(folder, next)
        if (state === undefined || state.changedMs > this.#untilMs) continue
        this.#nextFiles++
        this.#ledger.see(`${folder.path}/${next}`, state, state.changedMs < this.#beganMs)
      }
    }
  }
}

/**
 * Newcomers before what was only left out of the sample, and those not seen yet before the others: in a
 * directory of files that were all made a moment ago, the few that came since must not wait.
 */
function inTurn({ orders, seen }: Folder, names: readonly string[]): string[] {
  const first = new Set(orders[0])
  const rank = (name: string) => (seen.has(name) ? 2 : 0) + (first.has(name) ? 1 : 0)
  return [...names].sort((a, b) => rank(a) - rank(b))
}

function stem(name: string): string {
  return name.replace(/\.[^.]*$/, '')
}

/** @param via how to reach it: through a link that the kernel made */
function openFolder(path: string, via: string): Folder | undefined {
  try {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK
    return { path: safeName(path), descriptor: openSync(via, flags), orders: [], seen: new Set() }
  } catch {
    return undefined
  }
}

/**
 * Folders within a folder: all, or those in which something was made, renamed or removed just now.
 */
function subfolders(folder: Folder, onlyBusy: boolean): string[] {
  const since = Date.now() - RECENT_MS
  const names: string[] = []
  for (const name of entriesOf(`/proc/self/fd/${folder.descriptor}`, FOLDER_ENTRIES_MAX)) {
    const stat = lstatIn(folder, name)
    if (stat?.isDirectory() === true && (!onlyBusy || stat.mtimeMs >= since)) names.push(name)
  }
  return names
}

function lstatIn({ descriptor }: Folder, name: string): Stats | undefined {
  try {
    return lstatSync(`/proc/self/fd/${descriptor}/${name}`)
  } catch {
    return undefined
  }
}

interface SeenState extends FileState {
  readonly changedMs: number
}

function stateOf(folder: Folder, name: string, known?: string): SeenState | undefined {
  const at = lstatIn(folder, name)
  if (at?.isFile() !== true) return undefined
  if (versionOf(at) === known) return undefined
  return withFile(`/proc/self/fd/${folder.descriptor}/${name}`, (file, stat) => ({
    version: versionOf(stat),
    ...textureOf(file, stat.size),
    changedMs: stat.ctimeMs,
  }))
}

/** ctime instead of mtime, because a process cannot set it. */
function versionOf({ ino, ctimeMs, size }: Stats): string {
  return `${ino} ${ctimeMs} ${size}`
}
