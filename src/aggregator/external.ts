/**
 * An external broker (mosquitto, EMQX, …): one connection that subscribes and sends receipts, and
 * one per site, because a connection has one will and each site has its own announcement.
 *
 * Aggregators that share a store (PostgreSQL) share alerts and summaries (`$share/aggregators/…`,
 * MQTT 5), each message to one of them; those with a store each all get everything, or each would
 * hold half of every alert's life. Statuses are never shared: they are retained, and a shared
 * subscription is given no retained messages. Where the broker knows no shared subscriptions every
 * aggregator gets everything, and the store drops what it has.
 *
 * An unreachable broker does not end the aggregator: agents keep their alerts, and we reconnect
 * with jittered back-off. A refused login or a wrong certificate at the start does.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  BROKER_PAUSE_MAX_MS,
  BROKER_PAUSE_MIN_MS,
  PAYLOAD_BYTES_MAX,
  SITES_MAX,
} from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import {
  type BrokerAddress,
  connectMqtt,
  type MqttConnection,
  type MqttConnectOptions,
  parseBrokerUrl,
  type TlsFiles,
} from '../platform/mqtt/client.ts'
import { CONTENT_TYPE } from '../wire/origin.ts'
import { attachSignature, type Signer } from '../wire/signed.ts'
import { encodeAggregatorStatus } from '../wire/status-message.ts'
import { aggregatorFilters, aggregatorStatusTopic, vectorsFilter } from '../wire/topics.ts'
import type { BrokerLink } from './embedded.ts'
import type { Subscriber } from './subscriber.ts'

export interface ExternalOptions {
  readonly url: string
  readonly username?: string
  readonly password?: string
  readonly tls?: TlsFiles
  /** Aborted: stop waiting for a broker that is away. */
  readonly signal?: AbortSignal
}

export interface ExternalContext {
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  readonly signer: Signer
  /** Others may write to the same store: they share the work. */
  readonly sharesStore: boolean
  /** This one classifies. */
  readonly takesVectors: boolean
}

/**
 * A broker hands over what all hosts send: not the bound of an agent, which expects receipts only.
 */
const INBOUND_PER_SECOND = 200_000

export async function connectExternal(
  subscriber: Subscriber,
  options: ExternalOptions,
  context: ExternalContext,
): Promise<BrokerLink> {
  const address = parseBrokerUrl(options.url)
  const heralds = new Map<string, Herald>()
  const { username, password, tls } = options
  const login = defined({ username, password, tls })
  let connection: MqttConnection | undefined
  let quiet = false

  const main = new Lasting(address, context, {
    open: async (signal) => {
      const opened = await connectMqtt(address, {
        ...login,
        signal,
        clientId: clientId('aggregator'),
        onMessage: ({ topic, payload, signature }) => {
          if (!quiet) subscriber.take({ topic, payload, signature })
        },
        inboundBytesMax: PAYLOAD_BYTES_MAX + 2_048,
        inboundPerSecondMax: INBOUND_PER_SECOND,
      })
      await subscribe(opened, context)
      connection = opened
      return opened
    },
    lost: () => {
      connection = undefined
    },
  })
  await main.start(options.signal)

  return {
    url: address.url,
    load: () => undefined,
    quiesce() {
      quiet = true
    },
    failing: () =>
      connection === undefined ? `Broker "${address.url}" is not reachable` : undefined,
    publish(topic, payload, signature) {
      if (connection === undefined) return
      const isBeside = signature === undefined || connection.protocol === 5
      const signed = isBeside ? payload : attachSignature(payload, signature)
      // Not to be waited for: a receipt that is lost is asked for again.
      connection
        .publish(topic, signed, {
          contentType: CONTENT_TYPE.receipt,
          ...(isBeside ? defined({ signature }) : {}),
        })
        .catch(() => {})
    },
    retain(topic, payload) {
      return connection?.publish(topic, payload, { retain: true, contentType: CONTENT_TYPE.status })
    },
    announce(site, again = false) {
      const known = heralds.get(site)
      if (known !== undefined) {
        if (again) known.announce()
        return
      }
      if (heralds.size >= SITES_MAX) {
        subscriber.refuse('too-many-sites')
        return
      }
      const herald = new Herald(site, address, login, context)
      heralds.set(site, herald)
      herald.begin()
    },
    async close() {
      await Promise.all([...heralds.values()].map((herald) => herald.close()))
      await main.close()
    },
  }
}

async function subscribe(
  connection: MqttConnection,
  { sharesStore, takesVectors }: ExternalContext,
): Promise<void> {
  const statuses = aggregatorFilters().filter((filter) => filter.endsWith('/status'))
  const work = (shared: boolean) =>
    aggregatorFilters('+', shared).filter((filter) => !filter.endsWith('/status'))
  await connection.subscribe([...statuses, ...(takesVectors ? [vectorsFilter()] : [])])
  if (sharesStore && connection.protocol === 5) {
    try {
      return await connection.subscribe(work(true))
    } catch {
      // A broker of MQTT 5 may still lack shared subscriptions [MQTT 5, 3.2.2.3.13].
    }
  }
  await connection.subscribe(work(false))
}

