/**
 * Looks every few seconds which hosts are absent (rules.ts), stores what changed as alerts of kind
 * `absence`, and tells it. Of several aggregators on one database one does it; what is open is in
 * the store, so that another goes on.
 *
 * After a start, and after the broker or the store was away, hosts are given time to connect again
 * before their silence counts.
 */
import { createHash, randomUUID } from 'node:crypto'
import { ABSENCES, type Absence } from '../../domain/absence.ts'
import {
  ABSENCE_EVERY_MS,
  ABSENCE_FORGET_MS,
  ABSENCE_SUSPECTS_MAX,
  ABSENCE_TROUBLED_MS,
  ABSENCES_LOGGED_MAX,
  RECONNECT_MAX_MS,
} from '../../domain/limits.ts'
import type { Outputs } from '../../outputs/outputs.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { type AlertMessage, toMessage } from '../../wire/alert-message.ts'
import type { Signer } from '../../wire/signed.ts'
import { Periodic } from '../periodic.ts'
import type { Store, StoreChange } from '../store/store.ts'
import { type AbsenceChange, type AbsenceRules, changesOf, EXPECTED_MS } from './rules.ts'

export interface AbsenceOptions {
  /** A host without a message for so long is absent. */
  readonly afterMs: number
  readonly troubledMs?: number
  readonly everyMs?: number
  /** How long hosts have to connect again. */
  readonly settleMs?: number
}

export interface AbsenceParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Makes ids that no host can guess and use up. */
  readonly signer: Signer
  readonly onChange: (change: StoreChange) => void
  /** Where the alerts go beside the store. */
  readonly outputs: Pick<Outputs, 'tell'>
  /** Why nothing arrives at present. */
  readonly away: () => string | undefined
}

export class AbsenceWatch {
  readonly #parts: AbsenceParts
  readonly #rules: AbsenceRules
  readonly #settleMs: number
  readonly #holder = randomUUID()
  readonly #everyMs: number
  #settledAt: number
  readonly #looks: Periodic
  #open: Readonly<Record<Absence, number>> | undefined

  constructor(options: AbsenceOptions, parts: AbsenceParts) {
    const { afterMs, troubledMs = ABSENCE_TROUBLED_MS, everyMs = ABSENCE_EVERY_MS } = options
    this.#parts = parts
    this.#rules = { afterMs, troubledMs, forgetMs: ABSENCE_FORGET_MS }
    this.#settleMs = options.settleMs ?? afterMs + RECONNECT_MAX_MS
    this.#settledAt = parts.clock.monotonic() + this.#settleMs
    this.#everyMs = everyMs
    this.#looks = new Periodic(
      () => this.#look(),
      everyMs,
      (cause, isFirst) => {
        this.#settleAnew()
        if (isFirst) parts.log.warn('Cannot look for absent hosts', { why: String(cause) })
      },
    )
  }

  /** Open alerts by what is missing, where this aggregator is the one that looks. */
  get open(): Readonly<Record<Absence, number>> | undefined {
    return this.#open
  }

  /** One look; a second one at the same time is the same. */
  look(): Promise<void> {
    return this.#looks.run()
  }

  close(): Promise<void> {
    return this.#looks.close()
  }

  async #look(): Promise<void> {
    const { store, clock, away } = this.#parts
    if (!(await store.lead('absence', this.#holder, 4 * this.#everyMs))) {
      this.#open = undefined
      return
    }
    const why = away()
    if (why !== undefined) this.#settleAnew()
    const nowMs = clock.now()
    const { afterMs, troubledMs } = this.#rules
    const absences = await store.absences({
      silentBefore: nowMs - afterMs,
      troubledBefore: nowMs - troubledMs,
      expectedSince: nowMs - EXPECTED_MS,
      limit: ABSENCE_SUSPECTS_MAX,
    })
    const settled = clock.monotonic() >= this.#settledAt
    const changes = changesOf(absences, this.#rules, { nowMs, settled, away: why })
    const messages = changes.map((change) => this.#messageOf(change, nowMs))
    if (messages.length > 0) {
      const stored = await store.commit(
        messages.map((message) => ({ kind: 'absence', message })),
        nowMs,
      )
      for (const change of stored) this.#parts.onChange(change)
      await this.#tell(messages)
    }
    this.#count(absences.open, messages)
  }

  #settleAnew(): void {
    this.#settledAt = this.#parts.clock.monotonic() + this.#settleMs
  }

  /** To the log and the outputs. */
  async #tell(messages: readonly AlertMessage[]): Promise<void> {
    const { log, outputs } = this.#parts
    for (const { site, host, state, predicted, because = [] } of messages.slice(
      0,
      ABSENCES_LOGGED_MAX,
    )) {
      const what = predicted.class
      if (state === 'closed') log.info('Absence is over', { site, host, what })
      else log.warn('Absence', { site, host, what, because: because.join('; ') })
    }
    if (messages.length > ABSENCES_LOGGED_MAX)
      log.warn('More absences', { alerts: messages.length - ABSENCES_LOGGED_MAX })
    await outputs.tell(messages)
  }

  #messageOf(change: AbsenceChange, nowMs: number): AlertMessage {
    const { site, host, what, state, severity, first, last, count, because, before } = change
    const alert = {
      id: before?.id ?? this.#idOf(`${site}/${host}/${what}`),
      incident: before?.incident ?? this.#idOf(`${site}/${host}`),
      ...{ kind: 'absence' as const, state, time: last, first, last, count, severity },
      certainty: 'confirmed' as const,
      process: { pid: 0, start: 0, name: '' },
      predicted: { class: what, confidence: 1 },
      claimed: { class: '', confidence: 0 },
      techniques: ['T1685'],
      ...{ because, why: [], model: '', evidence: { from: first, to: last } },
      ...(state === 'closed' ? { ended: 'quiet' as const } : {}),
    }
    return toMessage(alert, { site, host, boot: Math.max(nowMs, (before?.boot ?? 0) + 1), seq: 1 })
  }

  #idOf(subject: string): string {
    const secret = this.#parts.signer.sign(new TextEncoder().encode(`absence ${subject}`))
    return createHash('sha256').update(secret).digest('hex').slice(0, 16)
  }

  #count(before: readonly AlertMessage[], messages: readonly AlertMessage[]): void {
    const open = new Map(before.map(({ id, predicted }) => [id, predicted.class]))
    for (const { id, state, predicted } of messages)
      if (state === 'closed') open.delete(id)
      else open.set(id, predicted.class)
    const counts = ABSENCES.map((what) => [
      what,
      [...open.values()].filter((one) => one === what).length,
    ])
    this.#open = Object.fromEntries(counts) as Record<Absence, number>
  }
}
