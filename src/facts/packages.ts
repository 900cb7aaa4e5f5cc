/**
 * Whether a program is what a package installed: by the package database of the process's own root,
 * and by the content of its executable. dpkg, apk and rpm are asked (package-database.ts); where
 * there is another database or none, nothing is known, which is no evidence of anything.
 *
 * A container with its own root has its own database, too. Not promised: that a verified program
 * runs only its own code. A library put before it by LD_PRELOAD, or code written into its memory,
 * changes no file.
 */
import { dirname } from 'node:path'
import { defined } from '../domain/defined.ts'
import {
  HASHED_BYTES_MAX,
  HASHED_BYTES_PER_SECOND,
  HASHES_KEPT_MAX,
  PACKAGE_FILES_KEPT_MAX,
} from '../domain/limits.ts'
import type { Executable, Look, PackageState, Program } from '../domain/process-facts.ts'
import { placeOf } from './look.ts'
import {
  type Algorithm,
  type Database,
  databasesOf,
  filesOf,
  type Index,
  readIndex,
} from './package-database.ts'
import { listsWithContent, listsWithPath, type PackageFile, plainPath } from './package-lists.ts'
import {
  isLocalPath,
  localPathIn,
  procText,
  readAt,
  statOf,
  withFile,
  withRoot,
} from './proc-files.ts'

const WORTHLESS_KEPT = 256
const DPKG_AT_WORK = '/var/lib/dpkg/tmp.ci'
const CHUNK_BYTES = 262_144
const chunkBuffer = new Uint8Array(CHUNK_BYTES)
const COMM_CHARS = 15
/**
 * Of the reader's time so much at most goes into reading databases: more roots than are kept would
 * be read over and over.
 */
const READING_SHARE = 0.01
/** Programs in squashed images that snapd verifies: no package of dpkg, and no stranger. */
const IMAGES = /^\/(snap|nix\/store|gnu\/store)\//

/** A program's own file is among the first of its mappings. */
const MAPS_HEAD_BYTES = 4_096

/** Under its name, by the path that it was executed by. */
interface GoneChild {
  readonly name: string
  readonly path: string
}

const NOTHING_KNOWN: Program = { state: 'unknown', isAlias: false }

export class Packages {
  /** By the database's file or directory, the one asked longest ago first. */
  readonly #indexes = new Map<string, Index>()
  readonly #hashes = new Map<string, string>()
  /** What was found of an executable, by its file, its name and the state of the database. */
  readonly #programs = new Map<string, Program>()
  /** Stamps of databases with too few packages for a whole root. */
  readonly #worthless = new Set<string>()
  /** When (monotonic ms) the next database may be read. */
  #readAgainMs = 0
  /** Until when (monotonic ms) the bytes hashed so far are paid for. */
  #paidUntilMs = 0

