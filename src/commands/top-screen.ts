/**
 * What `agent top` shows, as text: a document in, lines out. Nothing of it moves a cursor, so that
 * a test can read it; names come from outside and are made safe before they are measured and cut.
 */
import type { LiveAgent, LiveDocument, LiveProcess } from '../agent/live-view.ts'
import { NOT_KNOWN } from '../domain/prediction.ts'
import { type Paint, safeText } from './common.ts'
import { arranged, keyLine, TOP_VIEW, type TopView } from './top-keys.ts'

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Before the first document: an agent that has just started, or whose pipe is silent, has none. */
export const WAITING = "Waiting for the agent's first second (press q to quit)"

const NAME_COLUMNS = 20
const CLASS_COLUMNS = 20
/** Shown as under suspicion from this share of an alert on. */
const SUSPICIOUS = 0.5
/** A lower screen has no room for the line of keys. */
const KEYS_FROM_ROWS = 8
/** A class below this confidence is a guess, and read as an accusation. */
const CONFIDENCE_FLOOR = 0.5

/**
 * As many lines as fit, none longer than the screen is wide. Without a size: all of them, whole.
 */
export function screenLines(
  document: LiveDocument,
  paint: Paint,
  size?: ScreenSize,
  view: TopView = TOP_VIEW,
): string[] {
  const { processesOmitted, agent, time } = document
  const processes = arranged(document.processes, view)
  const clock = new Date(time * 1000).toISOString().slice(11, 19)
  const cut = (line: string) => (size === undefined ? line : fit(line, size.columns))
  const head = [
    `${safeText(agent.host)}, ${safeText(agent.source)}, ${clock} UTC: ${number(agent.callsPerSecond)} calls/s, ${alerts(agent)}${lost(agent)}`,
    `agent: ${(100 * agent.cpuShare).toFixed(1)} % of a core, ${(agent.rssBytes / 1e6).toFixed(0)} MB, lag ${number(agent.lagMs)} ms${reduced(agent)}`,
    '',
  ].map(cut)
  const title = cut(row('PID', 'PROCESS', 'BEHAVES LIKE', 'SURE', 'CALLS/S', 'EVIDENCE'))
  const hasKeys = size !== undefined && size.rows >= KEYS_FROM_ROWS
  // The title, how many more there are, and the keys.
  const besides = head.length + 2 + (hasKeys ? 1 : 0)
  const room = size === undefined ? processes.length : Math.max(0, size.rows - besides)
  const shown = processes.slice(0, room)
  const hidden = processes.length - shown.length + processesOmitted
  return [
    ...head,
    paint.bold(title),
    ...shown.map((process) => coloured(process, cut(rowOf(process)), paint)),
    ...(hidden === 0 ? [] : [paint.dim(cut(`and ${number(hidden)} more`))]),
    ...(hasKeys ? [paint.dim(cut(safeText(keyLine(view))))] : []),
  ]
}

function rowOf(process: LiveProcess): string {
  const { pid, name, calls, suspicion } = process
  return row(
    // A group of short-lived ones has no pid of its own.
    pid < 0 ? 'group' : String(pid),
    safeText(name),
    ...likeness(process),
    number(calls),
    suspicion === 0 ? '' : evidence(suspicion),
  )
}

/** What it behaves like, and how sure that is. */
function likeness(process: LiveProcess): [string, string] {
  const { class: like, confidence = 0, known, name, suspicion } = process
  if (like === undefined) return ['-', '']
  const isGuess = confidence < CONFIDENCE_FLOOR && suspicion < SUSPICIOUS && like !== name
  if (isGuess) return [NOT_KNOWN, '']
  if (known === false) return [NOT_KNOWN, '']
  return [safeText(like), `${Math.round(100 * confidence)} %`]
}

function row(
  pid: string,
  name: string,
  like: string,
  sure: string,
  calls: string,
  against: string,
): string {
  const cells = [
    pid.padStart(7),
    padEnd(name, NAME_COLUMNS),
    padEnd(like, CLASS_COLUMNS),
    sure.padStart(5),
    calls.padStart(9),
    against,
  ]
  return cells.join('  ').trimEnd()
}

/** Full means: an alert. */
function evidence(suspicion: number): string {
  const filled = Math.min(10, Math.max(1, Math.round(10 * suspicion)))
  return `${'#'.repeat(filled)}${'.'.repeat(10 - filled)}`
}

function coloured({ suspicion }: LiveProcess, line: string, paint: Paint): string {
  if (suspicion >= 1) return paint.red(line)
  return suspicion >= SUSPICIOUS ? paint.yellow(line) : line
}

function alerts({ alertsOpen }: LiveAgent): string {
  return alertsOpen === 1 ? '1 alert open' : `${number(alertsOpen)} alerts open`
}

function lost({ dropped }: LiveAgent): string {
  const all = Object.values(dropped ?? {}).reduce((sum, count) => sum + count, 0)
  return all === 0 ? '' : `, ${number(all)} calls dropped since the start`
}

function reduced({ level, does }: LiveAgent): string {
  return level === 0 ? '' : `; level ${level}: ${safeText(does)}`
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function padEnd(text: string, columns: number): string {
  const cut = fit(text, columns)
  return cut + ' '.repeat(columns - Bun.stringWidth(cut))
}

/** Cut to so many columns of a terminal: wide characters take two. */
export function fit(text: string, columns: number): string {
  if (Bun.stringWidth(text) <= columns) return text
  let cut = ''
  for (const character of text) {
    if (Bun.stringWidth(cut + character) > columns - 1) break
    cut += character
  }
  return `${cut}…`
}
