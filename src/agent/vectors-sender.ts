/**
 * `watch --send vectors`: counts this host's calls and sends the vectors to an aggregator that
 * classifies them. No model, no inference, no frames on disk: for hosts that are too small for
 * them, or not to decide for themselves. A summary a minute is sent as well, without classes.
 *
 * State directory: lock.db, outbox.db (summaries), local.db (ledger).
 */
import { join } from 'node:path'
import { LocalStore } from '../buffer/local-store.ts'
import { Counter, type CounterOptions } from '../count/counter.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { DRAIN_MS, INTERRUPTED_DRAIN_MS, STATUS_SAVE_EVERY_MS } from '../domain/limits.ts'
import type { Source, SourceFormat, UserInput } from '../domain/source.ts'
import type { Clock } from '../platform/clock.ts'
import { version } from '../platform/embedded.ts'
import { collectGarbage } from '../platform/heap.ts'
import { openIdentity } from '../platform/identity.ts'
import { log } from '../platform/log.ts'
import type { BrokerAddress } from '../platform/mqtt/client.ts'
import { lockDirectory } from '../platform/sqlite.ts'
import { Outbox } from '../publish/outbox.ts'
import { Publisher } from '../publish/publisher.ts'
import { Summariser } from '../publish/summariser.ts'
import { VectorsQueue } from '../publish/vectors-queue.ts'
import { hostSecret } from '../settings/host-secret.ts'
import { brokerLogin } from '../settings/settings.ts'
import { requireOwnState } from '../settings/state-directory.ts'
import { type AgentSettings, brokerOf, deliveryOf } from './agent.ts'
import { OwnCost } from './own-cost.ts'
import { Reading } from './reading.ts'
import type { SecondsLedger } from './seconds.ts'
import { Sight } from './sight.ts'
import { ledgerOf, type SendingStatus } from './status-document.ts'

const COLLECT_EVERY_MS = 15_000

export interface SenderOptions {
  readonly settings: AgentSettings
  readonly source: { readonly name: string; readonly why: string }
  readonly counter: CounterOptions
  readonly clock: Clock
}

export interface SenderOutcome {
  readonly status: SendingStatus
  /** What the input was, of several the last. */
  readonly format: SourceFormat | undefined
  /** What ended it before its end. */
  readonly error: unknown
  /** All that was to be sent has arrived at the broker. */
  readonly arrived: boolean
}

/** @throws AgentError where there is no broker, or the state directory cannot be used */
export function openSender(options: SenderOptions): VectorsSender {
  const { settings } = options
  const broker = brokerOf(settings)
  if (broker === undefined)
    throw new AgentError('ERR_USAGE', 'Cannot send vectors: no broker is given', {
      hint: 'Give --broker URL, or leave --send vectors out to classify on this host',
    })
  requireOwnState(settings.state)
  const lock = lockDirectory(settings.state)
  try {
    return new VectorsSender(options, broker, () => lock.release())
  } catch (error) {
    lock.release()
    throw error
  }
}

export class VectorsSender {
  readonly #options: SenderOptions
  readonly #release: () => void
  readonly #counter: Counter
  readonly #local: LocalStore
  readonly #outbox: Outbox
  readonly #vectors: VectorsQueue
  readonly #publisher: Publisher
  readonly #summariser: Summariser
  readonly #cost: OwnCost
  readonly #sight = new Sight()
  readonly #seconds: SecondsLedger = { frames: 0, lastFrame: 0, unjudged: {} }
  readonly #startedMs: number
  readonly #publicKey: string
  #reading: Reading | undefined
  #onStatus: ((status: SendingStatus) => void) | undefined
  #lagMs = 0
  #savedAtMs = Number.NEGATIVE_INFINITY
  #collectedAtMs = 0

