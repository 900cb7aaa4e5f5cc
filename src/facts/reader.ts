/**
 * Asks the facts reader (reader-process.ts), which has the rights that this process gives up.
 *
 * It is started while they are still here (`prepareReader`), and its descriptors are kept over the
 * exec that sheds them; the new image adopts it (`adoptReader`). Questions go out without waiting:
 * a reader that hangs costs its answers and nothing else. Each question is answered or fails with a
 * reason, within a bounded time.
 */
import { closeSync, readFileSync, writeSync } from 'node:fs'
import { FACT_LINE_BYTES_MAX, FACTS_ANSWER_MS, FACTS_WAITING_MAX } from '../domain/limits.ts'
import type { FactQuestion, ProcessFacts } from '../domain/process-facts.ts'
import {
  effectiveCapabilities,
  hasCapability,
  heldCapabilities,
  withCapabilities,
} from '../platform/linux/capabilities.ts'
import { startPart, withoutWaiting } from '../platform/linux/child.ts'
import { keepOverExec, makePipe } from '../platform/linux/libc.ts'
import { type FactFailure, type FactRequest, parseAnswer } from './messages.ts'
import { AS_USER, SECOND_LIFE, TO_READ } from './reader-process.ts'

/** A running reader's descriptors, from one image of this process to the next. */
const ADOPTED = 'CALLSIGN_FACTS'

interface Handle {
  readonly pid: number
  /** Closing it asks the reader to finish. */
  readonly requests: number
  readonly answers: number
}

export interface ReaderStatus {
  readonly pid: number
  readonly asked: number
  readonly answered: number
  readonly waiting: number
  readonly failed: Readonly<Partial<Record<FactFailure, number>>>
}

/**
 * Starts a reader for the image of this process that comes after the next exec. Nothing happens
 * where the rights are not here, or one was started already.
 * @param command runs `runReader`
 * @param user whose process the reader becomes; root's where undefined
 * @returns its pid
 */
export function prepareReader(
  command: readonly string[],
  user: { readonly uid: number; readonly gid: number } | undefined,
): number | undefined {
  if (process.env[ADOPTED] !== undefined) return undefined
  const held = effectiveCapabilities()
  if (!TO_READ.every((capability) => hasCapability(held, capability))) return undefined
  const requests = makePipe()
  const answers = makePipe()
  const child = withCapabilities(['setpcap', 'setuid', 'setgid', 'sysNice', ...TO_READ], () =>
    startPart(
      command,
      { stdin: requests.readEnd, stdout: answers.writeEnd, stderr: 2 },
      {
        ...process.env,
        [SECOND_LIFE]: undefined,
        [AS_USER]: user === undefined ? undefined : JSON.stringify(user),
      },
    ),
  )
  closeSync(requests.readEnd)
  closeSync(answers.writeEnd)
  withoutWaiting(requests.writeEnd)
  const handle: Handle = { pid: child.pid, requests: requests.writeEnd, answers: answers.readEnd }
  for (const descriptor of [handle.requests, handle.answers]) keepOverExec(descriptor, true)
  process.env[ADOPTED] = JSON.stringify(handle)
  return child.pid
}

/** The reader that a former image of this process, or this one, has prepared. */
export function adoptReader(): FactsReader | undefined {
  const handle = handedOver()
  // Once: children of ours must not think it theirs.
  delete process.env[ADOPTED]
  if (handle === undefined) return undefined
  for (const descriptor of [handle.requests, handle.answers]) keepOverExec(descriptor, false)
  return new FactsReader(handle)
}

/** Accepted only if it can be ours: it names a child of this process. */
function handedOver(): Handle | undefined {
  try {
    const { pid, requests, answers } = JSON.parse(process.env[ADOPTED] ?? '') as Handle
    if (![pid, requests, answers].every((n) => Number.isSafeInteger(n) && n > 2)) return undefined
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    if (Number(parent) !== process.pid && heldCapabilities() !== 0n) return undefined
    return { pid, requests, answers }
  } catch {
    return undefined
  }
}

interface Waiting {
  readonly settle: (facts: ProcessFacts | FactFailure) => void
  readonly timer: ReturnType<typeof setTimeout>
}

export class FactsReader {
  readonly #handle: Handle
  readonly #waiting = new Map<number, Waiting>()
  readonly #failed: Partial<Record<FactFailure, number>> = {}
  #asked = 0
  #answered = 0
  #ended = false
  /** Monotonic ms of the first question since the last answer; undefined where all are answered. */
  #silentFromMs: number | undefined

  constructor(handle: Handle) {
    this.#handle = handle
    this.#listen().catch(() => this.#end())
  }

  get pid(): number {
    return this.#handle.pid
  }

  /** For how long it has answered nothing though it was asked, or has been gone. */
  get silentMs(): number {
    return this.#silentFromMs === undefined ? 0 : performance.now() - this.#silentFromMs
  }

  /** True while a question would find room. */
  get hasRoom(): boolean {
    return !this.#ended && this.#waiting.size < FACTS_WAITING_MAX
  }

  /**
   * @param start Unix seconds, 0 where it is not known
   * @param gone a child of it that is gone, and that is asked about
   */
  ask(
    pid: number,
    start: number,
    questions: readonly FactQuestion[],
    gone: Pick<FactRequest, 'child' | 'until'> = {},
  ): Promise<ProcessFacts | FactFailure> {
    const id = ++this.#asked
    if (this.#ended) return Promise.resolve(this.#fail('ended'))
    if (!this.hasRoom) return Promise.resolve(this.#fail('busy'))
    const request: FactRequest = { id, pid, start, questions, ...gone }
    const line = new TextEncoder().encode(`${JSON.stringify(request)}\n`)
    try {
      // Less than PIPE_BUF: all of it, or nothing because the pipe is full.
      writeSync(this.#handle.requests, line)
      this.#silentFromMs ??= performance.now()
    } catch {
      return Promise.resolve(this.#fail('busy'))
    }
    return new Promise((resolve) => {
      const settle = (result: ProcessFacts | FactFailure) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        if (typeof result === 'string') this.#fail(result)
        else this.#answered++
        resolve(result)
      }
      const timer = setTimeout(() => settle('late'), FACTS_ANSWER_MS)
      timer.unref()
      this.#waiting.set(id, { settle, timer })
    })
  }

  status(): ReaderStatus {
    return {
      pid: this.pid,
      asked: this.#asked,
      answered: this.#answered,
      waiting: this.#waiting.size,
      failed: { ...this.#failed },
    }
  }

  close(): void {
    if (this.#ended) return
    this.#end()
    closeSync(this.#handle.requests)
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of Bun.file(this.#handle.answers).stream()) {
      text += decoder.decode(chunk, { stream: true })
      const lines = text.split('\n')
      text = lines.pop()!.slice(-FACT_LINE_BYTES_MAX)
      for (const line of lines) {
        const answer = parseAnswer(line)
        if (answer === undefined) continue
        this.#silentFromMs = undefined
        const waiting = this.#waiting.get(answer.id)
        waiting?.settle('facts' in answer ? answer.facts : answer.failed)
      }
    }
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#silentFromMs ??= performance.now()
    for (const { settle } of [...this.#waiting.values()]) settle('ended')
  }

  #fail(reason: FactFailure): FactFailure {
    this.#failed[reason] = (this.#failed[reason] ?? 0) + 1
    return reason
  }
}