/** Says that an aggregator serves a site, as long as it does. */
class Herald {
  readonly #site: string
  readonly #context: ExternalContext
  readonly #lasting: Lasting
  #connection: MqttConnection | undefined
  #going = false

  constructor(
    site: string,
    address: BrokerAddress,
    login: Pick<MqttConnectOptions, 'username' | 'password' | 'tls'>,
    context: ExternalContext,
  ) {
    this.#site = site
    this.#context = context
    const topic = aggregatorStatusTopic(site)
    this.#lasting = new Lasting(address, context, {
      open: async (signal) => {
        this.#connection = await connectMqtt(address, {
          ...login,
          signal,
          clientId: clientId('herald'),
          onMessage: () => {},
          will: () => ({
            topic,
            payload: this.#status('offline'),
            contentType: CONTENT_TYPE.status,
          }),
        })
        this.announce()
        return this.#connection
      },
      lost: () => {
        this.#connection = undefined
      },
    })
  }

  begin(): void {
    this.#lasting.start().catch((error) => {
      this.#context.log.warn('Cannot announce the aggregator', {
        site: this.#site,
        why: error instanceof Error ? error.message : String(error),
      })
    })
  }

  announce(): void {
    // An aggregator that is still subscribed receives its own offline status; it needs no answer.
    if (!this.#going) this.#publish('online').catch(() => {})
  }

  async close(): Promise<void> {
    this.#going = true
    await Promise.race([this.#publish('offline').catch(() => {}), Bun.sleep(500)])
    await this.#lasting.close()
  }

  async #publish(state: 'online' | 'offline'): Promise<void> {
    await this.#connection?.publish(aggregatorStatusTopic(this.#site), this.#status(state), {
      retain: true,
      contentType: CONTENT_TYPE.status,
    })
  }

  /** Signed in the payload, for agents of either protocol. */
  #status(state: 'online' | 'offline'): Uint8Array {
    const { clock, version, signer } = this.#context
    const time = Math.floor(clock.now() / 1000)
    const payload = encodeAggregatorStatus({ v: 1, state, site: this.#site, version, time })
    return attachSignature(payload, signer.sign(payload))
  }
}

interface Opening {
  open(signal: AbortSignal): Promise<MqttConnection>
  lost(): void
}

/** A connection that is made again whenever it is lost. */
class Lasting {
  readonly #address: BrokerAddress
  readonly #log: Log
  readonly #opening: Opening
  readonly #stop = new AbortController()
  #connection: MqttConnection | undefined

  constructor(address: BrokerAddress, { log }: ExternalContext, opening: Opening) {
    this.#address = address
    this.#log = log
    this.#opening = opening
  }

  /** Resolves when it stands for the first time; waits as long as waiting helps. */
  async start(signal?: AbortSignal): Promise<void> {
    const stop = () => this.#stop.abort()
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      await this.#connect(true)
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    this.#keep()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#connection?.end()
  }

  async #keep(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const why = await this.#connection?.closed
      this.#connection = undefined
      this.#opening.lost()
      if (this.#stop.signal.aborted) return
      this.#log.warn('Connection to the broker lost', { broker: this.#address.url, why })
      await this.#connect(false)
      if (!this.#stop.signal.aborted) this.#log.info('Connection to the broker restored')
    }
  }

  async #connect(first: boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (this.#stop.signal.aborted) {
        if (!first) return
        throw new AgentError('ERR_BROKER', `Stopped waiting for broker "${this.#address.url}"`)
      }
      try {
        this.#connection = await this.#opening.open(this.#stop.signal)
        return
      } catch (error) {
        if (first && error instanceof AgentError && !error.retriable) throw error
        if (attempt === 0 && !this.#stop.signal.aborted)
          this.#log.warn('The broker cannot be reached; trying again', {
            why: error instanceof Error ? error.message : String(error),
          })
      }
      await this.#pause(attempt)
    }
  }

  /**
   * Doubled each time, and anything from half of it up: a thousand clients must not come back at
   * once.
   */
  #pause(attempt: number): Promise<void> {
    const most = Math.min(BROKER_PAUSE_MAX_MS, BROKER_PAUSE_MIN_MS * 2 ** Math.min(attempt, 10))
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#stop.signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, most * (0.5 + Math.random() / 2))
      this.#stop.signal.addEventListener('abort', done)
    })
  }
}

function clientId(what: string): string {
  return `callsign-${what}-${crypto.randomUUID().slice(0, 13)}`
}
