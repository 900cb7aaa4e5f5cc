/**
 * Sends the outbox to the broker and publishes the agent's online status. It runs beside the
 * pipeline and never stops it: a broker that is unreachable, slow or hostile only makes the queue
 * longer.
 *
 * One session: connect (with an MQTT will) → subscribe to receipts and to the aggregator's status →
 * publish `online` → rows, at most IN_FLIGHT_MAX unacknowledged. A row leaves the outbox at the
 * aggregator's receipt, because a PUBACK is not delivery (89 of 3,068 alerts were lost that way,
 * measured). If no aggregator has ever announced itself, the PUBACK counts (`--delivery auto`).
 * Rows without a receipt are sent again: at each connect, when the aggregator returns, and after a
 * wait that doubles.
 *
 * Messages are signed with the host's key; receipts and statuses count if the aggregator signed them
 * (aggregator-trust.ts).
 *
 * Delivery is at least once: the aggregator drops duplicates by (host, boot, seq). Bytes per day
 * are bounded (ByteBudget), so a fault at the other end cannot cause unlimited resending.
 */
import { createHash } from 'node:crypto'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { FleetSubject } from '../domain/fleet-state.ts'
import {
  AGGREGATOR_SETTLE_MS,
  CONNECT_TIMEOUT_MS,
  IGNORED_REASONS_MAX,
  IN_FLIGHT_MAX,
  OUTBOX_FLUSH_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  REFUSED_MAX_MS,
  REFUSED_MIN_MS,
  RESEND_AFTER_MAX_MS,
  RESEND_AFTER_MS,
  STATUS_EVERY_MS,
  VECTORS_IN_FLIGHT_MAX,
  WIRE_BYTES_PER_DAY_MAX,
} from '../domain/limits.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { networkHint } from '../platform/linux/service-manager.ts'
import { type Log, log as processLog } from '../platform/log.ts'
import {
  type BrokerAddress,
  connectMqtt,
  type MqttConnection,
  type MqttMessage,
  type TlsFiles,
} from '../platform/mqtt/client.ts'
import type { Announcement } from '../wire/home-assistant.ts'
import { CONTENT_TYPE, cloudEvent } from '../wire/origin.ts'
import { decodeReceipt } from '../wire/receipt-message.ts'
import { type Signer, signedFor } from '../wire/signed.ts'
import { decodeAggregatorStatus, encodeStatus, type StatusMessage } from '../wire/status-message.ts'
import { type AgentTopics, agentTopics, fleetTopic } from '../wire/topics.ts'
import { type AggregatorKeys, AggregatorTrust } from './aggregator-trust.ts'
import { BackOff } from './back-off.ts'
import { ByteBudget } from './byte-budget.ts'
import type { Outbox, OutboxRow } from './outbox.ts'
import type { VectorsQueue } from './vectors-queue.ts'

export type DeliveryPolicy = 'auto' | 'receipt' | 'broker'

/** What the retained status says about this agent, beside host and time. */
export type Presence = Pick<StatusMessage, 'version' | 'model' | 'source' | 'fleet'>

export interface PublisherOptions {
  readonly broker: BrokerAddress
  readonly site: string
  readonly host: string
  readonly outbox: Outbox
  readonly presence: Presence
  /** Retained messages for other programs that read our topics, sent at each connection. */
  readonly announcements?: readonly Announcement[]
  /** Takes the documents that it names, once their signature is checked; the others are not asked for. */
  readonly fleet?: FleetReceivers
  /** Vectors that an aggregator classifies; sent beside the outbox, kept until the PUBACK. */
  readonly vectors?: VectorsQueue
  readonly delivery?: DeliveryPolicy
  readonly username?: string
  /** From a file or the environment, never from a flag. */
  readonly password?: string
  readonly tls?: TlsFiles
  /** Signs what is sent; absent: unsigned, as agents of earlier versions. */
  readonly signer?: Signer
  /** Public keys of aggregators whose receipts count; none: the first one seen is pinned. */
  readonly aggregatorKeys?: readonly string[]
  readonly clock?: Clock
  readonly log?: Log
  readonly random?: () => number
  /** How a session is opened; the simulator has a network of its own. */
  readonly connect?: typeof connectMqtt
  readonly inFlightMax?: number
  readonly resendAfterMs?: number
  readonly settleMs?: number
  readonly statusEveryMs?: number
  readonly reconnectMs?: readonly [min: number, max: number]
  readonly refusedMs?: readonly [min: number, max: number]
  readonly connectTimeoutMs?: number
  readonly bytesPerDayMax?: number
}

