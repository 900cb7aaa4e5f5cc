/**
 * Alerts as a person reads them on a terminal: how bad, who, what it behaves like, which facts or
 * calls decided, where to look next. One place, so that `watch`, `alerts` and `explain` say the
 * same.
 */
import { absenceWords } from '../domain/absence.ts'
import type { Alert, AlertEnd } from '../domain/alert.ts'
import { behavesAs, behavesLike, type Severity } from '../domain/behaviour.ts'
import { safeName } from '../domain/process.ts'
import { paintFor } from '../platform/terminal.ts'

const paint = paintFor(process.stdout)

/** Calls that a line names. */
const REASONS_SHOWN = 4

/**
 * One line; where an alert opens or is confirmed, the reasons, the context and the next command
 * below it.
 */
export function alertLines(alert: Alert, host?: string): string {
  const time = new Date(alert.time * 1000).toISOString().slice(11, 19)
  const word = alert.severity.toUpperCase().padEnd(8)
  const severity = alert.state === 'closed' ? paint.dim(word) : COLOUR[alert.severity](word)
  const where = host === undefined ? '' : `${safeName(host)} `
  const line = `${time}  ${severity}  ${where}${paint.bold(who(alert))} ${sentence(alert)}`
  const state = stateWords(alert)
  const head = `${line}${state === '' ? '' : paint.dim(` [${state}]`)}\n`
  if (alert.state !== 'open') return head
  const below = [reasons(alert), context(alert), `agent explain ${alert.id}`]
  return (
    head +
    below
      .filter((text) => text !== '')
      .map((text) => `          ${paint.dim(text)}\n`)
      .join('')
  )
}

const COLOUR: Readonly<Record<Severity, (text: string) => string>> = {
  critical: paint.red,
  high: paint.red,
  medium: paint.yellow,
  low: paint.dim,
}

export function who({ process, kind, predicted }: Alert): string {
  if (kind === 'absence') return absenceWords(predicted.class)[0]
  return `${safeName(process.name)} (pid ${process.pid})`
}

/** What the alert says, after the name of the process. */
export function sentence({ kind, predicted, claimed, behaviour }: Alert): string {
  const share = predicted.confidence < 1 ? ` (${percent(predicted.confidence)})` : ''
  switch (kind) {
    case 'masquerade':
      return predicted.class === ''
        ? 'is not the program that its name says'
        : `behaves like ${safeName(predicted.class)}${share}, not like ${safeName(claimed.class) || 'its name'}`
    case 'non-grata': {
      return behaviour === undefined
        ? `behaves like ${behavesLike(safeName(predicted.class))}${share}`
        : `${behavesAs(behaviour)}${share}`
    }
    case 'novelty':
      return claimed.class === ''
        ? 'is new on this host'
        : `does not behave like ${safeName(claimed.class)} does, nor like any known program`
    case 'absence':
      return absenceWords(predicted.class)[1]
  }
}

/** Facts where there are any, else the calls that decided. */
export function reasons({ because, why }: Alert): string {
  if (because !== undefined && because.length > 0)
    return `because ${because.map(safeName).join('; ')}`
  if (why.length === 0) return ''
  // What decided may be a few calls among thousands: "0 % (usual 0 %)" tells nobody anything.
  const differ = why.filter(({ seen, expected }) => percent(seen) !== percent(expected))
  const calls = (differ.length === 0 ? why.slice(0, 1) : differ)
    .slice(0, REASONS_SHOWN)
    .map(
      ({ syscall, seen, expected }) =>
        `${safeName(syscall)} ${percent(seen)} (usual ${percent(expected)})`,
    )
  return `because its calls are ${calls.join(', ')}`
}

/** Executable, user, parents, unit and peers, as far as they are known. */
export function context({ process, peers }: Alert): string {
  const { exe, deleted, user, uid, loginUid, loginUser, parents, unit, container } = process
  const parts = [
    exe === undefined ? '' : `${safeName(exe)}${deleted === true ? ' (deleted)' : ''}`,
    user !== undefined ? `user ${safeName(user)}` : uid !== undefined ? `uid ${uid}` : '',
    loginUid === undefined || loginUid === uid
      ? ''
      : `logged in as ${safeName(loginUser ?? `uid ${loginUid}`)}`,
    parents === undefined || parents.length === 0
      ? ''
      : `from ${parents.map(({ name }) => safeName(name)).join(' < ')}`,
    unit === undefined ? '' : `unit ${safeName(unit)}`,
    container === undefined ? '' : `container ${safeName(container).slice(0, 12)}`,
    peers === undefined || peers.length === 0 ? '' : `peers ${peers.map(safeName).join(' ')}`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

function stateWords({ state, ended, reopened, certainty, count, first, last }: Alert): string {
  const seconds = last - first
  if (state === 'open') return certainty
  if (state === 'update')
    return `${reopened === undefined ? certainty : 'open again'}, ${windows(count)}, ${seconds} s`
  return `closed after ${seconds} s${ended === undefined ? '' : `: ${ENDS[ended]}`}`
}

export const ENDS: Readonly<Record<AlertEnd, string>> = {
  quiet: 'it did not go on',
  gone: 'its process ended while the agent was not running',
  replaced: 'its process has a worse alert',
  end: 'the input is over',
  bound: 'too many alerts were open',
}

export function windows(count: number): string {
  return `${count} ${count === 1 ? 'window' : 'windows'}`
}

export function percent(share: number): string {
  if (share > 0 && share < 0.005) return '<1 %'
  return `${Math.round(share * 100)} %`
}