  constructor(options: SenderOptions, broker: BrokerAddress, release: () => void) {
    const { settings, source, clock } = options
    const { site, host, state, delivery, aggregatorKey } = settings
    const identity = openIdentity(hostSecret(state, 'host.key'))
    this.#publicKey = identity.publicKey
    this.#options = options
    this.#release = release
    this.#startedMs = clock.now()
    this.#local = LocalStore.open(join(state, 'local.db'))
    this.#outbox = Outbox.open(join(state, 'outbox.db'), { site, host })
    this.#counter = new Counter(options.counter)
    this.#cost = new OwnCost(clock, () => this.#counter.ledger().observed)
    this.#vectors = new VectorsQueue({ site, host, boot: this.#outbox.boot })
    this.#summariser = new Summariser({ site, host, gauges: () => this.#gauges() })
    this.#publisher = new Publisher({
      ...{
        site,
        host,
        ...defined({ delivery: deliveryOf(delivery) }),
        outbox: this.#outbox,
        vectors: this.#vectors,
        clock,
      },
      ...{ signer: identity, aggregatorKeys: aggregatorKey },
      broker,
      presence: { version, model: '', source: source.name },
      ...brokerLogin(settings),
    })
  }

  /** Until the source ends, or the signal. */
  async run(
    sources: readonly Source[],
    input: UserInput & {
      readonly onSecond?: () => void
      readonly onStatus?: (status: SendingStatus) => void
    },
    signal: AbortSignal,
  ): Promise<SenderOutcome> {
    const reading = new Reading({
      ...{ counter: this.#counter, clock: this.#options.clock, cost: this.#cost },
      ...{ ledger: this.#seconds, input, signal },
      process: (frame) => this.#take(frame),
      after: (count) => {
        if (count > 0) input.onSecond?.()
        this.#saveNow()
      },
    })
    this.#reading = reading
    this.#onStatus = input.onStatus
    this.#publisher.start()
    let error: unknown
    for (const source of sources) {
      try {
        await reading.take(source)
      } catch (cause) {
        error = cause
      }
      if (error !== undefined || signal.aborted) break
    }
    await reading.end()
    this.#vectors.flush()
    const summary = this.#summariser.end()
    if (summary !== undefined) this.#outbox.put([], summary)
    const arrived = await this.#publisher.end(signal.aborted ? INTERRUPTED_DRAIN_MS : DRAIN_MS)
    return { status: this.#save(true), format: reading.format, error, arrived }
  }

  close(): void {
    this.#outbox.close()
    this.#local.close()
    this.#release()
  }

  async #take(frame: Frame): Promise<undefined> {
    this.#lagMs = this.#reading?.lagOf(frame) ?? 0
    this.#sight.push(frame, undefined)
    this.#vectors.push(frame)
    const summary = this.#summariser.push(frame)
    if (summary !== undefined) this.#outbox.put([], summary)
  }

  #gauges() {
    const { dropped } = this.#vectors.ledger()
    return {
      dropped: this.#counter.ledger().dropped,
      alertsOpen: 0,
      lagMs: this.#lagMs,
      outboxRows: this.#outbox.queued,
      ...this.#cost.read(),
      unjudged: {
        ...this.#seconds.unjudged,
        ...(dropped === 0 ? {} : { 'not-sent': dropped }),
      },
    }
  }

  #saveNow(): void {
    const now = this.#options.clock.monotonic()
    // What a second leaves behind is small, and would be kept until much has gathered.
    if (now - this.#collectedAtMs >= COLLECT_EVERY_MS) {
      this.#collectedAtMs = now
      collectGarbage()
    }
    if (now - this.#savedAtMs < STATUS_SAVE_EVERY_MS) return
    try {
      this.#save(false)
    } catch (error) {
      log.error('Cannot save the ledger', { error: String(error) })
    }
  }

  #save(ended: boolean): SendingStatus {
    const { clock } = this.#options
    this.#savedAtMs = clock.monotonic()
    const status = this.#status()
    this.#local.ledger.put({ savedAtMs: clock.now(), pid: process.pid, ended, ledger: status })
    this.#onStatus?.(status)
    return status
  }

  #status(): SendingStatus {
    const { settings, source } = this.#options
    return {
      v: 1,
      startedMs: this.#startedMs,
      version,
      site: settings.site,
      host: settings.host,
      source,
      ...ledgerOf({ counter: this.#counter, outbox: this.#outbox }, this.#seconds),
      lagMs: this.#lagMs,
      vectors: this.#vectors.ledger(),
      key: this.#publicKey,
      publisher: this.#publisher.state(),
      sight: this.#sight.status(),
      cost: this.#cost.read(),
      ...defined({ collector: this.#reading?.parser?.status }),
    }
  }
}
