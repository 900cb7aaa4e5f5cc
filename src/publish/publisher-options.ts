/** What the publisher is given, and what it tells of itself in the status document. */
import type { FleetSubject } from '../domain/fleet-state.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { BrokerAddress, connectMqtt, TlsFiles } from '../platform/mqtt/client.ts'
import type { Announcement } from '../wire/home-assistant.ts'
import type { Signer } from '../wire/signed.ts'
import type { StatusMessage } from '../wire/status-message.ts'
import type { AggregatorKeys } from './aggregator-trust.ts'
import type { Outbox } from './outbox.ts'
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
  /** Takes what comes on the topic that was asked for. @returns why it is not used */
  readonly onPart?: (payload: Uint8Array) => string | undefined
  /** Answers what an aggregator asks this host; not asked for where it is absent. */
  readonly questions?: Questions
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

/** Takes a question without its signature, once that was checked. */
export interface Questions {
  /** @returns the answer, or why there is none */
  answer(payload: Uint8Array): Uint8Array | string
  notSent(payload: Uint8Array): void
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
