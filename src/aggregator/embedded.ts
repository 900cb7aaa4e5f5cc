/**
 * The aggregator as its own broker: messages reach the subscriber inside the process, and a PUBACK
 * leaves only after the commit, so that an agent without receipts loses nothing either.
 *
 * A site is announced when a client first asks for its aggregator, before the answer: an agent that
 * connects for the first time in its life knows from the start that receipts are to be waited for.
 */
import { defined } from '../domain/defined.ts'
import {
  BROKER_BACKLOG_BYTES_MAX,
  BROKER_IN_FLIGHT_BYTES_MAX,
  BROKER_IN_FLIGHT_MAX,
  CONNECTIONS_MAX,
  FLEET_PARTS_MAX,
  HOSTS_MAX,
  PAYLOAD_BYTES_MAX,
  SITES_MAX,
} from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import { startBroker } from '../platform/mqtt/broker.ts'
import type { Broker, BrokerLoad } from '../platform/mqtt/broker-options.ts'
import { attachSignature, type Signer } from '../wire/signed.ts'
import { encodeAggregatorStatus } from '../wire/status-message.ts'
import { aggregatorStatusTopic, parseTopic } from '../wire/topics.ts'
import { type Authenticate, brokerRules } from './access.ts'
import type { Link, Subscriber } from './subscriber.ts'

/** What the aggregator holds of its broker, embedded or not. */
export interface BrokerLink extends Link {
  /** As an agent would give it to --broker. */
  readonly url: string
  /** What the broker carries, where it is our own. */
  load(): BrokerLoad | undefined
  /**
   * Publishes for those who come later, too.
   * @returns undefined where it cannot at present; fails where the broker refuses
   */
  retain(topic: string, payload: Uint8Array): Promise<void> | undefined
  /** Why nothing arrives at the moment; undefined while all is well. */
  failing(): string | undefined
  /** Takes no more messages; receipts for those taken can still be sent. */
  quiesce(): void
  close(): Promise<void>
}

export interface EmbeddedOptions {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly authenticate?: Authenticate
  readonly isRevoked?: (serial: string) => boolean
  /** The site of clients whose name names none. */
  readonly site?: string
  readonly clock: Clock
  readonly version: string
  readonly signer: Signer
}

export async function startEmbedded(
  subscriber: Subscriber,
  options: EmbeddedOptions,
): Promise<BrokerLink> {
  const announced = new Set<string>()
  let broker: Broker | undefined
  const announce = (site: string): void => {
    if (announced.has(site)) return
    if (announced.size >= SITES_MAX) {
      subscriber.refuse('too-many-sites')
      return
    }
    announced.add(site)
    const time = Math.floor(options.clock.now() / 1000)
    const status = { v: 1, state: 'online', site, version: options.version, time } as const
    const payload = encodeAggregatorStatus(status)
    const signed = attachSignature(payload, options.signer.sign(payload))
    broker?.publish(aggregatorStatusTopic(site), signed, true)
  }

  broker = await startBroker({
    host: options.host,
    port: options.port,
    ...defined({ tls: options.tls }),
    connectionsMax: CONNECTIONS_MAX,
    // A topic and the packet's own fields come on top of the payload.
    packetBytesMax: PAYLOAD_BYTES_MAX + 2_048,
    inFlightMessagesMax: BROKER_IN_FLIGHT_MAX,
    inFlightBytesMax: BROKER_IN_FLIGHT_BYTES_MAX,
    backlogBytesMax: BROKER_BACKLOG_BYTES_MAX,
    // A status of each host, and what the aggregator itself says to each site.
    retainedMax: HOSTS_MAX + (4 + FLEET_PARTS_MAX) * SITES_MAX,
    rules: brokerRules({
      ...defined({
        authenticate: options.authenticate,
        isRevoked: options.isRevoked,
        site: options.site,
      }),
    }),
    onMessage: (message, settled) => subscriber.take(message, settled),
    onSubscribe(filter) {
      const parsed = parseTopic(filter)
      if (parsed !== undefined) announce(parsed.site)
    },
    onRefused: (reason) => subscriber.refuse(reason),
  })
  const { host, port } = broker
  const open = broker

  return {
    url: `${options.tls === undefined ? 'mqtt' : 'mqtts'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    load: () => open.load(),
    failing: () => undefined,
    quiesce: () => open.quiesce(),
    publish: (topic, payload, signature) => open.publish(topic, payload, false, signature),
    async retain(topic, payload) {
      open.publish(topic, payload, true)
    },
    announce,
    close: () => open.close(),
  }
}