/** Take a payload without its signature. @returns why it is not used */
export type FleetReceivers = {
  readonly [K in FleetSubject]?: (payload: Uint8Array) => string | undefined
}

export interface PublisherState {
  readonly broker: string
  readonly connection: 'connecting' | 'connected' | 'waiting' | 'refused' | 'ended'
  readonly protocol: 5 | 4 | undefined
  readonly aggregator: 'online' | 'offline' | 'unknown'
  /** Absent in the documents of agents before they signed. */
  readonly aggregatorKeys?: AggregatorKeys
  /** What counts as delivered at present. */
  readonly delivery: 'receipt' | 'broker'
  readonly inFlight: number
  /** Unix ms of the last acknowledgement. */
  readonly lastAcknowledgedMs: number | undefined
  readonly lastError: string | undefined
  readonly sent: number
  readonly sentAgain: number
  /** Messages from the broker that were neither a receipt nor a valid status, by reason. */
  readonly ignored: Readonly<Record<string, number>>
  readonly bytesToday: number
  /** True while the byte budget of the day is used up. */
  readonly throttled: boolean
}

interface Sending {
  readonly row: OutboxRow
  sentAt: number
  waitMs: number
  /** The broker has it (PUBACK). */
  accepted: boolean
}

/** After a session of this length the back-off starts again from its shortest wait. */
const GOOD_SESSION_MS = 1_000
/** What MQTT, our properties and the signature add to a payload, roughly. */
const MESSAGE_OVERHEAD_BYTES = 456
/** How long a broker keeps a summary for a consumer that is not connected. */
const SUMMARY_EXPIRY_SECONDS = 86_400
const VECTORS_EXPIRY_SECONDS = 3_600

/**
 * How long a refused subscription waits, and a row that was set aside while nothing is known of an
 * aggregator.
 */
const SUBSCRIBE_AGAIN_MS = 3_000
const TAKE_BACK_AFTER_MS = 60_000

