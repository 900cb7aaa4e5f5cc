/**
 * Detects mass rewriting of files, from counts alone: calls that remove or rename files beside
 * calls that write, added up over some seconds, by process and, for tools that are started once a
 * file, by the process that starts them. A file may be written without a call where it is mapped,
 * and by tools that remove nothing where a shell overwrites it.
 *
 * Encryptors do this, and so do rsync, make, git and a queue's worker: it is a reason to look at
 * the files, no more. Whoever hands its work over to a child and ends is one worker with it.
 */
import type { Frame } from '../domain/frame.ts'
import { FILE_WORKERS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'
import { isHeir } from './lineage.ts'
import { FILE_WORK } from './thresholds.ts'

const UNLINKS = indexes('unlink unlinkat')
const RENAMES = indexes('rename renameat renameat2')
const WRITES = indexes(
  'write writev pwrite64 pwritev pwritev2 sendfile copy_file_range splice msync',
)
const UNMAPS = indexes('munmap')
const READS = indexes('read readv pread64 preadv mmap')
const OPENS = indexes('open openat openat2 creat')

export interface FileWorker {
  readonly process: Process
  /** Files that it removed of late; those that it renamed are not among them. */
  readonly unlinked: number
  /** And those with them. */
  readonly removed: number
  /** Files that it opened, read and wrote. */
  readonly rewritten: number
  /** Short-lived tools of it that read and wrote. */
  readonly tools: number
  /** It takes its time. */
  readonly isSlow: boolean
}

interface Work {
  slowRemoved: number
  slowUnlinked: number
  readonly first: number
  slowNext: number
  unlinked: number
  removed: number
  rewritten: number
  tools: number
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
    const rows = new Map(frame.processes.map((process, i) => [process.pid, i] as const))
    const owns = frame.processes.map((_, i) => callsOf(frame, i))
    const all: AllCalls[] = owns.map((own) => ({ ...own, tools: 0 }))
    const isYoung = ({ startMs, pid }: Process) =>
      pid > 0 && frame.index - Math.floor(startMs / 1000) < FILE_WORK.shortLife
    for (const [i, process] of frame.processes.entries()) {
      const own = owns[i]!
      let one = process
      for (let step = 0; step < FILE_WORK.generations && isYoung(one); step++) {
        const row = one.ppid === undefined ? undefined : rows.get(one.ppid)
        if (row === undefined) break
        add(all[row]!, own)
        if (process.startMs >= frame.index * 1000) all[row]!.tools += isTool(own) ? 1 : 0
        one = frame.processes[row]!
      }
    }
    for (const [i, process] of frame.processes.entries()) {
      // A group of short-lived processes is counted by its members.
      if (process.pid < 0) continue
      const { opens, reads, writes, unmaps } = owns[i]!
      const rewritten = Math.max(
        Math.min(opens, reads, writes),
        FILE_WORK.mappedWeight * Math.min(opens, reads, unmaps),
      )
      this.#note(process, frame.index, all[i]!, rewritten, found)
    }
    while (this.#work.size > FILE_WORKERS_MAX) this.#work.delete(this.#work.keys().next().value!)
    return found
  }

  /** What its parent did of late, if it was at the same work and does it no more. */
  #inherited(process: Process, index: number): Work {
    const parent = process.ppid === undefined ? undefined : this.#byPid.get(process.ppid)
    const begun = nothingOf(index)
    if (parent === undefined || !isHeir(process, parent.process)) return begun
    return parent.work.last >= index ? begun : { ...parent.work, next: index }
  }

  #note(
    process: Process,
    index: number,
    { unlinks, renames, writes, tools }: AllCalls,
    rewritten: number,
    found: FileWorker[],
  ): void {
    const removed = Math.min(unlinks + renames, writes)
    const key = processKey(process)
    const before = this.#work.get(key)
    if (removed === 0 && rewritten === 0 && tools === 0) return
    const work = before ?? this.#inherited(process, index)
    const faded = FILE_WORK.decay ** Math.max(0, index - work.last)
    work.unlinked = work.unlinked * faded + Math.min(unlinks, writes)
    work.removed = work.removed * faded + removed
    work.rewritten = work.rewritten * faded + rewritten
    work.tools = work.tools * faded + tools
    const slowly = FILE_WORK.slow.decay ** Math.max(0, index - work.last)
    work.slowRemoved = work.slowRemoved * slowly + removed
    work.slowUnlinked = work.slowUnlinked * slowly + Math.min(unlinks, writes)
    work.last = index
    // To the end: the longest quiet one is forgotten first.
    this.#work.delete(key)
    this.#work.set(key, work)
    this.#byPid.delete(process.pid)
    this.#byPid.set(process.pid, { process, work })
    if (this.#byPid.size > FILE_WORKERS_MAX) this.#byPid.delete(this.#byPid.keys().next().value!)
    const isMuch =
      work.removed >= FILE_WORK.removed ||
      work.rewritten >= FILE_WORK.rewritten ||
      work.tools >= FILE_WORK.tools
    if (index >= work.next && isMuch) {
      work.next = index + FILE_WORK.againAfter
      work.slowNext = index + FILE_WORK.slow.againAfter
      const { unlinked, removed: taken, rewritten: changed, tools: started } = work
      found.push({
        ...{ process, unlinked, removed: taken, rewritten: changed, tools: started },
        isSlow: false,
      })
      return
    }
    const { removed: steady, seconds, againAfter } = FILE_WORK.slow
    const isSteady = work.slowRemoved >= steady && index - work.first >= seconds
    if (index < Math.max(work.next, work.slowNext) || !isSteady) return
    work.slowNext = index + againAfter
    const { slowUnlinked: unlinked, slowRemoved } = work
    found.push({ process, unlinked, removed: slowRemoved, rewritten: 0, tools: 0, isSlow: true })
  }
}

interface Worker {
  readonly process: Process
  readonly work: Work
}

interface Calls {
  unlinks: number
  renames: number
  writes: number
  reads: number
  opens: number
  unmaps: number
}

/** Of a process and of those that it has just started. */
interface AllCalls extends Calls {
  tools: number
}

function nothingOf(index: number): Work {
  return {
    ...{ unlinked: 0, removed: 0, rewritten: 0, tools: 0, last: index, next: index },
    ...{ slowRemoved: 0, slowUnlinked: 0, first: index, slowNext: index },
  }
}

function add(to: Calls, from: Calls): void {
  to.unlinks += from.unlinks
  to.renames += from.renames
  to.writes += from.writes
  to.reads += from.reads
  to.opens += from.opens
}

function isTool({ opens, reads, writes }: Calls): boolean {
  return opens > 0 && reads > 0 && writes > 0
}

function callsOf(frame: Frame, i: number): Calls {
  const calls = { unlinks: 0, renames: 0, writes: 0, reads: 0, opens: 0, unmaps: 0 }
  for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
    const syscall = frame.syscalls[k]!
    const count = frame.counts[k]!
    if (UNLINKS.has(syscall)) calls.unlinks += count
    else if (RENAMES.has(syscall)) calls.renames += count
    else if (WRITES.has(syscall)) calls.writes += count
    else if (READS.has(syscall)) calls.reads += count
    else if (OPENS.has(syscall)) calls.opens += count
    else if (UNMAPS.has(syscall)) calls.unmaps += count
  }
  return calls
}

function indexes(names: string): ReadonlySet<number> {
  return new Set(names.split(' ').map((name) => syscallIndexOf(name)!))
}
