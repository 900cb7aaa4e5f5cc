/**
 * From payloads to the store and back: looks at every message once, gathers what is good for 20 ms
 * or more, commits it in one transaction, and only then says so. Of summaries it reads the head
 * alone; their rows are decoded when somebody looks. Alerts go first: when more comes than can be
 * stored, summaries are refused while alerts still are taken, and their agents keep them.
 *
 * A receipt is published after the commit and for nothing else, also for a repeat (its first
 * receipt may be lost). A commit that fails is answered by silence, and the agent sends again. What
 * is refused is counted by reason and never receipted; nothing a client sends ends the aggregator.
 *
 * A host may send for itself only: payload and topic must name the same host. Whether a client may
 * publish on a topic is checked in the broker (access.ts).
 */
import {
  BOOT_AHEAD_MS_MAX,
  GROUP_COMMIT_MS,
  GROUP_COMMIT_MS_MAX,
  GROUP_COMMIT_ROWS_MAX,
  INGEST_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  REFUSAL_REASONS_MAX,
} from '../domain/limits.ts'
import type { Decoded } from '../domain/untrusted.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Unsettled } from '../platform/mqtt/broker.ts'
import { decodeAlert } from '../wire/alert-message.ts'
import { encodeReceipts } from '../wire/receipt-message.ts'
import { decodeAggregatorStatus, decodeStatus } from '../wire/status-message.ts'
import { readSummaryHead } from '../wire/summary-head.ts'
import { type ParsedTopic, parseTopic, receiptTopic } from '../wire/topics.ts'
import type { Arrival, HostKnown, Store, StoreChange } from './store/store.ts'

/** What hosts send. */
type Received = Exclude<Arrival, HostKnown>

export interface Incoming {
  readonly topic: string
  /** Not changed by anyone until it is settled. */
  readonly payload: Uint8Array
  /** What the sender signed the payload with, where it did. */
  readonly signature?: string | undefined
}

/** What the subscriber needs of the broker, embedded or not. */
export interface Link {
  publish(topic: string, payload: Uint8Array): void
  /** Says, retained, that an aggregator serves this site; said once, unless `again`. */
  announce(site: string, again?: boolean): void
}

/** Who classifies hosts that send vectors. */
export interface Vectors {
  take(
    vectors: { site: string; host: string; payload: Uint8Array },
    settled: (unsettled?: Unsettled) => void,
  ): void
}

export interface SubscriberOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly onChange: (change: StoreChange) => void
  /** Takes vectors, where this aggregator classifies. */
  readonly vectors?: Vectors
  readonly commitEveryMs?: number
  readonly rowsMax?: number
  readonly bytesMax?: number
}

export interface SubscriberCounts {
  readonly received: Readonly<Record<'alert' | 'summary' | 'status', number>>
  readonly refused: ReadonlyMap<string, number>
  readonly receipts: number
  readonly commits: number
  readonly commitSeconds: number
  readonly commitFailures: number
  readonly queuedBytes: number
  /** Undefined while the last commit went well. */
  readonly failing: string | undefined
}

interface Waiting {
  readonly arrival: Received
  readonly bytes: number
  readonly settled: (unsettled?: Unsettled) => void
}

export class Subscriber {
  readonly #options: SubscriberOptions
  readonly #received = { alert: 0, summary: 0, status: 0 }
  readonly #refused = new Map<string, number>()
  #link: Link | undefined
  /** Alerts and statuses, and summaries: the first are committed first. */
  #urgent: Waiting[] = []
  #bulk: Waiting[] = []
  #queuedBytes = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #committing: Promise<void> | undefined
  #receipts = 0
  #commits = 0
  #commitMs = 0
  #lastCommitMs = 0
  #commitFailures = 0
  #failing: string | undefined

  constructor(options: SubscriberOptions) {
    this.#options = options
  }

  /** Where receipts go; messages may come from now on. */
  connect(link: Link): void {
    this.#link = link
  }

