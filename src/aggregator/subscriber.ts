/**
 * From payloads to the store and back: looks at every message once, gathers what is good for 20 ms
 * or more, commits it in one transaction, and only then says so. Of summaries it reads the head
 * alone; their rows are decoded when they are read. Alerts go first: when more comes than can be
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
  REFUSED_KEYS_TOLD_MAX,
} from '../domain/limits.ts'
import type { Decoded } from '../domain/untrusted.ts'
import type { Clock } from '../platform/clock.ts'
import { signerOf } from '../platform/identity.ts'
import type { Log } from '../platform/log.ts'
import type { Unsettled } from '../platform/mqtt/broker-options.ts'
import { decodeAlert } from '../wire/alert-message.ts'
import type { Origin } from '../wire/origin.ts'
import { encodeReceipts } from '../wire/receipt-message.ts'
import { attachSignature, detachSignature, type Signer } from '../wire/signed.ts'
import { decodeAggregatorStatus, decodeStatus } from '../wire/status-message.ts'
import { readSummaryHead } from '../wire/summary-head.ts'
import { type ParsedTopic, parseTopic, receiptTopic } from '../wire/topics.ts'
import { decodeWindowsAnswer } from '../wire/windows-message.ts'
import type { Named, Received, Store, StoreChange } from './store/store.ts'

export interface Incoming {
  readonly topic: string
  /** Not changed by anyone until it is settled. */
  readonly payload: Uint8Array
  /** What the sender signed the payload with, where it did. */
  readonly signature?: string | undefined
}

/** What the subscriber needs of the broker, embedded or not. */
export interface Link {
  publish(topic: string, payload: Uint8Array, signature?: string): void
  /** Says, retained, that an aggregator serves this site; said once, unless `again`. */
  announce(site: string, again?: boolean): void
}

/** Who classifies hosts that send vectors. */
export interface Vectors {
  take(
    vectors: { site: string; host: string; payload: Uint8Array; key?: string },
    settled: (unsettled?: Unsettled) => void,
  ): void
}

export interface SubscriberOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Signs receipts. */
  readonly signer: Signer
  /** Nothing unsigned is stored, not even of a host that has never signed. */
  readonly requireSignatures?: boolean
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
  /** The signature stood in the payload: so must that of the receipt. */
  readonly inPayload: boolean
  readonly bytes: number
  readonly settled: (unsettled?: Unsettled) => void
}

export class Subscriber {
  readonly #options: SubscriberOptions
  readonly #received = { alert: 0, summary: 0, status: 0 }
  readonly #refused = new Map<string, number>()
  #link: Link | undefined
  readonly #toldKeys = new Set<string>()
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
  take(message: Incoming, settled: (unsettled?: Unsettled) => void = () => {}): void {
    const { bytesMax = INGEST_BYTES_MAX, rowsMax = GROUP_COMMIT_ROWS_MAX, vectors } = this.#options
    const parsed = parseTopic(message.topic)
    const { payload, signature, inPayload } = detachSignature(message.payload, message.signature)
    if (parsed?.kind === 'vectors') {
      if (vectors === undefined) settled(this.#refusal('vectors-not-classified'))
      else this.#takeVectors(vectors, parsed, payload, signature, settled)
      return
    }
    if (parsed?.kind === 'windows') {
      void this.#takeWindows(parsed, payload, signature).then(settled)
      return
    }
    const arrival = this.#read(parsed, payload, signature)
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
    const bytes = payload.byteLength
    ;(bulk ? this.#bulk : this.#urgent).push({ arrival, inPayload, bytes, settled })
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
    const refusals = changes.filter((change) => change.kind === 'refused')
    const refused = new Set(refusals.map(({ arrival }) => arrival))
    const stored = batch.filter(({ arrival }) => !refused.has(arrival))
    this.#sendReceipts(stored)
    this.#settle(stored)
    for (const refusal of refusals) this.#refuseKey(refusal)
    const others = batch.filter(({ arrival }) => refused.has(arrival))
    this.#settle(others, 'refused')
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
    parsed: Exclude<ParsedTopic, { kind: 'vectors' | 'windows' }> | undefined,
    payload: Uint8Array,
    signature: string | undefined,
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
      case 'fleet':
        return undefined
      case 'receipt':
        return this.#refusal('forged-receipt')
      case 'request':
        return this.#refusal('forged-request')
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
    const signed = this.#readKey(payload, signature)
    if (signed === 'refused') return signed
    this.#received[kind]++
    this.#link?.announce(parsed.site)
    return { ...decoded.value, ...signed }
  }

  /** The key that signed these bytes, or why they are not taken whoever signs for the host. */
  #readKey(payload: Uint8Array, signature: string | undefined): { key?: string } | 'refused' {
    if (signature === undefined)
      return this.#options.requireSignatures === true ? this.#refusal('unsigned') : {}
    const key = signerOf(payload, signature)
    return key === undefined ? this.#refusal('bad-signature') : { key }
  }

  #takeVectors(
    vectors: Vectors,
    { site, host }: Named,
    payload: Uint8Array,
    signature: string | undefined,
    settled: (unsettled?: Unsettled) => void,
  ): void {
    const signed = this.#readKey(payload, signature)
    if (signed === 'refused') settled(signed)
    else vectors.take({ site, host, payload, ...signed }, settled)
  }

