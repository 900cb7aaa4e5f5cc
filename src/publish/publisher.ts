/**
 * Sends the outbox to the broker and publishes the agent's online status. It runs beside the
 * pipeline and never stops it: a broker that is unreachable, slow or hostile only makes the queue
 * longer.
 *
 * One session: connect (with an MQTT will) → subscribe to receipts and to the aggregator's status →
 * publish `online` → rows, at most IN_FLIGHT_MAX unacknowledged. A row leaves the outbox at the
 * aggregator's receipt, because a PUBACK is not delivery (89 of 3,068 alerts were lost that way,
 * measured). If no aggregator has ever announced itself, the PUBACK counts (delivery.ts). Rows
 * without a receipt are sent again: at each connect, when the aggregator returns, and after a
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
import {
  AGGREGATOR_SETTLE_MS,
  CONNECT_TIMEOUT_MS,
  IN_FLIGHT_MAX,
  OUTBOX_FLUSH_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  REFUSED_MAX_MS,
  REFUSED_MIN_MS,
  RESEND_AFTER_MAX_MS,
  STATUS_EVERY_MS,
  WIRE_BYTES_PER_DAY_MAX,
} from '../domain/limits.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { networkHint } from '../platform/linux/service-manager.ts'
import { type Log, log as processLog } from '../platform/log.ts'
import { connectMqtt, type MqttConnection } from '../platform/mqtt/client.ts'
import { CONTENT_TYPE, cloudEvent } from '../wire/origin.ts'
import { signedFor } from '../wire/signed.ts'
import { encodeStatus, type StatusMessage } from '../wire/status-message.ts'
import { type AgentTopics, agentTopics } from '../wire/topics.ts'
import { AggregatorTrust } from './aggregator-trust.ts'
import { BackOff } from './back-off.ts'
import { ByteBudget, MESSAGE_OVERHEAD_BYTES } from './byte-budget.ts'
import { Delivery, type Sending } from './delivery.ts'
import { Incoming } from './incoming.ts'
import type { Outbox, OutboxRow } from './outbox.ts'
import type { Presence, PublisherOptions, PublisherState } from './publisher-options.ts'
import { VectorsInFlight } from './vectors-in-flight.ts'
import { WakeUp } from './wake-up.ts'

/** After a session of this length the back-off starts again from its shortest wait. */
const GOOD_SESSION_MS = 1_000
/** How long a broker keeps a summary for a consumer that is not connected. */
const SUMMARY_EXPIRY_SECONDS = 86_400

const THROTTLE_CHECK_MS = 60_000
/** How long until a failed write of the outbox is retried, if nothing is put before. */
const DISK_RETRY_MS = 5_000
/** How long a refused subscription waits. */
const SUBSCRIBE_AGAIN_MS = 3_000