  counts(): SubscriberCounts {
    return {
      received: { ...this.#received },
      refused: this.#refused,
      receipts: this.#receipts,
      commits: this.#commits,
      commitSeconds: this.#commitMs / 1000,
      commitFailures: this.#commitFailures,
      queuedBytes: this.#queuedBytes,
      failing: this.#failing,
    }
  }

  refuse(reason: string): void {
    const known = this.#refused.has(reason) || this.#refused.size < REFUSAL_REASONS_MAX
    const key = known ? reason : 'other'
    this.#refused.set(key, (this.#refused.get(key) ?? 0) + 1)
  }

  /**
   * @param settled called once: after the commit, at once where there is nothing to store, with an
   *   error where it could not be stored.
   */
  take({ topic, payload }: Incoming, settled: (unsettled?: Unsettled) => void = () => {}): void {
    const { bytesMax = INGEST_BYTES_MAX, rowsMax = GROUP_COMMIT_ROWS_MAX, vectors } = this.#options
    const parsed = parseTopic(topic)
    if (parsed?.kind === 'vectors') {
      if (vectors === undefined) settled(this.#refusal('vectors-not-classified'))
      else vectors.take({ site: parsed.site, host: parsed.host, payload }, settled)
      return
    }
    const arrival = this.#read(parsed, payload)
    if (arrival === undefined || arrival === 'refused') {
      settled(arrival)
      return
    }
    const bulk = arrival.kind === 'summary'
    if (this.#queuedBytes + payload.byteLength > (bulk ? bytesMax / 2 : bytesMax)) {
      this.refuse(bulk ? 'overloaded(summary)' : 'overloaded')
      settled('overloaded')
      return
    }
    ;(bulk ? this.#bulk : this.#urgent).push({ arrival, bytes: payload.byteLength, settled })
    this.#queuedBytes += payload.byteLength
    if (this.#waiting >= rowsMax) void this.flush()
    else this.#commitSoon()
  }

  get #waiting(): number {
    return this.#urgent.length + this.#bulk.length
  }

  #commitSoon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), this.#pauseMs())
  }

  /** Where a commit keeps this thread waiting, a slow one is followed by a longer pause. */
  #pauseMs(): number {
    const { commitEveryMs = GROUP_COMMIT_MS } = this.#options
    return Math.min(Math.max(commitEveryMs, 4 * this.#lastCommitMs), GROUP_COMMIT_MS_MAX)
  }

  /** Commits what waits, now; one batch at a time. Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    // What a commit keeps waiting goes with the next one.
    this.#committing ??= this.#commitAll().finally(() => {
      this.#committing = undefined
      if (this.#waiting > 0) this.#commitSoon()
    })
    await this.#committing
  }

  async #commitAll(): Promise<void> {
    const { rowsMax = GROUP_COMMIT_ROWS_MAX } = this.#options
    do await this.#commit(this.#next(rowsMax))
    while (this.#waiting >= rowsMax)
  }

  #next(rowsMax: number): Waiting[] {
    const batch = this.#urgent.splice(0, rowsMax)
    if (batch.length < rowsMax) batch.push(...this.#bulk.splice(0, rowsMax - batch.length))
    return batch
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 0) return
    const { store, clock, log, onChange } = this.#options
    const began = clock.monotonic()
    let changes: StoreChange[]
    try {
      changes = await store.commit(
        batch.map((one) => one.arrival),
        clock.now(),
      )
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      if (this.#failing === undefined)
        log.error('Cannot store messages; agents will send them again', { why: error.message })
      this.#failing = error.message
      this.#commitFailures++
      this.#settle(batch, 'not-stored')
      return
    }
    if (this.#failing !== undefined) log.info('Storing messages again')
    this.#failing = undefined
    this.#commits++
    this.#lastCommitMs = clock.monotonic() - began
    this.#commitMs += this.#lastCommitMs
    this.#sendReceipts(batch)
    this.#settle(batch)
    for (const change of changes) onChange(change)
  }

  #settle(batch: readonly Waiting[], unsettled?: Unsettled): void {
    for (const { bytes, settled } of batch) {
      this.#queuedBytes -= bytes
      settled(unsettled)
    }
  }

  /** Commits until nothing is left; for the end. */
  async drain(): Promise<void> {
    while (this.#waiting > 0 || this.#committing !== undefined) await this.flush()
  }

  /** Now and then: brings the store back to its bounds. */
  async tidy(): Promise<void> {
    try {
      await this.#options.store.tidy(this.#options.clock.now())
    } catch (cause) {
      this.#options.log.warn('Cannot remove old rows from the store', { why: String(cause) })
    }
  }

  /** Reads and checks; what is not to be stored is counted here. */
  #read(
    parsed: Exclude<ParsedTopic, { kind: 'vectors' }> | undefined,
    payload: Uint8Array,
  ): Received | 'refused' | undefined {
    if (parsed === undefined) return this.#refusal('unknown-topic')
    if (payload.byteLength > PAYLOAD_BYTES_MAX) return this.#refusal('too-long')
    switch (parsed.kind) {
      case 'aggregator-status': {
        // Another aggregator's will must not tell agents that no aggregator is left.
        const status = decodeAggregatorStatus(payload)
        if (status.ok && status.value.state === 'offline') this.#link?.announce(parsed.site, true)
        return undefined
      }
      case 'fleet-model':
        return undefined
      case 'receipt':
        return this.#refusal('forged-receipt')
    }
    const { kind } = parsed
    const decoded: Decoded<Received> = readers[kind](payload)
    if (!decoded.ok) return this.#refusal(decoded.reason)
    const { message } = decoded.value
    if (message.site !== parsed.site || message.host !== parsed.host)
      return this.#refusal('host-mismatch')
    // A boot counter begins at a clock; one far beyond every clock would outdo all that the true
    // host says later.
    if (message.boot > this.#options.clock.now() + BOOT_AHEAD_MS_MAX)
      return this.#refusal('boot-ahead')
    this.#received[kind]++
    this.#link?.announce(parsed.site)
    return decoded.value
  }

  #refusal(reason: string): 'refused' {
    this.refuse(reason)
    return 'refused'
  }

  #sendReceipts(waiting: readonly Waiting[]): void {
    const byHost = new Map<string, { boot: number; seq: number }[]>()
    for (const { arrival } of waiting) {
      if (arrival.kind === 'status') continue
      const { site, host, boot, seq } = arrival.message
      const topic = receiptTopic(site, host)
      const stored = byHost.get(topic)
      if (stored === undefined) byHost.set(topic, [{ boot, seq }])
      else stored.push({ boot, seq })
    }
    for (const [topic, stored] of byHost) {
      for (const payload of encodeReceipts(stored)) {
        this.#link?.publish(topic, payload)
        this.#receipts++
      }
    }
  }
}

const readers = {
  alert: (payload: Uint8Array): Decoded<Received> => wrap('alert', decodeAlert(payload)),
  status: (payload: Uint8Array): Decoded<Received> => wrap('status', decodeStatus(payload)),
  summary: (payload: Uint8Array): Decoded<Received> => {
    const decoded = readSummaryHead(payload)
    if (!decoded.ok) return decoded
    return { ok: true, value: { kind: 'summary', message: decoded.value, payload } }
  },
}

function wrap<K extends 'alert' | 'status'>(
  kind: K,
  decoded: Decoded<(Received & { kind: K })['message']>,
): Decoded<Received> {
  if (!decoded.ok) return decoded
  return { ok: true, value: { kind, message: decoded.value } as Received }
}
