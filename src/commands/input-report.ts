/** What `count` and `record` say of their input on stderr: how far they are, and the books at the end. */
import type { InputLedger } from '../domain/ledger.ts'
import { coloured, safeText } from './common.ts'

/** How many calls were counted, and which not and why, on one line (and one more per reason with a sample). */
export function inputLine(ledger: InputLedger, frameCount: number, vectorCount: number): string {
  const dropped = Object.entries(ledger.dropped)
  const lines = [
    `${ledger.observed} calls observed = ${ledger.counted} counted + ${sum(ledger.dropped)} dropped; ` +
      `${frameCount} frames, ${vectorCount} vectors`,
  ]
  for (const [reason, count] of dropped) {
    const sample = ledger.samples[reason]
    lines.push(`  ${count} ${reason}${sample ? `, for example "${safeText(sample)}"` : ''}`)
  }
  return lines.join('\n')
}

export function mergeLedgers(ledgers: readonly InputLedger[]): InputLedger {
  const dropped: Record<string, number> = {}
  for (const ledger of ledgers)
    for (const [reason, count] of Object.entries(ledger.dropped))
      dropped[reason] = (dropped[reason] ?? 0) + count
  return {
    observed: ledgers.reduce((total, { observed }) => total + observed, 0),
    counted: ledgers.reduce((total, { counted }) => total + counted, 0),
    dropped,
    samples: Object.assign({}, ...ledgers.map(({ samples }) => samples).reverse()),
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** A line that is written over; nothing off a terminal. */
export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #on: boolean
  #shownAt = 0
  #shown = false

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.#on = stream.isTTY === true && coloured(stream)
  }

  show(what: string, bytes: number): void {
    if (!this.#on) return
    const now = performance.now()
    if (now - this.#shownAt < 200) return
    this.#shownAt = now
    this.#shown = true
    this.#stream.write(`\r\x1b[K${safeText(what)}: ${(bytes / 1e6).toFixed(0)} MB`)
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K')
    this.#shown = false
  }
}