export class Publisher {
  readonly #options: PublisherOptions
  readonly #outbox: Outbox
  readonly #topics: AgentTopics
  readonly #clock: Clock
  readonly #log: Log
  readonly #budget: ByteBudget
  readonly #trust: AggregatorTrust
  readonly #stop = new AbortController()
  readonly #delivery: Delivery
  readonly #incoming: Incoming
  readonly #vectors: VectorsInFlight | undefined
  readonly #waiting = new WakeUp()
  readonly #emptyListeners = new Set<() => void>()
  #presence: Presence
  /** It changed since the last status was made. */
  #isPresenceNew = false
  #running: Promise<void> | undefined
  #connection: MqttConnection | undefined
  #connectionState: PublisherState['connection'] = 'connecting'
  #lastError: string | undefined
  #subscribeAt = Infinity
  /** When the status is published again: another's late will may have replaced it on the broker. */
  #statusAt = Infinity
  /** Unix ms at which this connection began; grows whatever the clock does. */
  #sessionMs = 0
  #sent = 0
  #sentAgain = 0
  #throttled = false
  #flushedAt = 0
  /**
   * The broker's protocol at the last session: an old one is not asked for MQTT 5 at each attempt.
   */
  #protocol: 5 | 4 | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#outbox = options.outbox
    this.#topics = agentTopics(options.site, options.host)
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
    this.#delivery = new Delivery(this.#outbox, this.#clock, options)
    this.#incoming = new Incoming(options, this.#topics, this.#trust, this.#log, {
      onReceipt: (stored) => {
        if (!this.#delivery.arrived(stored)) this.#incoming.ignore('receipt-for-nothing')
        this.#waiting.wake()
      },
      onQuestion: (payload) => this.#answer(payload),
      onAggregator: (state) => {
        this.#delivery.aggregatorIs(state)
        this.#waiting.wake()
      },
    })
    this.#outbox.onPut = () => this.#waiting.wake()
    const { vectors } = options
    if (vectors !== undefined) {
      vectors.onPut = () => this.#waiting.wake()
      this.#vectors = new VectorsInFlight(vectors, this.#topics.vectors, options)
    }
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
    this.#isPresenceNew = true
    if (this.#connectionState === 'connected') this.#publishStatus('online')
  }

  /**
   * Subscribes to this topic instead of the one that was asked for before, now and with each
   * connection; undefined: to none.
   */
  ask(topic: string | undefined): void {
    const before = this.#incoming.asked
    this.#incoming.asked = topic
    const failed = (error: unknown) => {
      this.#lastError = error instanceof Error ? error.message : String(error)
    }
    if (before !== undefined && before !== topic)
      this.#connection?.unsubscribe([before]).catch(failed)
    if (topic !== undefined) this.#connection?.subscribe([topic]).catch(failed)
  }

  state(): PublisherState {
    return {
      broker: this.#options.broker.url,
      connection: this.#connectionState,
      protocol: this.#connection?.protocol,
      aggregator: this.#delivery.aggregator,
      aggregatorKeys: this.#trust.keys(),
      delivery: this.#delivery.needsReceipt ? 'receipt' : 'broker',
      inFlight: this.#delivery.inFlight,
      lastAcknowledgedMs: this.#delivery.lastAcknowledgedMs,
      lastError: this.#lastError,
      sent: this.#sent,
      sentAgain: this.#sentAgain,
      ignored: this.#incoming.ignored,
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
      this.#waiting.hurry()
      this.#waiting.wake()
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
    this.#waiting.hurry()
    this.#waiting.wake()
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
      this.#delivery.takeBack()
      this.#vectors?.takeBack()
      if (!this.#stop.signal.aborted) await this.#waiting.beforeRetry(waitMs)
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
      onMessage: (message) => this.#incoming.receive(message),
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
      this.#waiting.wake()
    })
    const opened = this.#openSession(connection)
    await Promise.race([opened, connection.closed])
    if (ended === undefined) {
      this.#connectionState = 'connected'
      this.#lastError = undefined
      // A retained document of the fleet is here before the first status has been taken.
      if (this.#isPresenceNew) void this.#publishStatus('online')
      this.#delivery.sessionBegan(this.#options.settleMs ?? AGGREGATOR_SETTLE_MS)
      this.#log.info('Connected to broker', {
        broker: this.#options.broker.url,
        protocol: connection.protocol === 5 ? '5' : '3.1.1',
      })
    }
    while (ended === undefined && !this.#stop.signal.aborted) {
      const workMs = this.#work(connection)
      const flushMs = this.#flush()
      if (this.#isEmpty()) this.#tellEmpty()
      await this.#waiting.pause(Math.min(workMs, flushMs))
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
      await connection.subscribe([...this.#incoming.filters])
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (this.#connection !== connection) return
      this.#log.warn('The broker refuses the subscription to receipts', { reason })
      this.#subscribeAt = this.#clock.monotonic() + SUBSCRIBE_AGAIN_MS
    }
    if (this.#incoming.asked !== undefined) this.ask(this.#incoming.asked)
    this.#waiting.wake()
  }

  /** Sends what may be sent now. @returns ms until the next timed action */
  #work(connection: MqttConnection): number {
    const now = this.#clock.monotonic()
    const inFlightMax = this.#options.inFlightMax ?? IN_FLIGHT_MAX
    const delivery = this.#delivery
    if (!delivery.settle(now)) this.#incoming.ignore('receipt-for-nothing')
    if (now >= this.#subscribeAt) void this.#subscribe(connection)
    if (now >= this.#statusAt) void this.#publishStatus('online')
    let waitMs = Math.min(this.#subscribeAt - now, this.#statusAt - now, delivery.waitMs(now))
    for (const sending of delivery.sending) {
      if (delivery.isAggregatorAway) break
      const due = sending.sentAt + sending.waitMs
      if (due > now) waitMs = Math.min(waitMs, due - now)
      else if (this.#mayASend(sending.row, now)) {
        sending.waitMs = Math.min(sending.waitMs * 2, RESEND_AFTER_MAX_MS)
        this.#sentAgain += 1
        this.#send(connection, sending, now)
        waitMs = Math.min(waitMs, sending.waitMs)
      } else waitMs = Math.min(waitMs, THROTTLE_CHECK_MS)
    }
    this.#throttled = false
    for (const kind of ['alert', 'summary'] as const) {
      const free = inFlightMax - delivery.inFlight
      if (free <= 0) break
      const bytesMax = this.#budget.left(kind, now)
      for (const row of this.#outbox.take(free, [kind], bytesMax, MESSAGE_OVERHEAD_BYTES)) {
        if (row.payload.byteLength + MESSAGE_OVERHEAD_BYTES > connection.packetBytesMax) {
          this.#outbox.giveUp(row, 'too-long(broker)')
          waitMs = 0
          continue
        }
        const sending = delivery.begin(row, now)
        this.#sent += 1
        this.#send(connection, sending, now)
        waitMs = Math.min(waitMs, sending.waitMs)
      }
      if (this.#outbox.waits(kind) && delivery.inFlight < inFlightMax) this.#throttled = true
    }
    if (this.#throttled) waitMs = Math.min(waitMs, THROTTLE_CHECK_MS)
    this.#vectors?.send(connection, (error) => {
      if (error !== undefined)
        this.#lastError = error instanceof Error ? error.message : String(error)
      if (this.#connection === connection) this.#waiting.wake()
    })
    return waitMs
  }

  /** Within the day's bytes, and not kept: who asked asks again. @returns why there is none */
  #answer(question: Uint8Array): string | undefined {
    const { questions, signer } = this.#options
    const connection = this.#connection
    if (questions === undefined || connection === undefined) return 'not-answered'
    const answer = questions.answer(question)
    if (typeof answer === 'string') return answer
    const now = this.#clock.monotonic()
    const bytes = answer.byteLength + MESSAGE_OVERHEAD_BYTES
    if (bytes > Math.min(this.#budget.left('summary', now), connection.packetBytesMax)) {
      questions.notSent(question)
      return 'no-bytes-left'
    }
    this.#budget.spend(bytes, now)
    const { payload, ...signature } = signedFor(connection.protocol, answer, signer)
    connection
      .publish(this.#topics.windows, payload, { ...signature, contentType: CONTENT_TYPE.windows })
      .catch((error) => {
        this.#lastError = error instanceof Error ? error.message : String(error)
        questions.notSent(question)
      })
    return undefined
  }

  #isEmpty(): boolean {
    return this.#outbox.queued === 0 && (this.#vectors?.queued ?? 0) === 0
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
          this.#waiting.wake()
        },
        (error) => {
          // Refused by a reason code, or the session ended: it is sent again either way.
          this.#lastError = error instanceof Error ? error.message : String(error)
        },
      )
  }

  // --- Status ------------------------------------------------------------------------------------

  #publishStatus(state: StatusMessage['state']): Promise<void> {
    const { protocol = 5 } = this.#connection ?? {}
    const { signer, statusEveryMs = STATUS_EVERY_MS } = this.#options
    this.#statusAt = this.#clock.monotonic() + statusEveryMs
    this.#isPresenceNew = false
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

  #tellEmpty(): void {
    for (const listener of this.#emptyListeners) listener()
    this.#emptyListeners.clear()
  }
}