  /** Only what this host was asked, signed as its other messages are. Never fails. */
  async #takeWindows(
    { site, host }: Named,
    payload: Uint8Array,
    signature: string | undefined,
  ): Promise<Unsettled | undefined> {
    const decoded = decodeWindowsAnswer(payload)
    if (!decoded.ok) return this.#refusal(decoded.reason)
    const { nonce } = decoded.value
    if (decoded.value.site !== site || decoded.value.host !== host)
      return this.#refusal('host-mismatch')
    const { store, clock } = this.#options
    const key = signature === undefined ? '' : signerOf(payload, signature)
    try {
      const [known = ''] = await store.keysOf([{ site, host }])
      if (key === undefined || key !== known) return this.#refusal('bad-signature')
      const text = new TextDecoder().decode(payload)
      const now = Math.floor(clock.now() / 1000)
      const isAsked = await store.requests.answer({ nonce, site, host }, text, now)
      return isAsked ? undefined : this.#refusal('unasked-windows')
    } catch (cause) {
      this.#options.log.warn('Cannot store windows that were asked for', { why: String(cause) })
      return 'not-stored'
    }
  }

  /** Each other key of a host is logged once, not with each of its messages. */
  #refuseKey({ arrival, reason }: StoreChange & { kind: 'refused' }): void {
    this.refuse(reason)
    const { message, key } = arrival
    const told = `${message.site}/${message.host} ${key}`
    if (this.#toldKeys.has(told)) return
    if (this.#toldKeys.size >= REFUSED_KEYS_TOLD_MAX) this.#toldKeys.clear()
    this.#toldKeys.add(told)
    const host = `${message.site}/${message.host}`
    if (key === undefined)
      this.#options.log.warn('Unsigned messages of a host that signs are refused', { host })
    else
      this.#options.log.warn('The key of a host has changed: its messages are refused', {
        host,
        key,
        hint: `If "agent status" on that host shows this key: agent aggregate accept ${host} ${key}`,
      })
  }

  #refusal(reason: string): 'refused' {
    this.refuse(reason)
    return 'refused'
  }

  /** Signed as the host signs: only so it is sure to reach an agent that speaks MQTT 3.1.1. */
  #sendReceipts(waiting: readonly Waiting[]): void {
    for (const [topic, ofHost] of Map.groupBy(waiting, receiptTopicOf)) {
      if (topic === undefined) continue
      const inPayload = ofHost.some((one) => one.inPayload)
      const messages = ofHost.map(({ arrival }) => arrival.message as Origin)
      for (const payload of encodeReceipts(messages[0]!, messages)) {
        const signature = this.#options.signer.sign(payload)
        if (inPayload) this.#link?.publish(topic, attachSignature(payload, signature))
        else this.#link?.publish(topic, payload, signature)
        this.#receipts++
      }
    }
  }
}

/** Statuses have no number, and get no receipt. */
function receiptTopicOf({ arrival }: Waiting): string | undefined {
  if (arrival.kind === 'status') return undefined
  return receiptTopic(arrival.message.site, arrival.message.host)
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