  async program(pid: number, look: Look): Promise<Program> {
    return (await withRoot(pid, (root) => this.#programIn(root, pid, look))) ?? NOTHING_KNOWN
  }

  async #programIn(root: string, pid: number, look: Look): Promise<Program> {
    const { executable } = look
    if (executable === undefined) return NOTHING_KNOWN
    const database = this.#databaseOf(pid, root)
    const key = this.#keyOf(pid, look, database)
    const known = key === undefined ? undefined : this.#programs.get(key)
    if (known !== undefined) return known
    const program = await this.#examine(pid, root, look, executable)
    // What an old index says holds until the next one.
    const isLasting = database === undefined || this.#isNew(database)
    if (key !== undefined && isLasting) this.#programs.set(key, program)
    if (this.#programs.size > HASHES_KEPT_MAX)
      this.#programs.delete(this.#programs.keys().next().value!)
    return program
  }

  /**
   * The program of a child that is gone: by the path that it was executed by, in its parent's root.
   */
  async programOfChild(parent: number, child: GoneChild): Promise<Program> {
    return (await withRoot(parent, (root) => this.#childIn(root, parent, child))) ?? NOTHING_KNOWN
  }

  async #childIn(
    root: string,
    parent: number,
    { name, path: called }: GoneChild,
  ): Promise<Program> {
    const found = localPathIn(parent, root, called)
    const path = found ?? called
    const executable = { path, deleted: false, inMemory: false, place: placeOf(path) }
    const index = await this.#indexIn(parent, root)
    const { isAlias, namesake } = namedIn(parent, root, name, path)
    if (found === null || index === undefined || IMAGES.test(path))
      return { state: 'unknown', isAlias, ...defined({ namesake }) }
    const file = `${root}${path}`
    const { state, owner, copyOf } = await this.#stateOf(parent, root, index, executable, file)
    const isRoots = isRootsFile(file)
    return { state, isAlias, isRoots, ...defined({ package: owner, copyOf, namesake }) }
  }

  /** Undefined where the file cannot be told from another. */
  #keyOf(pid: number, look: Look, database: Database | undefined): string | undefined {
    const { executable, name, script } = look
    if (executable === undefined || executable.inMemory || script !== undefined) return undefined
    if (!isLocalPath(pid, executable.path)) return undefined
    const stat = statOf(`/proc/${pid}/exe`)
    if (stat === undefined) return undefined
    const { dev, ino, ctimeMs, size } = stat
    return [
      database?.stamp,
      dev,
      ino,
      ctimeMs,
      size,
      executable.path,
      executable.deleted,
      name,
    ].join('\n')
  }

  async #examine(pid: number, root: string, look: Look, executable: Executable): Promise<Program> {
    const index = await this.#indexIn(pid, root)
    const { isAlias, namesake } = namedIn(pid, root, look.name, executable.path)
    const isRoots = isLocalPath(pid, executable.path) && isRootsFile(`/proc/${pid}/exe`)
    if (index === undefined || IMAGES.test(executable.path))
      return { state: 'unknown', isAlias, ...defined({ namesake }) }
    const { state, owner, copyOf } = await this.#stateOf(pid, root, index, executable)
    const script =
      look.script === undefined ? undefined : await this.#scriptState(pid, root, index, look.script)
    return { state, isAlias, isRoots, ...defined({ package: owner, copyOf, namesake, script }) }
  }

  async #stateOf(
    pid: number,
    root: string,
    index: Index,
    executable: Executable,
    file = `/proc/${pid}/exe`,
  ): Promise<{ state: PackageState; owner?: string; copyOf?: string }> {
    const path = plainPath(executable.path)
    if (executable.inMemory) return this.#memoryState(pid, root, index, file)
    const entry = this.#find(root, index, listsWithPath(index.table, path), (f) => f.path === path)
    // A daemon that was upgraded while it runs: the list tells of its successor.
    if (executable.deleted)
      return entry === undefined ? { state: 'unowned' } : { state: 'owned', owner: entry.package }
    const digest = isLocalPath(pid, executable.path)
      ? await this.#digestOf(file, index.algorithm)
      : undefined
    if (entry !== undefined) return { ...compared(entry, digest, root), owner: entry.package }
    // It may have come with a package since: into the system's directories, nowhere else.
    if (executable.place === 'system' && index.stamp !== this.#databaseOf(pid, root)?.stamp)
      return { state: 'unknown' }
    if (digest === undefined) return { state: 'unowned' }
    const copied = this.#copied(root, index, digest)
    return { state: 'unowned', ...defined({ copyOf: copied?.path }) }
  }

  /** What is executed from memory is no package's, and may be a copy of what is. */
  async #memoryState(
    pid: number,
    root: string,
    index: Index,
    file: string,
  ): Promise<{ state: PackageState; copyOf?: string }> {
    const digest = isMemory(pid) ? await this.#digestOf(file, index.algorithm) : undefined
    const copied = digest === undefined ? undefined : this.#copied(root, index, digest)
    return { state: 'unowned', ...defined({ copyOf: copied?.path }) }
  }

