/**
 * The list of outputs: numbers each message, then passes the messages to each output in order.
 *
 * If an output throws, the next ones still get the messages: what it should have taken is counted
 * as refused and logged once a minute.
 */
import { type Alert, isObservation } from '../domain/alert.ts'
import { OUTPUT_TROUBLE_TOLD_EVERY_MS } from '../domain/limits.ts'
import type { Summary } from '../domain/summary.ts'
import type { Clock } from '../platform/clock.ts'
import { type Log, log as processLog } from '../platform/log.ts'
import { type AlertMessage, toMessage } from '../wire/alert-message.ts'
import type { Output, Told } from './output.ts'

/** Number of a message: (boot, seq) grows with each message of a host. */
export interface Numbered {
  readonly boot: number
  readonly seq: number
}

/** Numbers messages: (boot, seq) is never used twice. The outbox is one implementation. */
export interface Numbering {
  readonly boot: number
  /** The number that the next message gets. */
  readonly nextSeq: number
}

export interface OutputsOptions {
  readonly site: string
  readonly host: string
  readonly numbering: Numbering
  readonly clock: Clock
  readonly log?: Log
  /** Command lines and directories of processes may leave this host. */
  readonly sendCommandLines?: boolean
}

export interface OutputStatus {
  /** Alerts and summaries that it took. */
  readonly taken: number
  readonly refused: Readonly<Record<string, number>>
}

export class Outputs {
  readonly #options: OutputsOptions
  /** As in the options; may be changed while it runs. */
  sendCommandLines: boolean
  readonly #outputs: readonly Output[]
  readonly #taken = new Map<Output, number>()
  readonly #threw = new Map<Output, number>()
  readonly #saidAtMs = new Map<Output, number>()
  /** Counts where no output numbers messages: without a broker the outbox stays empty. */
  #seq = 1

  constructor(options: OutputsOptions, outputs: readonly Output[]) {
    this.#options = options
    this.sendCommandLines = options.sendCommandLines === true
    this.#outputs = outputs
  }

  /** Resolves when each output has taken it or counted it as refused. */
  async put(alerts: readonly Alert[], summary: Summary | undefined): Promise<void> {
    if (alerts.length === 0 && summary === undefined) return
    const { site, host, numbering } = this.#options
    const { boot } = numbering
    const first = Math.max(this.#seq, numbering.nextSeq)
    this.#seq = first + alerts.length
    // Observations last: what is sent is numbered without gaps.
    const all = [...alerts].sort((a, b) => Number(isObservation(a)) - Number(isObservation(b)))
    const messages = all.map((alert, i) => toMessage(alert, { site, host, boot, seq: first + i }))
    const everything: Told = { alerts: messages, summary }
    const told: Told = {
      alerts: messages.filter((message) => !isObservation(message)),
      summary,
    }
    const abroad = this.sendCommandLines
      ? told
      : { alerts: told.alerts.map(withoutCommand), summary }
    for (const output of this.#outputs)
      await this.#give(
        output,
        output.takesObservations === true ? everything : output.leavesHost === true ? abroad : told,
      )
  }

  /** Messages that have their numbers already, of whatever host. */
  async tell(alerts: readonly AlertMessage[]): Promise<void> {
    for (const output of this.#outputs) await this.#give(output, { alerts, summary: undefined })
  }

  /** By name. */
  status(): Record<string, OutputStatus> {
    return Object.fromEntries(
      this.#outputs.map((output) => {
        const threw = this.#threw.get(output) ?? 0
        const refused = { ...output.refused, ...(threw === 0 ? {} : { error: threw }) }
        return [output.name, { taken: this.#takenBy(output), refused }]
      }),
    )
  }

  async close(): Promise<void> {
    for (const output of this.#outputs) await output.close?.()
  }

  async #give(output: Output, told: Told): Promise<void> {
    const count = told.alerts.length + (told.summary === undefined ? 0 : 1)
    const before = total(output.refused)
    try {
      const pause = output.take(told)
      if (pause !== undefined) await pause
      const refused = total(output.refused) - before
      this.#taken.set(output, this.#takenBy(output) + count - refused)
    } catch (error) {
      this.#threw.set(output, (this.#threw.get(output) ?? 0) + count)
      this.#tell(output, error)
    }
  }

  #tell(output: Output, error: unknown): void {
    const { clock, log = processLog } = this.#options
    const now = clock.monotonic()
    const said = this.#saidAtMs.get(output) ?? Number.NEGATIVE_INFINITY
    if (now - said < OUTPUT_TROUBLE_TOLD_EVERY_MS) return
    this.#saidAtMs.set(output, now)
    log.error('An output failed; its messages are counted as refused', {
      output: output.name,
      error: String(error),
    })
  }

  #takenBy(output: Output): number {
    return this.#taken.get(output) ?? 0
  }
}

function withoutCommand(alert: AlertMessage): AlertMessage {
  const { command: _, cwd: __, ...process } = alert.process
  return { ...alert, process }
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
