/**
 * Which receipts and statuses are the aggregator's: those signed by its key. The first signed
 * message of a site's aggregator pins its key (trust on first use); `aggregator-key` in the
 * settings names the keys instead, for a network on which somebody else could be first.
 *
 * Before a key is known unsigned messages count, for aggregators of versions that do not sign.
 * After that only those of the key do, so that no other client of a shared broker can empty an
 * outbox.
 */
import { defined } from '../domain/defined.ts'
import { signerOf } from '../platform/identity.ts'
import { detachSignature } from '../wire/signed.ts'

/** Where the pinned key is kept over a restart. */
export interface KeyPin {
  readonly aggregatorKey: string | undefined
  pinAggregator(key: string): void
}

export interface AggregatorKeys {
  /** Whose receipts count; none before the first signed message. */
  readonly trusted: readonly string[]
  /** The latest other key that signed a message of the aggregator's. */
  readonly refused?: string
}

export type Trusted =
  | { readonly ok: true; readonly payload: Uint8Array; readonly signed: boolean }
  | { readonly ok: false; readonly reason: 'unsigned' | 'bad-signature' | 'other-key' }

export class AggregatorTrust {
  readonly #named: readonly string[]
  readonly #pin: KeyPin
  readonly #onOtherKey: (keys: AggregatorKeys) => void
  #refused: string | undefined

  /**
   * @param named keys of the settings; where there are some, none is pinned
   * @param onOtherKey told once per key
   */
  constructor(named: readonly string[], pin: KeyPin, onOtherKey: (keys: AggregatorKeys) => void) {
    this.#named = named
    this.#pin = pin
    this.#onOtherKey = onOtherKey
  }

  keys(): AggregatorKeys {
    return { trusted: this.#trusted, ...defined({ refused: this.#refused }) }
  }

  /** @param property the signature, where it came beside the payload (MQTT 5) */
  read(message: Uint8Array, property: string | undefined): Trusted {
    const { payload, signature } = detachSignature(message, property)
    const trusted = this.#trusted
    if (signature === undefined) {
      if (trusted.length > 0) return { ok: false, reason: 'unsigned' }
      return { ok: true, payload, signed: false }
    }
    const key = signerOf(payload, signature)
    if (key === undefined) return { ok: false, reason: 'bad-signature' }
    if (trusted.length === 0) this.#pin.pinAggregator(key)
    else if (!trusted.includes(key)) {
      const isNews = key !== this.#refused
      this.#refused = key
      if (isNews) this.#onOtherKey(this.keys())
      return { ok: false, reason: 'other-key' }
    }
    return { ok: true, payload, signed: true }
  }

  get #trusted(): readonly string[] {
    if (this.#named.length > 0) return this.#named
    const { aggregatorKey } = this.#pin
    return aggregatorKey === undefined ? [] : [aggregatorKey]
  }
}
