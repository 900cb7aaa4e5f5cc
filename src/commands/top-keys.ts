/**
 * What the keys of `agent top` do: order and filter of its rows. State in, state out; the screen is
 * drawn elsewhere.
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
}

export const TOP_VIEW: TopView = { order: 'evidence', filter: '', isTyping: false }

const ORDERS: Readonly<Record<string, TopOrder>> = {
  e: 'evidence',
  c: 'calls',
  n: 'name',
  p: 'pid',
}
const CTRL_C = '\x03'
const ESCAPE = '\x1b'
const ENTER = /^[\r\n]$/
const ERASE = /^[\x7f\b]$/

/** @param key one character as the terminal sends it */
export function pressed(view: TopView, key: string): TopView | 'quit' {
  if (key === CTRL_C) return 'quit'
  if (view.isTyping) return typed(view, key)
  if (key === 'q' || key === 'Q') return 'quit'
  if (key === '/') return { ...view, isTyping: true }
  if (key === ESCAPE) return { ...view, filter: '' }
  const order = ORDERS[key]
  return order === undefined ? view : { ...view, order }
}

function typed(view: TopView, key: string): TopView {
  if (ENTER.test(key)) return { ...view, isTyping: false }
  if (key === ESCAPE) return { ...view, isTyping: false, filter: '' }
  if (ERASE.test(key)) return { ...view, filter: [...view.filter].slice(0, -1).join('') }
  if (key < ' ' || view.filter.length >= FILTER_CHARS_MAX) return view
  return { ...view, filter: view.filter + key }
}

/** Those that the filter leaves, in order. */
export function arranged(
  processes: readonly LiveProcess[],
  { order, filter }: TopView,
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
export function keyLine({ order, filter, isTyping }: TopView): string {
  if (isTyping) return `Filter: ${filter}_  (Enter keeps it, Esc clears it)`
  const filtered = filter === '' ? '' : `, filter "${filter}" (Esc clears it)`
  return `q quit  / filter  e evidence  c calls  n name  p pid  (by ${order}${filtered})`
}
