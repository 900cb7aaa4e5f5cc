/**
 * Detects mass rewriting of files, from counts alone: calls that remove or rename files beside
 * calls that write, added up over some seconds, by process and, for tools that are started once a
 * file, by the process that starts them.
 *
 * Encryptors do this, and so do rsync, make, git and a queue's worker: it is a reason to look at
 * the files, no more. Whoever hands its work over to a child and ends is one worker with it.
 */
import type { Frame } from '../domain/frame.ts'
import { FILE_WORKERS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'
import { isHeir } from './lineage.ts'

const UNLINKS = indexes('unlink unlinkat')
const RENAMES = indexes('rename renameat renameat2')
const WRITES = indexes('write writev pwrite64 pwritev pwritev2 sendfile copy_file_range splice')
const READS = indexes('read readv pread64 preadv mmap')
const OPENS = indexes('open openat openat2 creat')

/** What is left of a second's work in the next. */
const DECAY = 0.85
/**
 * Files removed or renamed, of late, from which on it is by the dozen; one a second comes to 6.7.
 */
const REMOVED = 5
/** Files opened, read and written in place. */
const REWRITTEN = 40
/** Seconds until the same process is looked at again. */
const AGAIN_AFTER = 30
/** Younger processes count to who started them, too. */
const SHORT_LIFE = 3

export interface FileWorker {
  readonly process: Process
  /** Files that it removed of late; those that it renamed are not among them. */
  readonly unlinked: number
  /** And those with them. */
  readonly removed: number
  /** Files that it opened, read and wrote. */
  readonly rewritten: number
}

interface Work {
  unlinked: number
  removed: number
  rewritten: number
  last: number
  next: number
}

export class FileWork {
  readonly #work = new Map<ProcessKey, Work>()
  /** The latest worker of each pid, for its heirs. */
  readonly #byPid = new Map<number, Worker>()

  /** Those whose files are worth a look. Frames in ascending order. */
  push(frame: Frame): FileWorker[] {
    const found: FileWorker[] = []
    const ofChildren = new Map<number, Calls>()
    for (const [i, process] of frame.processes.entries()) {
      // A group of short-lived processes is counted by its members.
      if (process.pid < 0) continue
      const calls = callsOf(frame, i)
      const age = frame.index - Math.floor(process.startMs / 1000)
      if (age < SHORT_LIFE && process.ppid !== undefined) {
        const others = ofChildren.get(process.ppid) ?? NO_CALLS
        ofChildren.set(process.ppid, added(others, calls))
      }
      this.#note(
        process,
        frame.index,
        calls,
        Math.min(calls.opens, calls.reads, calls.writes),
        found,
      )
    }
    for (const process of frame.processes) {
      const calls = ofChildren.get(process.pid)
      // One tool opens, another removes: what is started once a file rewrites nothing in place.
      if (calls !== undefined) this.#note(process, frame.index, calls, 0, found)
    }
    while (this.#work.size > FILE_WORKERS_MAX) this.#work.delete(this.#work.keys().next().value!)
    return found
  }

  /** What its parent did of late, if it was at the same work and does it no more. */
  #inherited(process: Process, index: number): Work {
    const parent = process.ppid === undefined ? undefined : this.#byPid.get(process.ppid)
    const begun = { unlinked: 0, removed: 0, rewritten: 0, last: index, next: index }
    if (parent === undefined || !isHeir(process, parent.process)) return begun
    const { unlinked, removed, rewritten, last } = parent.work
    if (last >= index) return begun
    return { unlinked, removed, rewritten, last, next: index }
  }

  #note(
    process: Process,
    index: number,
    { unlinks, renames, writes }: Calls,
    rewritten: number,
    found: FileWorker[],
  ): void {
    const removed = Math.min(unlinks + renames, writes)
    const key = processKey(process)
    const before = this.#work.get(key)
    if (removed === 0 && rewritten === 0) return
    const work = before ?? this.#inherited(process, index)
    const faded = DECAY ** Math.max(0, index - work.last)
    work.unlinked = work.unlinked * faded + Math.min(unlinks, writes)
    work.removed = work.removed * faded + removed
    work.rewritten = work.rewritten * faded + rewritten
    work.last = index
    // To the end: the longest quiet one is forgotten first.
    this.#work.delete(key)
    this.#work.set(key, work)
    this.#byPid.delete(process.pid)
    this.#byPid.set(process.pid, { process, work })
    if (this.#byPid.size > FILE_WORKERS_MAX) this.#byPid.delete(this.#byPid.keys().next().value!)
    if (index < work.next || (work.removed < REMOVED && work.rewritten < REWRITTEN)) return
    work.next = index + AGAIN_AFTER
    found.push({
      process,
      unlinked: work.unlinked,
      removed: work.removed,
      rewritten: work.rewritten,
    })
  }
}

interface Worker {
  readonly process: Process
  readonly work: Work
}

interface Calls {
  readonly unlinks: number
  readonly renames: number
  readonly writes: number
  readonly reads: number
  readonly opens: number
}

const NO_CALLS: Calls = { unlinks: 0, renames: 0, writes: 0, reads: 0, opens: 0 }

function added(a: Calls, b: Calls): Calls {
  return {
    unlinks: a.unlinks + b.unlinks,
    renames: a.renames + b.renames,
    writes: a.writes + b.writes,
    reads: a.reads + b.reads,
    opens: a.opens + b.opens,
  }
}

function callsOf(frame: Frame, i: number): Calls {
  const calls = { ...NO_CALLS }
  for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
    const syscall = frame.syscalls[k]!
    const count = frame.counts[k]!
    if (UNLINKS.has(syscall)) calls.unlinks += count
    else if (RENAMES.has(syscall)) calls.renames += count
    else if (WRITES.has(syscall)) calls.writes += count
    else if (READS.has(syscall)) calls.reads += count
    else if (OPENS.has(syscall)) calls.opens += count
  }
  return calls
}

function indexes(names: string): ReadonlySet<number> {
  return new Set(names.split(' ').map((name) => syscallIndexOf(name)!))
}
