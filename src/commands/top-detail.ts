/**
 * One process of `agent top` in full: who it is, what it behaves like, and the explanation of its
 * alert where it has one. Lines out, as of the table.
 */
import type { LiveProcess } from '../agent/live-view.ts'
import type { ProcessLook } from '../operate/process-look.ts'
import { columns, type Paint, safeText } from './common.ts'
import { fit, likeness, type ScreenSize } from './top-screen.ts'

/**
 * @param process undefined where it has ended
 * @param explanation of its newest alert, as `agent explain` prints it
 */
export function detailLines(
  process: LiveProcess | undefined,
  look: ProcessLook | undefined,
  explanation: string | undefined,
  keys: string,
  paint: Paint,
  { columns: width, rows }: ScreenSize,
): string[] {
  if (process === undefined)
    return [paint.bold('The process has ended or was silent for ten seconds'), '', paint.dim(keys)]
  const text =
    explanation ?? `${paint.bold(who(process))} no alert\n\n${columns(rowsOf(process, look))}`
  const lines = text.trimEnd().split('\n')
  const room = Math.max(1, rows - 2)
  const shown = lines.length > room ? [...lines.slice(0, room - 1), '…'] : lines
  return [...shown.map((line) => fit(line, width)), '', paint.dim(fit(keys, width))]
}

function who({ name, pid }: LiveProcess): string {
  return pid < 0
    ? `Short-lived processes named ${safeText(name)}:`
    : `${safeText(name)} (pid ${pid}):`
}

function rowsOf(process: LiveProcess, look: ProcessLook | undefined): string[][] {
  const [like, sure] = likeness(process)
  const { suspicion, calls, container, start } = process
  const rows: [string, string | undefined][] = [
    ['behaves like', sure === '' ? like : `${like} (${sure})`],
    ['calls', `${Math.round(calls).toLocaleString('en-US')} in the last second`],
    [
      'evidence',
      suspicion === 0 ? 'none' : `${Math.round(100 * suspicion)} % of what an alert takes`,
    ],
    ['executable', look?.exe],
    ['command', look?.command],
    ['directory', look?.cwd],
    ['user', look?.user],
    ['unit', look?.unit],
    ['container', container],
    ['parents', look?.parents?.map(({ pid, name }) => `${name} (${pid})`).join(' < ')],
    ['started', `${new Date(start * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`],
  ]
  return rows.flatMap(([name, text]) =>
    text === undefined || text === '' ? [] : [[name, safeText(text)]],
  )
}
