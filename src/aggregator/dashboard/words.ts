/**
 * What the page says in words: sentences, times and shares. No DOM here, so that a test can read
 * it.
 *
 * Names come apart from the words around them (`{ name }`), so that the page can set them off, and
 * so that no name, whatever it holds, is taken for a part of the sentence.
 */
import { absenceWords } from '../../domain/absence.ts'
import type { Alert, AlertKind } from '../../domain/alert.ts'
import { BEHAVIOURS, behavesAs, behavesLike, type Severity } from '../../domain/behaviour.ts'
import type { ActionRecord, TriageState } from '../store/incident.ts'
import { clockTime } from './times.ts'

export type Part = string | { readonly name: string }

export const KIND_LABEL: Readonly<Record<AlertKind, string>> = {
  masquerade: 'Masquerade',
  'non-grata': 'Non grata',
  novelty: 'Novelty',
  absence: 'Absence',
}

export const KIND_HELP: Readonly<Record<AlertKind, string>> = {
  masquerade: 'its name is one program, its behaviour another',
  'non-grata': 'behaves like malicious activity',
  novelty: 'matches no known program',
  absence: 'what the agent should tell is missing',
}

export const SEVERITY_LABEL: Readonly<Record<Severity, string>> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
}

export const TRIAGE_LABEL: Readonly<Record<TriageState, string>> = {
  new: 'New',
  acknowledged: 'Acknowledged',
  muted: 'Muted',
  allowed: 'Allowed',
}

/** The row of the list: who, and like what. */
export function headline(alert: Alert): Part[] {
  const name = { name: alert.process.name }
  const { kind, behaviour, predicted, claimed } = alert
  if (behaviour !== undefined) return [name, ` ${behavesAs(behaviour)}`]
  switch (kind) {
    case 'novelty':
      return claimed.class === ''
        ? [name, ' is new on this host']
        : [name, ' matches no known program']
    case 'masquerade':
      return predicted.class === ''
        ? [name, ' is not the program that its name says']
        : [name, ' behaves like ', { name: predicted.class }]
    case 'non-grata':
      return predicted.class === alert.process.name
        ? [name, ' behaves like malicious activity']
        : [name, ' behaves like ', { name: predicted.class }]
    case 'absence':
      return [missing(predicted.class)]
  }
}

/** "Process 812 has the name nginx but has behaved like a network scan since 10:42:07 UTC." */
export function sentence(alert: Alert, nowSeconds: number): Part[] {
  const { process, predicted, claimed, behaviour, kind } = alert
  const name = { name: process.name }
  const closed = alert.state === 'closed'
  const has = closed ? 'behaved' : 'has behaved'
  const when = closed
    ? ` from ${clockTime(alert.first, nowSeconds)} to ${clockTime(alert.last, nowSeconds)}.`
    : ` since ${clockTime(alert.first, nowSeconds)}.`
  const like: Part[] =
    behaviour !== undefined
      ? [` like ${behavesLike(BEHAVIOURS[behaviour].name)}`]
      : predicted.class === ''
        ? [' like another program']
        : [' like ', { name: predicted.class }]
  if (behaviour === 'agent-blinded') {
    const could = closed ? 'could not see its host' : 'cannot see its host'
    return ['The agent ', could, when]
  }
  const who = `Process ${process.pid} has the name `
  switch (kind) {
    case 'masquerade':
      return [who, name, ` but ${has}`, ...like, when]
    case 'non-grata':
      return [who, name, ` and ${has}`, ...like, ` (malicious)${when}`]
    case 'novelty':
      if (claimed.class !== '') return [who, name, ` but ${has} like no known program${when}`]
      return [
        `Process ${process.pid} is `,
        name,
        `, a program that is new on this host. First seen at ${clockTime(alert.first, nowSeconds)}.`,
      ]
    case 'absence':
      return [missing(predicted.class), when]
  }
}

