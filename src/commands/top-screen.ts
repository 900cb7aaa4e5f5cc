/**
 * What `agent top` shows, as text: a document in, lines out. Nothing of it moves a cursor, so that
 * a test can read it; names come from outside and are made safe before they are measured and cut.
 */
import type { LiveAgent, LiveDocument, LiveProcess } from '../agent/live-view.ts'
import { NOT_KNOWN } from '../domain/prediction.ts'
import type { ProcessLook } from '../operate/process-look.ts'
import { type Paint, safeText } from './common.ts'
import { arranged, keyLine, rowKey, TOP_VIEW, type TopView } from './top-keys.ts'

/** What is known of a process beside the live view; undefined where it is gone. */
export type LookAt = (process: LiveProcess) => ProcessLook | undefined

interface Cells {
  readonly pid: string
  readonly user: string
  readonly name: string
  readonly like: string
  readonly sure: string
  readonly calls: string
  readonly against: string
  /** Unit, container or command line. */
  readonly last: string
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Before the first document: an agent that has just started, or whose pipe is silent, has none. */
export const WAITING = "Waiting for the agent's first second (press q to quit)"

const USER_COLUMNS = 10
const NAME_COLUMNS = 20
const CLASS_COLUMNS = 20
/** From this width on there is room for the user, and for the unit or the command line. */
const USER_FROM_COLUMNS = 92
const LAST_FROM_COLUMNS = 104
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
  lookAt: LookAt = () => undefined,
): string[] {
  const { processesOmitted, agent, time } = document
  const processes = arranged(document.processes, view)
  const clock = new Date(time * 1000).toISOString().slice(11, 19)
  const cut = (line: string) => (size === undefined ? line : fit(line, size.columns))
  const head = [
    `${safeText(agent.host)}, ${safeText(agent.source)}, ${clock} UTC: ${number(agent.callsPerSecond)} calls/s, ${alerts(agent)}${lost(agent)}`,
    agentLine(agent),
    '',
  ].map(cut)
  const width = size?.columns ?? Number.POSITIVE_INFINITY
  const line = (cells: Cells) => cut(row(cells, width))
  const title = line({
    ...{ pid: 'PID', user: 'USER', name: 'PROCESS', like: 'BEHAVES LIKE', sure: 'SURE' },
    ...{ calls: 'CALLS/S', against: 'EVIDENCE', last: view.hasCommands ? 'COMMAND' : 'UNIT' },
  })
  const hasKeys = size !== undefined && size.rows >= KEYS_FROM_ROWS
  // The title, how many more there are, and the keys.
  const besides = head.length + 2 + (hasKeys ? 1 : 0)
  const room = size === undefined ? processes.length : Math.max(0, size.rows - besides)
  // The chosen row stays in view.
  const chosen = processes.findIndex((one) => rowKey(one) === view.chosen)
  const first = Math.max(0, chosen - room + 1)
  const shown = processes.slice(first, first + room)
  const hidden = processes.length - shown.length + processesOmitted
  return [
    ...head,
    paint.bold(title),
    ...shown.map((process) => coloured(process, line(cellsOf(process, view, lookAt)), view, paint)),
    ...(hidden === 0 ? [] : [paint.dim(cut(`and ${number(hidden)} more`))]),
    ...(hasKeys ? [paint.dim(cut(safeText(keyLine(view))))] : []),
  ]
}

/** What the agent costs; of an earlier second that is not kept. */
function agentLine(agent: LiveAgent): string {
  if (agent.rssBytes === 0)
    return 'read from the buffer and classified again; evidence means an open alert'
  return `agent: ${(100 * agent.cpuShare).toFixed(1)} % of a core, ${(agent.rssBytes / 1e6).toFixed(0)} MB, lag ${number(agent.lagMs)} ms${reduced(agent)}`
}

function cellsOf(process: LiveProcess, { hasCommands }: TopView, lookAt: LookAt): Cells {
  const { pid, name, calls, suspicion, container } = process
  const { user = '', unit = '', command = '' } = lookAt(process) ?? {}
  const [like, sure] = likeness(process)
  const within = container === undefined ? unit : `container ${container.slice(0, 12)}`
  return {
    // A group of short-lived ones has no pid of its own.
    pid: pid < 0 ? 'group' : String(pid),
    user: safeText(user),
    name: safeText(name),
    like,
    sure,
    calls: number(calls),
    against: suspicion === 0 ? '' : evidence(suspicion),
    last: safeText(hasCommands ? command : within),
  }
}

/** What it behaves like, and how sure that is. */
export function likeness(process: LiveProcess): [like: string, sure: string] {
  const { class: like, confidence = 0, known, name, suspicion } = process
  if (like === undefined) return ['-', '']
  // Without evidence neither a guess nor a single window like something malicious is said.
  const isAccusation = confidence < CONFIDENCE_FLOOR || process.malicious === true
  if (isAccusation && suspicion < SUSPICIOUS && like !== name) return [NOT_KNOWN, '']
  if (known === false) return [NOT_KNOWN, '']
  return [safeText(like), `${Math.round(100 * confidence)} %`]
}

/** User and unit only where there is room. */
function row({ pid, user, name, like, sure, calls, against, last }: Cells, width: number): string {
  const cells = [
    pid.padStart(7),
    ...(width < USER_FROM_COLUMNS ? [] : [padEnd(user, USER_COLUMNS)]),
    padEnd(name, NAME_COLUMNS),
    padEnd(like, CLASS_COLUMNS),
    sure.padStart(5),
    calls.padStart(9),
    ...(width < LAST_FROM_COLUMNS ? [against] : [against.padEnd(10), last]),
  ]
  return cells.join('  ').trimEnd()
}

/** Full means: an alert. */
function evidence(suspicion: number): string {
  const filled = Math.min(10, Math.max(1, Math.round(10 * suspicion)))
  return `${'#'.repeat(filled)}${'.'.repeat(10 - filled)}`
}

function coloured(process: LiveProcess, line: string, { chosen }: TopView, paint: Paint): string {
  const { suspicion } = process
  // Not by colour alone: the first column of a row is blank else.
  if (rowKey(process) === chosen) return paint.bold(`>${line.slice(1)}`)
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