  #copied(root: string, index: Index, digest: string): PackageFile | undefined {
    const lists = listsWithContent(index.table, digest)
    return this.#find(root, index, lists, (file) => file.digest === digest)
  }

  async #scriptState(
    pid: number,
    root: string,
    index: Index,
    script: string,
  ): Promise<PackageState> {
    // From its arguments, which are its own: it may name a place that never answers.
    const found = localPathIn(pid, root, script)
    const path = plainPath(found ?? script)
    const entry = this.#find(root, index, listsWithPath(index.table, path), (f) => f.path === path)
    if (entry === undefined) return 'unowned'
    if (found === undefined || found === null) return 'owned'
    const digest = await this.#digestOf(`${root}${path}`, index.algorithm)
    return compared(entry, digest, root).state
  }

  #find(
    root: string,
    index: Index,
    lists: readonly number[],
    fits: (file: PackageFile) => boolean,
  ): PackageFile | undefined {
    for (const number of lists) {
      for (const file of filesOf(root, index, number)) if (fits(file)) return file
    }
    return undefined
  }

  /**
   * While packages are installed the database changes every second: until it may be read again, the
   * index of what was there before answers, as an old one.
   */
  async #indexOf(root: string, database: Database): Promise<Index | undefined> {
    if (!this.#indexes.has(database.key)) await this.#turnToRead()
    const known = this.#indexes.get(database.key)
    // Asked last, forgotten last.
    this.#indexes.delete(database.key)
    const isOld = known !== undefined && known.stamp !== database.stamp
    const keeps = known !== undefined && (!isOld || performance.now() < this.#readAgainMs)
    const index = keeps ? known : this.#read(root, database)
    if (index === undefined) return undefined
    this.#indexes.set(database.key, index)
    let files = 0
    for (const { table } of this.#indexes.values()) files += table.length
    for (const [key, { table }] of this.#indexes) {
      if (files <= PACKAGE_FILES_KEPT_MAX || key === database.key) break
      this.#indexes.delete(key)
      files -= table.length
    }
    return index
  }

  /** Of the first database that covers this root. */
  async #indexIn(pid: number, root: string): Promise<Index | undefined> {
    for (const database of databasesOf(pid, root)) {
      if (this.#worthless.has(database.stamp)) continue
      const index = await this.#indexOf(root, database)
      if (index !== undefined) return index
    }
    return undefined
  }

  #databaseOf(pid: number, root: string): Database | undefined {
    return databasesOf(pid, root).find(({ stamp }) => !this.#worthless.has(stamp))
  }

  #isNew({ key, stamp }: Database): boolean {
    return this.#indexes.get(key)?.stamp === stamp
  }

  #read(root: string, database: Database): Index | undefined {
    const beganMs = performance.now()
    const index = readIndex(root, database)
    const endedMs = performance.now()
    this.#readAgainMs = endedMs + (endedMs - beganMs) / READING_SHARE
    if (index === undefined) {
      this.#worthless.add(database.stamp)
      if (this.#worthless.size > WORTHLESS_KEPT) this.#worthless.clear()
    }
    return index
  }

  /**
   * Waits until a database may be read; of several that wait, one reads then and the others wait
   * on.
   */
  async #turnToRead(): Promise<void> {
    for (;;) {
      const waitMs = this.#readAgainMs - performance.now()
      if (waitMs <= 0) return
      await Bun.sleep(waitMs)
    }
  }

  /**
   * Of a file's content; undefined where it is too large, or gone. Once for each state of a file.
   */
  async #digestOf(path: string, algorithm: Algorithm): Promise<string | undefined> {
    const stat = statOf(path)
    if (stat === undefined || !stat.isFile() || stat.size > HASHED_BYTES_MAX) return undefined
    const key = [algorithm, stat.dev, stat.ino, stat.ctimeMs, stat.size].join(' ')
    const known = this.#hashes.get(key)
    if (known !== undefined) return known
    const hasher = new Bun.CryptoHasher(algorithm)
    for (let at = 0; at < stat.size; at += CHUNK_BYTES) {
      await this.#pay(Math.min(CHUNK_BYTES, stat.size - at))
      const chunk = withFile(
        path,
        (file, now) =>
          now.ino === stat.ino ? readAt(file, at, CHUNK_BYTES, chunkBuffer) : undefined,
        { follow: true },
      )
      if (chunk === undefined) return undefined
      hasher.update(chunk)
    }
    const digest = hasher.digest('hex')
    this.#hashes.set(key, digest)
    if (this.#hashes.size > HASHES_KEPT_MAX) this.#hashes.delete(this.#hashes.keys().next().value!)
    return digest
  }

  /** Waits until so many more bytes fit into the second. */
  async #pay(bytes: number): Promise<void> {
    const now = performance.now()
    const from = Math.max(this.#paidUntilMs, now - 1000)
    this.#paidUntilMs = from + (bytes / HASHED_BYTES_PER_SECOND) * 1000
    if (this.#paidUntilMs > now) await Bun.sleep(this.#paidUntilMs - now)
  }
}

/**
 * Whether what it executes is really memory: the kernel's own file system for it is the first device
 * of all. By its name alone it may lie on a file system that never answers.
 */
function isMemory(pid: number): boolean {
  return /^\S+ \S+ \S+ 00:01 \d+ +\/memfd:/m.test(procText(pid, 'maps', MAPS_HEAD_BYTES) ?? '')
}

function compared(
  entry: PackageFile,
  digest: string | undefined,
  root: string,
): { state: PackageState } {
  if (digest === undefined) return { state: 'owned' }
  if (digest === entry.digest) return { state: 'verified' }
  // While dpkg unpacks, files are new already and lists are old.
  return { state: statOf(`${root}${DPKG_AT_WORK}`) === undefined ? 'modified' : 'owned' }
}

const PROGRAM_FOLDERS = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'] as const
const ALIAS_FOLDERS = [...PROGRAM_FOLDERS, '/usr/local/bin', '/usr/local/sbin'] as const

/**
 * Whether this root has a program of the name, and whether that is another name of the executable.
 */
function namedIn(
  pid: number,
  root: string,
  name: string,
  executable: string,
): { isAlias: boolean; namesake?: string } {
  // A cut name may be that of several.
  if (name.includes('/') || name === '' || name.length >= COMM_CHARS) return { isAlias: false }
  const own = plainPath(executable)
  let namesake: string | undefined
  // A link beside the program is another name of it where only root can have made it.
  const beside = dirname(executable)
  const isRoots = localPathIn(pid, root, beside) === beside && isRootsFile(`${root}${beside}`)
  const folders = isRoots ? [...ALIAS_FOLDERS, beside] : ALIAS_FOLDERS
  for (const folder of folders) {
    const target = localPathIn(pid, root, `${folder}/${name}`)
    if (target === undefined || target === null) continue
    if (plainPath(target) === own) return { isAlias: true }
    if ((PROGRAM_FOLDERS as readonly string[]).includes(folder)) namesake ??= `${folder}/${name}`
  }
  return { isAlias: false, ...defined({ namesake }) }
}

function isRootsFile(path: string): boolean {
  const stat = statOf(path)
  return stat !== undefined && stat.uid === 0 && (stat.mode & 0o022) === 0
}
