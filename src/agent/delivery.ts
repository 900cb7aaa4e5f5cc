/**
 * Where alerts and summaries go: always to the local store, and to the outbox where there is a broker to send
 * to. Without one nothing is queued that nobody would ever take.
 */
import type { AlertStore } from '../buffer/alert-store.ts'
import type { Alert } from '../domain/alert.ts'
import type { Summary } from '../domain/summary.ts'
import type { Outbox } from '../publish/outbox.ts'
import { type AlertMessage, toMessage } from '../wire/alert-message.ts'

export interface DeliveryOptions {
  readonly site: string
  readonly host: string
  readonly alerts: AlertStore
  readonly outbox: Outbox
  readonly hasBroker: boolean
}

export class Delivery {
  readonly #options: DeliveryOptions
  #seq = 0

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** @returns the alerts as they are on the wire */
  put(alerts: readonly Alert[], summary: Summary | undefined): AlertMessage[] {
    const { site, host, outbox, hasBroker } = this.#options
    const numbers = hasBroker ? outbox.put(alerts, summary) : alerts.map(() => ++this.#seq)
    this.#options.alerts.put(alerts)
    return alerts.map((alert, i) =>
      toMessage(alert, { site, host, boot: outbox.boot, seq: numbers[i]! }),
    )
  }
}
