/**
 * What the keys of `agent top` do: order, filter and choice of its rows. State in, state out; the
 * screen is drawn elsewhere.
 */
import type { LiveProcess } from '../agent/live-view.ts'
import { FILTER_CHARS_MAX } from '../domain/limits.ts'

export type TopOrder = 'evidence' | 'calls' | 'name' | 'pid'

export interface TopView {
  readonly order: TopOrder
  /** Part of a name or class, in any case; '' shows all. */
  readonly filter: string
  /** Keys are letters of the filter. */
  readonly isTyping: boolean
  /** The row that is marked; it stays on its process where rows change places. */
  readonly chosen: string | undefined
  /** The chosen process is shown in full. */
  readonly isOpen: boolean
  /** The last column has command lines instead of units. */
  readonly hasCommands: boolean
}

export const TOP_VIEW: TopView = {
  ...{ order: 'evidence', filter: '', isTyping: false },
  ...{ chosen: undefined, isOpen: false, hasCommands: false },
}

const ORDERS: Readonly<Record<string, TopOrder>> = {
  e: 'evidence',
  c: 'calls',
  n: 'name',
  p: 'pid',
}
const CTRL_C = '\x03'
const ESCAPE = '\x1b'
// biome-ignore lint/suspicious/noControlCharactersInRegex: an arrow begins with escape
const KEYS = /\x1b\[[A-Z]|./gsu
const ENTER = /^[\r\n]$/
const ERASE = /^[\x7f\b]$/
const STEPS: Readonly<Record<string, number>> = { k: -1, j: 1, '\x1b[A': -1, '\x1b[B': 1 }

/** What a terminal sends in one piece, key by key: arrows are three characters. */
export function keysOf(text: string): string[] {
  return text.match(KEYS) ?? []
}

/**
 * @param key as the terminal sends it
 * @param rows keys of the rows in view, in order (rowKey)
 */
export function pressed(
  view: TopView,
  key: string,
  rows: readonly string[] = [],
): TopView | 'quit' {
  if (key === CTRL_C) return 'quit'
  if (view.isTyping) return typed(view, key)
  if (key === 'q' || key === 'Q') return 'quit'
  if (view.isOpen) return ENTER.test(key) || key === ESCAPE ? { ...view, isOpen: false } : view
  if (key === '/') return { ...view, isTyping: true }
  if (key === 'm') return { ...view, hasCommands: !view.hasCommands }
  if (ENTER.test(key)) return { ...view, isOpen: view.chosen !== undefined }
  if (key === ESCAPE)
    return view.chosen === undefined ? { ...view, filter: '' } : { ...view, chosen: undefined }
  const step = STEPS[key]
  if (step !== undefined) return { ...view, chosen: stepped(view.chosen, rows, step) }
  const order = ORDERS[key]
  return order === undefined ? view : { ...view, order }
}

/** The first row at first; then the neighbour, not beyond the ends. */
function stepped(
  chosen: string | undefined,
  rows: readonly string[],
  step: number,
): string | undefined {
  const at = chosen === undefined ? -1 : rows.indexOf(chosen)
  if (at < 0) return rows[0]
  return rows[Math.min(rows.length - 1, Math.max(0, at + step))]
}

function typed(view: TopView, key: string): TopView {
  if (ENTER.test(key)) return { ...view, isTyping: false }
  if (key === ESCAPE) return { ...view, isTyping: false, filter: '' }
  if (ERASE.test(key)) return { ...view, filter: [...view.filter].slice(0, -1).join('') }
  if (key < ' ' || view.filter.length >= FILTER_CHARS_MAX) return view
  return { ...view, filter: view.filter + key }
}

export function rowKey({ pid, start }: Pick<LiveProcess, 'pid' | 'start'>): string {
  return `${pid}@${start}`
}

/** Those that the filter leaves, in order. */
export function arranged(
  processes: readonly LiveProcess[],
  { order, filter }: Pick<TopView, 'order' | 'filter'>,
): readonly LiveProcess[] {
  const part = filter.toLowerCase()
  const left = processes.filter(
    ({ name, class: like, pid }) =>
      part === '' || `${name} ${like ?? ''} ${pid}`.toLowerCase().includes(part),
  )
  return left.sort(COMPARE[order])
}

type Compare = (a: LiveProcess, b: LiveProcess) => number

const COMPARE: Readonly<Record<TopOrder, Compare>> = {
  evidence: (a, b) => b.suspicion - a.suspicion || b.calls - a.calls,
  calls: (a, b) => b.calls - a.calls,
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.pid - b.pid),
  pid: (a, b) => a.pid - b.pid,
}

/** The line of keys below the rows. */
export function keyLine({ order, filter, isTyping, isOpen, hasCommands }: TopView): string {
  if (isTyping) return `Filter: ${filter}_  (Enter keeps it, Esc clears it)`
  if (isOpen) return 'Enter or Esc back  q quit'
  const filtered = filter === '' ? '' : `, filter "${filter}" (Esc clears it)`
  const column = hasCommands ? 'm units' : 'm commands'
  return `q quit  j k choose  Enter explain  / filter  ${column}  e evidence  c calls  n name  p pid  (by ${order}${filtered})`
}