export class Publisher {
  readonly #options: PublisherOptions
  readonly #outbox: Outbox
  readonly #topics: AgentTopics
  readonly #fleetTopics: ReadonlyMap<string, FleetSubject>
  /** Why the latest document was not used that was refused. */
  readonly #fleetRefusals = new Map<FleetSubject, string>()
  readonly #clock: Clock
  readonly #log: Log
  readonly #budget: ByteBudget
  readonly #trust: AggregatorTrust
  readonly #stop = new AbortController()
  readonly #sending = new Map<string, Sending>()
  readonly #ignored = new Map<string, number>()
  readonly #emptyListeners = new Set<() => void>()
  #presence: Presence
  #running: Promise<void> | undefined
  #connection: MqttConnection | undefined
  #connectionState: PublisherState['connection'] = 'connecting'
  #settledAt = Infinity
  #aggregator: PublisherState['aggregator'] = 'unknown'
  #lastAcknowledgedMs: number | undefined
  #lastError: string | undefined
  /**
   * When rows that the broker has had are taken up again for an aggregator; Infinity where there
   * are none.
   */
  #takeBackAt = Infinity
  #subscribeAt = Infinity
  /** When the status is published again: another's late will may have replaced it on the broker. */
  #statusAt = Infinity
  /** Unix ms at which this connection began; grows whatever the clock does. */
  #sessionMs = 0
  #sent = 0
  #sentAgain = 0
  #vectorsInFlight = 0
  #throttled = false
  #wake: () => void = () => {}
  #woken = false
  #flushedAt = 0
  /**
   * The broker's protocol at the last session: an old one is not asked for MQTT 5 at each attempt.
   */
  #protocol: 5 | 4 | undefined
  #hurry: () => void = () => {}

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#outbox = options.outbox
    this.#topics = agentTopics(options.site, options.host)
    const subjects = Object.keys(options.fleet ?? {}) as FleetSubject[]
    this.#fleetTopics = new Map(subjects.map((what) => [fleetTopic(options.site, what), what]))
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? processLog
    this.#presence = options.presence
    this.#budget = new ByteBudget(options.bytesPerDayMax ?? WIRE_BYTES_PER_DAY_MAX)
    this.#trust = new AggregatorTrust(options.aggregatorKeys ?? [], this.#outbox, (keys) =>
      this.#log.warn("Refused: signed by another key than the aggregator's", {
        trusted: keys.trusted.join(', '),
        refused: keys.refused,
        hint: 'If it is the new key of the aggregator, set aggregator_key to it',
      }),
    )
    this.#outbox.onPut = () => this.#wakeUp()
    if (options.vectors !== undefined) options.vectors.onPut = () => this.#wakeUp()
    const { broker, password } = options
    if (password !== undefined && !broker.tls && !/^(127\.|::1$|localhost$)/.test(broker.host)) {
      this.#log.warn('The password is sent unencrypted', { broker: broker.url })
    }
  }

  /** Starts the loop, which ends with `end()` only. No broker behaviour makes it throw. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** The source or the model changed: publishes a new retained status. */
  announce(presence: Partial<Presence>): void {
    this.#presence = { ...this.#presence, ...presence }
    if (this.#connectionState === 'connected') this.#publishStatus('online')
  }

  state(): PublisherState {
    return {
      broker: this.#options.broker.url,
      connection: this.#connectionState,
      protocol: this.#connection?.protocol,
      aggregator: this.#aggregator,
      aggregatorKeys: this.#trust.keys(),
      delivery: this.#needsReceipt() ? 'receipt' : 'broker',
      inFlight: this.#sending.size,
      lastAcknowledgedMs: this.#lastAcknowledgedMs,
      lastError: this.#lastError,
      sent: this.#sent,
      sentAgain: this.#sentAgain,
      ignored: Object.fromEntries(this.#ignored),
      bytesToday: this.#budget.spent,
      throttled: this.#throttled,
    }
  }

  /** Waits until everything is delivered. @returns false on timeout */
  async drain(timeoutMs: number): Promise<boolean> {
    if (this.#isEmpty()) return true
    let timer: ReturnType<typeof setTimeout> | undefined
    let listener: (() => void) | undefined
    const emptied = await new Promise<boolean>((resolve) => {
      listener = () => resolve(true)
      this.#emptyListeners.add(listener)
      timer = setTimeout(() => resolve(false), timeoutMs)
      this.#hurry()
      this.#wakeUp()
    })
    clearTimeout(timer)
    if (listener !== undefined) this.#emptyListeners.delete(listener)
    return emptied
  }

  /**
   * Drains, publishes `offline`, and ends. Undelivered rows stay in the outbox for the next start.
   */
  async end(drainMs: number): Promise<boolean> {
    const drained = this.#running === undefined ? this.#isEmpty() : await this.drain(drainMs)
    this.#stop.abort()
    this.#hurry()
    this.#wakeUp()
    await this.#running
    this.#outbox.flush()
    this.#connectionState = 'ended'
    return drained
  }

  // --- Sessions ----------------------------------------------------------------------------------

  async #run(): Promise<void> {
    const { reconnectMs, refusedMs, random } = this.#options
    const away = new BackOff(...(reconnectMs ?? [RECONNECT_MIN_MS, RECONNECT_MAX_MS]), random)
    const refused = new BackOff(...(refusedMs ?? [REFUSED_MIN_MS, REFUSED_MAX_MS]), random)
    while (!this.#stop.signal.aborted) {
      const startedAt = this.#clock.monotonic()
      let waitMs: number
      try {
        this.#connectionState = 'connecting'
        this.#connection = await this.#connect()
        this.#protocol = this.#connection.protocol
        refused.reset()
        const reason = await this.#session(this.#connection)
        this.#failed('Broker connection ended', reason)
        if (this.#clock.monotonic() - startedAt >= GOOD_SESSION_MS) away.reset()
        this.#connectionState = 'waiting'
        waitMs = away.next()
      } catch (error) {
        // The address may lead to another broker next time.
        this.#protocol = undefined
        const isRefusal = error instanceof AgentError && !error.retriable
        const why = error instanceof Error ? error.message : String(error)
        this.#failed('Cannot reach broker', why, networkHint())
        this.#connectionState = isRefusal ? 'refused' : 'waiting'
        waitMs = isRefusal ? refused.next() : away.next()
      }
      this.#connection?.destroy()
      this.#connection = undefined
      this.#takeBack()
      this.#vectorsInFlight = 0
      this.#options.vectors?.takeBack()
      await this.#waitBeforeRetry(waitMs)
    }
  }

  #connect(): Promise<MqttConnection> {
    const { broker, username, password, tls, connectTimeoutMs } = this.#options
    const { connect = connectMqtt } = this.#options
    this.#sessionMs = Math.max(this.#clock.now(), this.#sessionMs + 1)
    return connect(broker, {
      clientId: this.#clientId(),
      ...(this.#protocol === 4 ? { protocol: 4 as const } : {}),
      ...defined({ username, password, tls, timeoutMs: connectTimeoutMs }),
      will: (protocol) => ({
        topic: this.#topics.status,
        ...signedFor(protocol, this.#status('offline', 'lost'), this.#options.signer),
        contentType: CONTENT_TYPE.status,
      }),
      signal: this.#stop.signal,
      onMessage: (message) => this.#receive(message),
    })
  }

  /**
   * The same for each session of this host, so that the broker ends a half-open earlier session.
   */
  #clientId(): string {
    const { site, host } = this.#options
    const digest = createHash('sha256').update(`${site}/${host}`).digest('hex')
    return `cs${digest.slice(0, 20)}`
  }

  /** @returns why it ended */
  async #session(connection: MqttConnection): Promise<string> {
    let ended: string | undefined
    connection.closed.then((reason) => {
      ended = reason
      this.#wakeUp()
    })
    const opened = this.#openSession(connection)
    await Promise.race([opened, connection.closed])
    if (ended === undefined) {
      this.#connectionState = 'connected'
      this.#lastError = undefined
      this.#settledAt = this.#clock.monotonic() + (this.#options.settleMs ?? AGGREGATOR_SETTLE_MS)
      this.#log.info('Connected to broker', {
        broker: this.#options.broker.url,
        protocol: connection.protocol === 5 ? '5' : '3.1.1',
      })
    }
    while (ended === undefined && !this.#stop.signal.aborted) {
      const workMs = this.#work(connection)
      const flushMs = this.#flush()
      if (this.#isEmpty()) this.#tellEmpty()
      await this.#pause(Math.min(workMs, flushMs))
    }
    if (ended !== undefined) return ended
    await Promise.race([this.#publishStatus('offline'), connection.closed, Bun.sleep(1_000)])
    await connection.end()
    return 'ended'
  }

  /**
   * Subscribes before it publishes, so that no receipt or announcement is missed. If the broker
   * refuses the subscription, rows are sent all the same; if it does not answer, the session ends.
   */
  async #openSession(connection: MqttConnection): Promise<void> {
    const patience = setTimeout(
      () => connection.destroy(),
      this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    )
    await this.#subscribe(connection)
    await this.#publishStatus('online')
    clearTimeout(patience)
    for (const { topic, payload } of this.#options.announcements ?? [])
      await connection
        .publish(topic, payload, { retain: true, contentType: 'application/json' })
        .catch((error) => this.#failed('The broker refuses an announcement', String(error)))
  }

  /**
   * A cluster that has just lost a node refuses for a while: a refused subscription is asked for
   * again.
   */
  async #subscribe(connection: MqttConnection): Promise<void> {
    this.#subscribeAt = Infinity
    try {
      await connection.subscribe([
        this.#topics.receipt,
        this.#topics.aggregatorStatus,
        ...this.#fleetTopics.keys(),
      ])
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (this.#connection !== connection) return
      this.#log.warn('The broker refuses the subscription to receipts', { reason })
      this.#subscribeAt = this.#clock.monotonic() + SUBSCRIBE_AGAIN_MS
    }
    this.#wakeUp()
  }

  /** Sends what may be sent now. @returns ms until the next timed action */
  #work(connection: MqttConnection): number {
    const now = this.#clock.monotonic()
    const inFlightMax = this.#options.inFlightMax ?? IN_FLIGHT_MAX
    this.#acceptSettled(now)
    this.#setAsideAccepted(now)
    if (now >= this.#subscribeAt) void this.#subscribe(connection)
    if (now >= this.#statusAt) void this.#publishStatus('online')
    let waitMs = Math.min(this.#subscribeAt, this.#statusAt) - now
    if (this.#aggregator === 'unknown') waitMs = Math.min(waitMs, this.#takeBackAt - now)
    for (const sending of this.#sending.values()) {
      if (this.#aggregator === 'offline' && this.#needsReceipt()) break
      const due = sending.sentAt + sending.waitMs
      if (due > now) waitMs = Math.min(waitMs, due - now)
      else if (this.#mayASend(sending.row, now)) {
        sending.waitMs = Math.min(sending.waitMs * 2, RESEND_AFTER_MAX_MS)
        this.#sentAgain += 1
        this.#send(connection, sending, now)
        waitMs = Math.min(waitMs, sending.waitMs)
      } else waitMs = Math.min(waitMs, THROTTLE_CHECK_MS)
    }
    if (this.#settledAt > now && this.#sending.size > 0) {
      waitMs = Math.min(waitMs, this.#settledAt - now)
    }
    this.#throttled = false
    for (const kind of ['alert', 'summary'] as const) {
      const free = inFlightMax - this.#sending.size
      if (free <= 0) break
      const bytesMax = this.#budget.left(kind, now)
      for (const row of this.#outbox.take(free, [kind], bytesMax, MESSAGE_OVERHEAD_BYTES)) {
        if (row.payload.byteLength + MESSAGE_OVERHEAD_BYTES > connection.packetBytesMax) {
          this.#outbox.giveUp(row, 'too-long(broker)')
          waitMs = 0
          continue
        }
        const resendAfterMs = this.#options.resendAfterMs ?? RESEND_AFTER_MS
        const sending = { row, sentAt: now, waitMs: resendAfterMs, accepted: false }
        this.#sending.set(keyOf(row), sending)
        this.#sent += 1
        this.#send(connection, sending, now)
        waitMs = Math.min(waitMs, resendAfterMs)
      }
      if (this.#outbox.waits(kind) && this.#sending.size < inFlightMax) this.#throttled = true
    }
    if (this.#throttled) waitMs = Math.min(waitMs, THROTTLE_CHECK_MS)
    this.#sendVectors(connection)
    return waitMs
  }

  /** Behind alerts and summaries; a PUBACK is enough for them (vectors-queue.ts). */
  #sendVectors(connection: MqttConnection): void {
    const { vectors, site, host, signer } = this.#options
    if (vectors === undefined) return
    while (this.#vectorsInFlight < VECTORS_IN_FLIGHT_MAX) {
      const row = vectors.take()
      if (row === undefined) return
      if (row.payload.byteLength + MESSAGE_OVERHEAD_BYTES > connection.packetBytesMax) {
        vectors.giveUp(row)
        continue
      }
      this.#vectorsInFlight += 1
      const properties = cloudEvent(
        'vectors',
        { site, host, boot: vectors.boot, seq: row.seq },
        row.time,
      )
      const { payload, ...signature } = signedFor(connection.protocol, row.payload, signer)
      connection
        .publish(this.#topics.vectors, payload, {
          ...signature,
          contentType: CONTENT_TYPE.vectors,
          expirySeconds: VECTORS_EXPIRY_SECONDS,
          userProperties: properties,
        })
        .then(
          () => vectors.sent(row),
          (error) => {
            this.#lastError = error instanceof Error ? error.message : String(error)
          },
        )
        .finally(() => {
          if (this.#connection !== connection) return
          this.#vectorsInFlight -= 1
          this.#wakeUp()
        })
    }
  }

  #isEmpty(): boolean {
    return this.#outbox.queued === 0 && (this.#options.vectors?.queued ?? 0) === 0
  }

  /**
   * Each write is synced, so receipts that arrive one by one share a write. @returns ms until the
   * next
   */
  #flush(): number {
    if (!this.#outbox.dirty) return Infinity
    const leftMs = this.#flushedAt + OUTBOX_FLUSH_MS - this.#clock.monotonic()
    if (leftMs > 0 && this.#outbox.queued > 0) return leftMs
    this.#outbox.flush()
    this.#flushedAt = this.#clock.monotonic()
    return this.#outbox.dirty ? DISK_RETRY_MS : Infinity
  }

  #mayASend(row: OutboxRow, now: number): boolean {
    return row.payload.byteLength + MESSAGE_OVERHEAD_BYTES <= this.#budget.left(row.kind, now)
  }

  #send(connection: MqttConnection, sending: Sending, now: number): void {
    const { row } = sending
    const { site, host, signer } = this.#options
    sending.sentAt = now
    this.#budget.spend(row.payload.byteLength + MESSAGE_OVERHEAD_BYTES, now)
    const { payload, ...signature } = signedFor(connection.protocol, row.payload, signer)
    connection
      .publish(this.#topics[row.kind], payload, {
        ...signature,
        contentType: CONTENT_TYPE[row.kind],
        ...(row.kind === 'summary' ? { expirySeconds: SUMMARY_EXPIRY_SECONDS } : {}),
        userProperties: cloudEvent(
          row.kind,
          { site, host, boot: row.boot, seq: row.seq },
          row.time,
        ),
      })
      .then(
        () => {
          sending.accepted = true
          this.#wakeUp()
        },
        (error) => {
          // Refused by a reason code, or the session ended: it is sent again either way.
          this.#lastError = error instanceof Error ? error.message : String(error)
        },
      )
  }

  #needsReceipt(): boolean {
    const { delivery = 'auto' } = this.#options
    return delivery === 'receipt' || (delivery === 'auto' && this.#outbox.aggregatorSeen)
  }

  /** If PUBACKs count: removes acknowledged rows once an aggregator had time to announce itself. */
  #acceptSettled(now: number): void {
    if (this.#needsReceipt()) return
    if (this.#options.delivery !== 'broker' && now < this.#settledAt) return
    const accepted = [...this.#sending.values()].filter((sending) => sending.accepted)
    this.#arrived(accepted.map(({ row: { boot, seq } }) => ({ boot, from: seq, to: seq })))
  }

  /**
   * While no aggregator is there, the broker's other subscribers still get every row once: a row
   * that the broker has leaves its place to the next, stays in the outbox, and is sent again when
   * an aggregator is back.
   */
  #setAsideAccepted(now: number): void {
    // An aggregator that may not announce itself can still be there: what it gave no receipt for
    // goes again in a while.
    if (now >= this.#takeBackAt && this.#aggregator === 'unknown') this.#takeBack()
    if (!this.#needsReceipt() || this.#aggregator === 'online' || now < this.#settledAt) return
    for (const [key, { accepted }] of this.#sending) {
      if (!accepted) continue
      this.#sending.delete(key)
      if (this.#takeBackAt === Infinity) this.#takeBackAt = now + TAKE_BACK_AFTER_MS
    }
  }

  #takeBack(): void {
    this.#takeBackAt = Infinity
    this.#sending.clear()
    this.#outbox.takeBack()
  }

  #arrived(ranges: Parameters<Outbox['acknowledge']>[0]): void {
    if (ranges.length === 0) return
    const count = this.#outbox.acknowledge(ranges)
    if (count === 0) {
      this.#ignore('receipt-for-nothing')
      return
    }
    this.#lastAcknowledgedMs = this.#clock.now()
    for (const [key, { row }] of this.#sending) {
      const covered = ranges.some(
        ({ boot, from, to }) => boot === row.boot && from <= row.seq && row.seq <= to,
      )
      if (covered) this.#sending.delete(key)
    }
  }

  // --- What comes in -----------------------------------------------------------------------------

  #receive({ topic, payload, signature }: MqttMessage): void {
    const isReceipt = topic === this.#topics.receipt
    const fleet = this.#fleetTopics.get(topic)
    if (fleet !== undefined) {
      this.#receiveFleet(fleet, payload, signature)
      return
    }
    if (!isReceipt && topic !== this.#topics.aggregatorStatus) {
      this.#ignore('unknown-topic')
      return
    }
    const trusted = this.#trust.read(payload, signature)
    if (!trusted.ok) this.#ignore(`${isReceipt ? 'receipt' : 'aggregator'}: ${trusted.reason}`)
    else if (isReceipt) this.#receiveReceipt(trusted.payload, trusted.signed)
    else this.#receiveAggregatorStatus(trusted.payload)
  }

  /** Unsigned ones never count: they change what is an alert. */
  #receiveFleet(what: FleetSubject, payload: Uint8Array, signature: string | undefined): void {
    const trusted = this.#trust.read(payload, signature)
    const reason = !trusted.ok
      ? trusted.reason
      : trusted.signed
        ? this.#options.fleet?.[what]?.(trusted.payload)
        : 'unsigned'
    if (reason !== undefined) this.#ignore(`${what}: ${reason}`)
    // An aggregator repeats what is retained, and on a foreign broker anybody may publish there.
    const isNews = reason !== undefined && reason !== this.#fleetRefusals.get(what)
    if (isNews) this.#log.warn('A document of the fleet is not used', { what, reason })
    if (reason !== undefined) this.#fleetRefusals.set(what, reason)
  }

  #receiveReceipt(payload: Uint8Array, signed: boolean): void {
    const receipt = decodeReceipt(payload)
    if (!receipt.ok) {
      this.#ignore(`receipt: ${receipt.reason}`)
      return
    }
    // A signed receipt names its host: that of another host is none for this one.
    const { site, host, stored } = receipt.value
    if (signed && (site !== this.#options.site || host !== this.#options.host)) {
      this.#ignore('receipt: other-host')
      return
    }
    this.#arrived(stored)
    this.#wakeUp()
  }

  #receiveAggregatorStatus(payload: Uint8Array): void {
    const status = decodeAggregatorStatus(payload)
    if (!status.ok || status.value.site !== this.#options.site) {
      this.#ignore(`aggregator: ${status.ok ? 'other-site' : status.reason}`)
      return
    }
    this.#outbox.noteAggregator()
    this.#aggregator = status.value.state
    if (status.value.state === 'online') {
      if (this.#takeBackAt !== Infinity) this.#takeBack()
      // It may have missed messages while it was unreachable: they are sent again without a long
      // wait.
      const resendAfterMs = this.#options.resendAfterMs ?? RESEND_AFTER_MS
      for (const sending of this.#sending.values()) {
        sending.waitMs = Math.min(sending.waitMs, resendAfterMs)
      }
    }
    this.#wakeUp()
  }

  #ignore(reason: string): void {
    const known = this.#ignored.has(reason) || this.#ignored.size < IGNORED_REASONS_MAX
    const name = known ? reason : 'other'
    this.#ignored.set(name, (this.#ignored.get(name) ?? 0) + 1)
  }

  // --- Status ------------------------------------------------------------------------------------

  #publishStatus(state: StatusMessage['state']): Promise<void> {
    const { protocol = 5 } = this.#connection ?? {}
    const { signer, statusEveryMs = STATUS_EVERY_MS } = this.#options
    this.#statusAt = this.#clock.monotonic() + statusEveryMs
    const { payload, ...signature } = signedFor(protocol, this.#status(state, 'ended'), signer)
    const published = this.#connection?.publish(this.#topics.status, payload, {
      ...signature,
      retain: true,
      contentType: CONTENT_TYPE.status,
    })
    return (published ?? Promise.resolve()).catch((error) => {
      this.#lastError = error instanceof Error ? error.message : String(error)
    })
  }

  #status(state: StatusMessage['state'], reason: 'ended' | 'lost'): Uint8Array {
    const { site, host } = this.#options
    return encodeStatus({
      v: 1,
      state,
      site,
      host,
      boot: this.#outbox.boot,
      session: this.#sessionMs,
      time: Math.floor(this.#clock.now() / 1000),
      ...this.#presence,
      ...(state === 'offline' ? { reason } : {}),
    })
  }

  /** Logs once per reason, not once per attempt. */
  #failed(words: string, reason: string, hint?: string): void {
    if (this.#stop.signal.aborted) return
    if (reason !== this.#lastError) {
      const { url } = this.#options.broker
      this.#log.warn(words, { broker: url, reason, ...defined({ hint }) })
    }
    this.#lastError = reason
  }

  // --- Waiting -----------------------------------------------------------------------------------

  #tellEmpty(): void {
    for (const listener of this.#emptyListeners) listener()
    this.#emptyListeners.clear()
  }

  #wakeUp(): void {
    this.#woken = true
    this.#wake()
  }

  /** New rows do not end this wait, or each would cause an attempt; `end()` and one drain do. */
  async #waitBeforeRetry(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#hurry = () => {}
  }

  /** Waits for an event or for the time, whichever is first. */
  async #pause(ms: number): Promise<void> {
    if (!this.#woken && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = ms === Infinity ? undefined : setTimeout(resolve, Math.min(ms, 2 ** 30))
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#wake = () => {}
    this.#woken = false
  }
}

const THROTTLE_CHECK_MS = 60_000
/** How long until a failed write of the outbox is retried, if nothing is put before. */
const DISK_RETRY_MS = 5_000

function keyOf({ boot, seq }: OutboxRow): string {
  return `${boot}-${seq}`
}
