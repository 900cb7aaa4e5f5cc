/** Alerts as a person reads them on a terminal: who, what it claims, what it behaves like, since when, why. */
import type { Alert } from '../domain/alert.ts'
import { paintFor, safeText } from './common.ts'

const paint = paintFor(process.stdout)

/** One line, and one more with the reasons where an alert opens. */
export function alertLines(alert: Alert, host?: string): string {
  const time = new Date(alert.time * 1000).toISOString().slice(11, 19)
  const word = alert.kind.toUpperCase().padEnd(10)
  const kind = alert.state === 'closed' ? paint.dim(word) : COLOUR[alert.kind](word)
  const who = `${host === undefined ? '' : `${safeText(host)} `}${safeText(alert.process.name)} (${alert.process.pid})`
  const state = alert.state === 'open' ? '' : paint.dim(` [${stateWords(alert)}]`)
  const line = `${time}  ${kind}  ${paint.bold(who)} ${sentence(alert)}${state}\n`
  if (alert.state !== 'open' || alert.why.length === 0) return line
  const why = alert.why
    .slice(0, 4)
    .map(
      ({ syscall, seen, expected }) =>
        `${safeText(syscall)} ${percent(seen)} (usual ${percent(expected)})`,
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
  const like = `"${safeText(predicted.class)}" (${percent(predicted.confidence)} sure)`
  switch (kind) {
    case 'masquerade':
      return `behaves like ${like}, not like ${safeText(claimed.class) || 'its name'}`
    case 'non-grata':
      return `behaves like ${like}, which is known to be bad`
    case 'novelty':
      return claimed.class === ''
        ? 'is a program that is new on this host'
        : `does not behave like ${safeText(claimed.class)} usually does, nor like anything known`
  }
}

function stateWords({ state, count, first, last }: Alert): string {
  const seconds = last - first
  return state === 'closed' ? `closed after ${seconds} s` : `still, ${count} windows, ${seconds} s`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
