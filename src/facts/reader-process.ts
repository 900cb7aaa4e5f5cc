/**
 * The process that reads facts about other processes (`agent read-facts`, started by reader.ts,
 * never by hand).
 *
 * It may look into every process (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH) and does nothing else: it
 * parses no traffic, opens no connection and writes no file. The agent itself, which does, has no
 * such right. What leaves it are paths, names and numbers; never the content of a file. It is apart
 * from the collector, too: a dead network mount or a directory of a million files may hold it up,
 * and counting goes on.
 *
 *   stdin   questions, a line each (messages.ts); its end means: finish
 *   stdout  answers, a line each
 */
import { writeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { defined } from '../domain/defined.ts'
import {
  FACT_LINE_BYTES_MAX,
  FACTS_WAITING_MAX,
  FILE_WATCHES_MAX,
  GIVE_BACK_EVERY_MS,
} from '../domain/limits.ts'
import type { FactQuestion, FileChanges, Network, ProcessFacts } from '../domain/process-facts.ts'
import { collectEvery, giveBack } from '../platform/heap.ts'
import {
  type Capability,
  dieWithParent,
  execWithoutCapabilities,
  hideMemory,
} from '../platform/linux/capabilities.ts'
import { pace, watchFiles } from './file-watch.ts'
import { findProcess, look } from './look.ts'
import { type FactAnswer, type FactRequest, parseRequest } from './messages.ts'
import { Packages } from './packages.ts'
import { poolTalkOf } from './pool-talk.ts'
import { procLink } from './proc-files.ts'
import type { ProcStat } from './proc-text.ts'
import { refusalsOf } from './refusals.ts'
import { networkOf, streamsOf } from './streams.ts'

/** A watch begins at the latest after this, however many others run. */
const TURN_MS = 4_000
const TURN_EVERY_MS = 200
/** Answers: a collection takes 5 ms. */
const COLLECT_EVERY = 200

/** From the first life to the second: our parent, and whose process we are. */
export const SECOND_LIFE = 'CALLSIGN_FACTS_READER'
export const AS_USER = 'CALLSIGN_FACTS_USER'
/** What reading needs. */
export const TO_READ: readonly Capability[] = ['sysPtrace', 'dacReadSearch']

/**
 * @param self the command that runs this function again
 * @returns exit code
 */
export async function runReader(self: readonly string[], signal: AbortSignal): Promise<number> {
  const parent = Number(process.env[SECOND_LIFE] ?? 0)
  if (parent === 0) becomeReader(self)
  dieWithParent()
  hideMemory()
  // It may have ended before it could have been said.
  if (parent !== 0 && process.ppid !== parent) return 0
  setInterval(giveBack, GIVE_BACK_EVERY_MS).unref()
  await serve(signal)
  return 0
}

/**
 * Executes itself anew with the two rights, no other and none to be had again; stays as it is where
 * that is refused.
 */
function becomeReader(self: readonly string[]): void {
  raise()
  const user = JSON.parse(process.env[AS_USER] ?? 'null') as { uid: number; gid: number } | null
  try {
    execWithoutCapabilities(
      self,
      { ...process.env, [AS_USER]: undefined, [SECOND_LIFE]: String(process.ppid) },
      { keep: TO_READ, user: user ?? undefined },
    )
  } catch {
    // A sandbox without exec: better read with more rights than not read.
  }
}

/**
 * Beside busy neighbours an answer must not come after its process is gone; what it does is bounded
 * each second.
 */
function raise(): void {
  try {
    setPriority(-5)
  } catch {
    // Without CAP_SYS_NICE it waits its turn.
  }
}

async function serve(signal: AbortSignal): Promise<void> {
  const answers = new Answerer()
  const decoder = new TextDecoder()
  let text = ''
  const input = Bun.stdin.stream().getReader()
  const stop = () => void input.cancel().catch(() => {})
  signal.addEventListener('abort', stop)
  while (!signal.aborted) {
    const { value, done } = await input.read()
    if (done) break
    text += decoder.decode(value, { stream: true })
    const lines = text.split('\n')
    text = lines.pop()!.slice(-FACT_LINE_BYTES_MAX)
    for (const line of lines) answers.take(line)
  }
  signal.removeEventListener('abort', stop)
}

/** Between a fork and the end of its exec a process has no command line. */
const EXEC_MS = 5

class Answerer {
  readonly #packages = new Packages()
  readonly #collect = collectEvery(COLLECT_EVERY)
  #waiting = 0
  #watches = 0

  take(line: string): void {
    const request = parseRequest(line)
    if (request === undefined) return
    const { id } = request
    if (this.#waiting >= FACTS_WAITING_MAX) {
      say({ id, failed: 'busy' })
      return
    }
    this.#waiting++
    this.#answer(request)
      .then((facts) => say(facts === undefined ? { id, failed: 'gone' } : { id, facts }))
      .catch(() => say({ id, failed: 'failed' }))
      .finally(() => {
        this.#waiting--
        this.#collect()
      })
  }

  async #answer(request: FactRequest): Promise<ProcessFacts | undefined> {
    const { pid, start, questions } = request
    const stat = findProcess(pid, start)
    if (stat === undefined) return undefined
    let seen = look(pid, stat)
    if (seen.hasMemory && seen.context.command === undefined) {
      await Bun.sleep(EXEC_MS)
      seen = look(pid, findProcess(pid, start) ?? stat)
    }
    let facts: ProcessFacts = { look: seen }
    for (const question of questions)
      facts = { ...facts, ...(await this.#part(question, request, stat, facts)) }
    // If it ended meanwhile, what was read may be of its successor and is discarded. Files are
    // those of directories opened before.
    if (findProcess(pid, start)?.startMs === stat.startMs) return facts
    return { look: seen, ...defined({ files: facts.files }) }
  }

  /** Waits for its turn while others are watched, but not for long. */
  async #watch({ pid, until }: FactRequest): Promise<FileChanges> {
    const from = performance.now()
    while (this.#watches >= pace.room(FILE_WATCHES_MAX) && performance.now() - from < TURN_MS)
      await Bun.sleep(TURN_EVERY_MS)
    this.#watches++
    try {
      return await watchFiles(pid, until)
    } finally {
      this.#watches--
    }
  }

  async #part(
    question: FactQuestion,
    request: FactRequest,
    stat: ProcStat,
    { look: seen }: ProcessFacts,
  ): Promise<ProcessFacts> {
    if (seen === undefined) return {}
    const { pid, child } = request
    switch (question) {
      case 'program':
        return {
          program: await (child === undefined
            ? this.#packages.program(pid, seen)
            : this.#packages.programOfChild(pid, child)),
        }
      case 'streams':
        return { streams: await streamsOf(pid, stat, seen, this.#packages) }
      case 'network':
        return {
          network: networkOf(pid),
          ...defined({ parentNetwork: parentNetworkOf(pid, stat) }),
        }
      case 'pool':
        return { pool: poolTalkOf(pid) ?? '' }
      case 'refusal':
        return { refusal: refusalsOf(pid) ?? '' }
      case 'files':
        return { files: await this.#watch(request) }
      default:
        return {}
    }
  }
}

/** Where a program works by several processes, one of them talks to others. */
function parentNetworkOf(pid: number, { ppid }: ProcStat): Network | undefined {
  if (ppid <= 1) return undefined
  const own = procLink(pid, 'exe')
  return own !== undefined && own === procLink(ppid, 'exe') ? networkOf(ppid) : undefined
}

function say(answer: FactAnswer): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(answer)}\n`)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      // The pipe has no reader: the parent has ended.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      Bun.sleepSync(5)
    }
  }
}
