/**
 * Messages of `count` and `record` about their input on stderr: progress, and the ledger at the
 * end.
 */

import { AgentError, EXIT } from '../domain/error.ts'
import type { InputLedger } from '../domain/ledger.ts'
import type { SourceFormat } from '../domain/source.ts'
import { coloured, note, safeText } from './common.ts'

/**
 * How many calls were counted, and which not and why, on one line (and one more per reason with a
 * sample).
 */
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

type Ledger = Pick<InputLedger, 'observed' | 'counted' | 'dropped'>

/** The next step where input was refused for a reason that the user can do something about. */
const ADVICE: Readonly<Record<string, string>> = {
  'no-time': 'Record absolute times: "strace -ttt" (or -tt with --date), "sysdig -t a"',
  'no-process':
    'Trace with "strace -f -ttt -o FILE"; for a trace of one process give --pid N --name NAME',
  malformed: 'Give the -p string of sysdig with --format',
  'other-host': 'Select a host of the file with --only-host NAME',
}

/** Files as a message names them. */
export function filesInWords(paths: readonly string[]): string {
  return paths.map((path) => (path === '-' ? 'the input' : `"${path}"`)).join(', ')
}

/**
 * @param what the files as a message names them @throws AgentError where nothing was counted: that
 *   is no quiet host
 */
export function requireCounted({ observed, counted, dropped }: Ledger, what: string): void {
  if (counted > 0) return
  if (observed === 0) {
    throw new AgentError('ERR_INPUT', `Cannot count ${what}: it contains no system calls`, {
      hint: 'Check the program that wrote it, and its filter',
    })
  }
  const reasons = Object.entries(dropped).sort((a, b) => b[1] - a[1])
  const why = reasons.map(([reason, count]) => `${count} ${reason}`).join(', ')
  const advice = reasons.map(([reason]) => ADVICE[reason]).find((words) => words !== undefined)
  throw new AgentError(
    'ERR_INPUT',
    `Cannot count ${what}: of ${observed} calls none could be counted (${why})`,
    { hint: advice ?? 'Run "agent count" on a part of it to see which lines are rejected' },
  )
}

/**
 * @throws AgentError where a live source that ran to its end showed nothing: no host is that quiet
 */
export function requireObserved({ observed }: Ledger, source: string): void {
  if (observed > 0) return
  throw new AgentError('ERR_COLLECTOR', `Cannot watch this host: ${source} reported no calls`, {
    hint: 'Run "agent doctor", or run it for longer',
  })
}

/** Calls that were seen, or that the source says it lost, and that no frame holds. */
export function droppedCalls(ledger: Ledger, onlyHost: boolean): number {
  const { 'other-host': others = 0, ...dropped } = ledger.dropped
  return sum(dropped) + (onlyHost ? 0 : others)
}

/** So much of a trace without a process is no stray line: the exit code reports it, too. */
const UNNAMED_SHARE = 0.01

interface CodeOptions {
  readonly failOnLoss?: boolean | undefined
  readonly onlyHost?: string | undefined
  readonly json?: boolean | undefined
}

/**
 * The exit code of input that was counted, by the command's flags. @param format what it was; of
 * several the last
 */
export function inputExitCode(
  ledger: Ledger,
  format: SourceFormat | undefined,
  { failOnLoss, onlyHost, json }: CodeOptions,
): number {
  if (failOnLoss === true && droppedCalls(ledger, onlyHost !== undefined) > 0) return EXIT.lost
  const unnamed = ledger.dropped['no-process'] ?? 0
  if (format !== 'strace-text' || unnamed < UNNAMED_SHARE * ledger.observed) return EXIT.ok
  if (json !== true) note(`hint: ${unnamed} calls name no process. ${ADVICE['no-process']}`)
  return EXIT.degraded
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