/** What is missing of a host or, for an outage, of a site. */
function missing(what: string): string {
  const text = absenceWords(what).join(' ')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

/** What the hosts' own hours say of false alerts, with what that rests on. */
export function fleetGuarantee(of: {
  readonly hosts: number
  readonly guaranteed: number
  readonly alertHoursPerDay: number
  readonly worst: number
}): string {
  const { hosts, guaranteed, alertHoursPerDay, worst } = of
  if (guaranteed === 0)
    return `No host has watched enough ordinary hours yet to say how often an alert comes by chance (a day, as a rule).`
  const young = hosts - guaranteed
  return (
    `By chance, at most ${hoursOf(alertHoursPerDay)} a day hold an alert, over ${amount(guaranteed)} ` +
    `${guaranteed === 1 ? 'host' : 'hosts together'}, if hours go on as they were. ` +
    (guaranteed === 1 ? '' : `On one host at most ${percent(worst)} of hours. `) +
    (young === 0
      ? ''
      : `${amount(young)} ${young === 1 ? 'host has' : 'hosts have'} not watched long enough to say it.`)
  ).trim()
}

/** The same of one host. */
export function hostGuarantee(of: {
  readonly hours: number
  readonly needed: number
  readonly alertHoursMax?: number
}): string {
  const { hours, needed, alertHoursMax } = of
  return alertHoursMax === undefined
    ? `not yet: ${amount(hours)} of ${amount(needed)} ordinary hours`
    : `at most ${(100 * alertHoursMax).toFixed(1)} % of hours hold an alert by chance, from ${amount(hours)} ordinary hours`
}

function hoursOf(hours: number): string {
  return `${hours < 10 ? hours.toFixed(1) : amount(Math.round(hours))} hours`
}

/** What an operator did, after their name. */
export function actionWords(action: ActionRecord, nowSeconds: number): string {
  const until = action.until === 0 ? '' : ` until ${clockTime(action.until, nowSeconds)}`
  switch (action.action) {
    case 'acknowledge':
      return 'acknowledged it'
    case 'unacknowledge':
      return 'took the acknowledgement back'
    case 'assign':
      return action.value === '' ? 'removed the assignee' : `assigned it to ${action.value}`
    case 'note':
      return 'wrote a note'
    case 'mute':
      return `muted it${until}`
    case 'unmute':
      return 'ended the mute'
    case 'allow':
      return `allowed it${until}`
    case 'disallow':
      return 'ended the allowance'
    case 'label':
      return `labelled it "${action.value}"`
  }
}

/** "just now", "42 s ago", "5 min ago", "3 h ago", "6 d ago". */
export function relativeTime(seconds: number, nowSeconds: number): string {
  const age = Math.round(nowSeconds - seconds)
  if (age < -5) return `in ${span(-age)}`
  if (age < 5) return 'just now'
  return `${span(age)} ago`
}

/** One unit, rounded down: "42 s", "5 min", "3 h", "6 d". */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** Whole percents, but never "0 %" for something nor "100 %" for less than all. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return '<1 %'
  if (share < 1 && share > 0.99) return '>99 %'
  return `${Math.round(share * 100)} %`
}

/** 1,234 → "1,234"; 12,345,678 → "12.3M". */
export function amount(value: number): string {
  if (value < 100_000) return value.toLocaleString('en-US')
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(
    value,
  )
}

export function bytes(value: number): string {
  return value < 1e6 ? `${Math.round(value / 1e3)} kB` : `${Math.round(value / 1e6)} MB`
}

/** How a share compares with what is usual: "31 % of its calls, usually <1 %". */
export function comparison(seen: number, expected: number): string {
  if (expected === 0) return seen === 0 ? 'neither seen nor usual' : 'usually never'
  if (seen === 0) return 'usual, but missing'
  const ratio = seen / expected
  if (ratio >= 1.5) return `${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)} times the usual`
  if (ratio <= 0.67) return `${percent(ratio)} of the usual`
  return 'about as usual'
}
