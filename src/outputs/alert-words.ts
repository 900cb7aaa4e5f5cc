/** Alerts as a person reads them on a terminal: who, what it claims, what it behaves like, since when, why. */
import type { Alert, AlertEnd } from '../domain/alert.ts'
import { safeName } from '../domain/process.ts'
import { paintFor } from '../platform/terminal.ts'

const paint = paintFor(process.stdout)

/** One line, and one more with the reasons where an alert opens. */
export function alertLines(alert: Alert, host?: string): string {
  const time = new Date(alert.time * 1000).toISOString().slice(11, 19)
  const word = alert.kind.toUpperCase().padEnd(10)
  const kind = alert.state === 'closed' ? paint.dim(word) : COLOUR[alert.kind](word)
  const who = `${host === undefined ? '' : `${safeName(host)} `}${safeName(alert.process.name)} (${alert.process.pid})`
  const state = alert.state === 'open' ? '' : paint.dim(` [${stateWords(alert)}]`)
  const line = `${time}  ${kind}  ${paint.bold(who)} ${sentence(alert)}${state}\n`
  if (alert.state !== 'open' || alert.why.length === 0) return line
  const why = alert.why
    .slice(0, 4)
    .map(
      ({ syscall, seen, expected }) =>
        `${safeName(syscall)} ${percent(seen)} (usual ${percent(expected)})`,
    )
  return `${line}          ${paint.dim(`why: ${why.join(', ')}; alert ${alert.id}`)}\n`
}

const COLOUR = {
  novelty: paint.yellow,
  'non-grata': paint.red,
  masquerade: paint.red,
} as const

/** What the alert says, after the name of the process. */
export function sentence({ kind, predicted, claimed }: Alert): string {
  const like = `"${safeName(predicted.class)}" (${percent(predicted.confidence)} sure)`
  switch (kind) {
    case 'masquerade':
      return `behaves like ${like}, not like ${safeName(claimed.class) || 'its name'}`
    case 'non-grata':
      return `behaves like ${like}, which is known to be bad`
    case 'novelty':
      return claimed.class === ''
        ? 'is a program that is new on this host'
        : `does not behave like ${safeName(claimed.class)} usually does, nor like anything known`
  }
}

function stateWords({ state, ended, reopened, count, first, last }: Alert): string {
  const seconds = last - first
  if (state !== 'closed')
    return `${reopened === undefined ? 'still' : 'open again'}, ${count} windows, ${seconds} s`
  return `closed after ${seconds} s${ended === undefined ? '' : `: ${ENDS[ended]}`}`
}

const ENDS: Readonly<Record<AlertEnd, string>> = {
  quiet: 'nothing more was seen',
  gone: 'its process ended while the agent was not running',
  replaced: 'its process has a worse alert',
  end: 'the input is over',
  bound: 'too many alerts were open',
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
