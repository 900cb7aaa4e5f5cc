/**
 * What comes in over MQTT: receipts, the aggregator's status, documents of the fleet. Everything
 * else, and what is not signed by the trusted key, is counted by reason and ignored.
 */
import type { FleetSubject } from '../domain/fleet-state.ts'
import { IGNORED_REASONS_MAX } from '../domain/limits.ts'
import type { Log } from '../platform/log.ts'
import type { MqttMessage } from '../platform/mqtt/client.ts'
import { decodeReceipt, type ReceiptMessage } from '../wire/receipt-message.ts'
import { decodeAggregatorStatus } from '../wire/status-message.ts'
import { type AgentTopics, fleetTopic } from '../wire/topics.ts'
import type { AggregatorTrust } from './aggregator-trust.ts'
import type { PublisherOptions } from './publisher-options.ts'

export interface IncomingHandlers {
  onReceipt(stored: ReceiptMessage['stored']): void
  onAggregator(state: 'online' | 'offline'): void
  /** @returns why it is not answered */
  onQuestion(payload: Uint8Array): string | undefined
}

export class Incoming {
  readonly #options: PublisherOptions
  readonly #topics: AgentTopics
  readonly #trust: AggregatorTrust
  readonly #log: Log
  readonly #handlers: IncomingHandlers
  readonly #fleetTopics: ReadonlyMap<string, FleetSubject>
  /** Why the latest document was not used that was refused. */
  readonly #fleetRefusals = new Map<FleetSubject, string>()
  readonly #ignored = new Map<string, number>()
  /** Beside the others, for as long as it is asked for (`Publisher.ask`). */
  asked: string | undefined

  constructor(
    options: PublisherOptions,
    topics: AgentTopics,
    trust: AggregatorTrust,
    log: Log,
    handlers: IncomingHandlers,
  ) {
    this.#options = options
    this.#topics = topics
    this.#trust = trust
    this.#log = log
    this.#handlers = handlers
    const subjects = Object.keys(options.fleet ?? {}) as FleetSubject[]
    this.#fleetTopics = new Map(subjects.map((what) => [fleetTopic(options.site, what), what]))
  }

  /** What to subscribe to. */
  get filters(): readonly string[] {
    const { receipt, aggregatorStatus, request } = this.#topics
    const asked = this.#options.questions === undefined ? [] : [request]
    return [receipt, aggregatorStatus, ...this.#fleetTopics.keys(), ...asked]
  }

  /** Messages that were neither a receipt nor a valid status, by reason. */
  get ignored(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#ignored)
  }

  receive({ topic, payload, signature }: MqttMessage): void {
    if (topic === this.asked) {
      const reason = this.#options.onPart?.(payload)
      if (reason !== undefined) this.ignore(`part: ${reason}`)
      return
    }
    const isReceipt = topic === this.#topics.receipt
    const fleet = this.#fleetTopics.get(topic)
    if (fleet !== undefined) {
      this.#receiveFleet(fleet, payload, signature)
      return
    }
    if (topic === this.#topics.request) {
      this.#receiveQuestion(payload, signature)
      return
    }
    if (!isReceipt && topic !== this.#topics.aggregatorStatus) {
      this.ignore('unknown-topic')
      return
    }
    const trusted = this.#trust.read(payload, signature)
    if (!trusted.ok) this.ignore(`${isReceipt ? 'receipt' : 'aggregator'}: ${trusted.reason}`)
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
    if (reason !== undefined) this.ignore(`${what}: ${reason}`)
    // An aggregator repeats what is retained, and on a foreign broker anybody may publish there.
    const isNews = reason !== undefined && reason !== this.#fleetRefusals.get(what)
    if (isNews) this.#log.warn('A document of the fleet is not used', { what, reason })
    if (reason !== undefined) this.#fleetRefusals.set(what, reason)
  }

  /** Unsigned ones never count: the answer leaves the host. */
  #receiveQuestion(payload: Uint8Array, signature: string | undefined): void {
    const trusted = this.#trust.read(payload, signature)
    const reason = !trusted.ok
      ? trusted.reason
      : trusted.signed
        ? this.#handlers.onQuestion(trusted.payload)
        : 'unsigned'
    if (reason !== undefined) this.ignore(`request: ${reason}`)
  }

  #receiveReceipt(payload: Uint8Array, signed: boolean): void {
    const receipt = decodeReceipt(payload)
    if (!receipt.ok) {
      this.ignore(`receipt: ${receipt.reason}`)
      return
    }
    // A signed receipt names its host: that of another host is none for this one.
    const { site, host, stored } = receipt.value
    if (signed && (site !== this.#options.site || host !== this.#options.host)) {
      this.ignore('receipt: other-host')
      return
    }
    this.#handlers.onReceipt(stored)
  }

  #receiveAggregatorStatus(payload: Uint8Array): void {
    const status = decodeAggregatorStatus(payload)
    if (!status.ok || status.value.site !== this.#options.site) {
      this.ignore(`aggregator: ${status.ok ? 'other-site' : status.reason}`)
      return
    }
    this.#handlers.onAggregator(status.value.state)
  }

  ignore(reason: string): void {
    const known = this.#ignored.has(reason) || this.#ignored.size < IGNORED_REASONS_MAX
    const name = known ? reason : 'other'
    this.#ignored.set(name, (this.#ignored.get(name) ?? 0) + 1)
  }
}
