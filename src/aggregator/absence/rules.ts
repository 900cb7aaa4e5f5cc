/**
 * When the absence of hosts is an alert, and when it is over. Pure: what the store says, and the
 * time, are given.
 *
 * A host that is silent is one alert of its own, unless many of its site are: then the site is one
 * alert, whatever the number of its hosts, because a broker, a network or a power line is the cause.
 * Hosts fall silent one after the other, as their summaries are spread over a minute; a host's own
 * alert therefore waits a while for the others. A host that said a clean end is not absent.
 */
import type { Absence } from '../../domain/absence.ts'
import type { Alert } from '../../domain/alert.ts'
import type { Severity } from '../../domain/behaviour.ts'
import { ABSENCE_HOSTS_NAMED_MAX, OUTAGE_HOSTS_MIN, OUTAGE_SHARE } from '../../domain/limits.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import { FLEET_HOST, toSeconds } from '../store/records.ts'
import type { Absences, Named, Suspect } from '../store/store.ts'

export interface AbsenceRules {
  /** A host without a message for so long is silent. */
  readonly afterMs: number
  /** A host that is blind or noisy for so long is told of. */
  readonly troubledMs: number
  /** Silence for longer than this is given up: the alert is closed, so that the host can be forgotten. */
  readonly forgetMs: number
}

export interface Situation {
  readonly nowMs: number
  /**
   * Hosts had time to connect again since this aggregator, its broker or its store was last away. If
   * not, no silence begins.
   */
  readonly settled: boolean
  /** Why nothing arrives at present; undefined while all is well. */
  readonly away: string | undefined
}

/** A change of one alert. */
export interface AbsenceChange extends Named {
  readonly what: Absence
  readonly state: Alert['state']
  readonly severity: Severity
  /** Unix seconds. */
  readonly first: number
  readonly last: number
  /** Hosts that are concerned. */
  readonly count: number
  readonly because: readonly string[]
  /** The alert that it changes. */
  readonly before: AlertMessage | undefined
}

/** Hosts whose last message is older are not counted among those that a site expects. */
export const EXPECTED_MS = 86_400_000
/** A host's own alert waits for so much longer, as a share of `afterMs`, whether others follow. */
const WAIT_FOR_OTHERS = 0.3
/** An outage is over when fewer than this share of the hosts that make one are silent. */
const OVER_BELOW = 0.5

export function changesOf(
  absences: Absences,
  rules: AbsenceRules,
  situation: Situation,
): AbsenceChange[] {
  const open = new Map(absences.open.map((alert) => [keyOf(alert, alert.predicted.class), alert]))
  const outages = outagesOf(absences, rules, situation, open)
  const troubles = absences.suspects.flatMap((suspect) =>
    troublesOf(suspect, rules, situation, open, outages),
  )
  const going = new Set([...outages, ...troubles].map((one) => keyOf(one, one.what)))
  const changed = [...outages, ...troubles].filter(({ state }) => state !== 'same')
  // Of what was not looked at, nothing is over.
  const over = absences.isWhole
    ? absences.open.filter((alert) => !going.has(keyOf(alert, alert.predicted.class)))
    : []
  return [
    ...changed.map((one) => ({ ...one, state: one.state as Alert['state'] })),
    ...over.map((alert) => closed(alert, situation.nowMs)),
  ]
}

/** One that goes on and needs no message is `same`. */
type Going = Omit<AbsenceChange, 'state'> & { readonly state: 'open' | 'update' | 'same' }

function outagesOf(
  { sites, suspects, open: all }: Absences,
  rules: AbsenceRules,
  { nowMs, settled, away }: Situation,
  open: ReadonlyMap<string, AlertMessage>,
): Going[] {
  return sites.flatMap(({ site, expected, silent }) => {
    const since = toSeconds(nowMs - EXPECTED_MS)
    const told = all.filter(
      (alert) => alert.site === site && alert.predicted.class === 'silent' && alert.first >= since,
    )
    const news = silent - told.length
    const before = open.get(keyOf({ site, host: FLEET_HOST }, 'outage'))
    const enough = Math.max(OUTAGE_HOSTS_MIN, OUTAGE_SHARE * (expected - told.length))
    const isOutage =
      before === undefined
        ? news > 0 && (away !== undefined || (settled && news >= enough))
        : news > 0 && (away !== undefined || !settled || news >= OVER_BELOW * enough)
    if (!isOutage) return []
    const hosts = suspects.filter((one) => one.site === site && isSilent(one, rules, nowMs))
    const names = hosts.slice(0, ABSENCE_HOSTS_NAMED_MAX).map(({ host }) => host)
    const more = news > names.length ? ` and ${news - names.length} more` : ''
    return {
      ...{ site, host: FLEET_HOST, what: 'outage' as const, severity: 'high' as const },
      state: stateOf(before, news),
      first: before?.first ?? Math.min(...hosts.map(lastSeen), toSeconds(nowMs)),
      last: toSeconds(nowMs),
      count: news,
      because: [
        `${news} of ${expected} hosts send nothing`,
        ...(away === undefined ? [] : [`the aggregator has no connection: ${away}`]),
        `silent: ${names.join(', ')}${more}`,
      ],
      before,
    }
  })
}

function troublesOf(
  suspect: Suspect,
  rules: AbsenceRules,
  { nowMs, settled, away }: Situation,
  open: ReadonlyMap<string, AlertMessage>,
  outages: readonly Going[],
): Going[] {
  const { site, host, blindSince, noisySince } = suspect
  const going = (
    what: Absence,
    severity: Severity,
    first: number,
    because: readonly string[],
  ): Going => {
    const before = open.get(keyOf(suspect, what))
    return {
      ...{ site, host, what, severity, because, before },
      state: before === undefined ? 'open' : 'same',
      ...{ first: before?.first ?? first, last: toSeconds(nowMs), count: 1 },
    }
  }
  const isTold = (what: Absence) => open.has(keyOf(suspect, what))
  const silentMs = nowMs - suspect.lastSeen
  const isLong = silentMs >= rules.afterMs * (1 + WAIT_FOR_OTHERS)
  const isOfOutage = away !== undefined || outages.some((outage) => outage.site === site)
  const silent =
    silentMs >= rules.afterMs &&
    silentMs < rules.forgetMs &&
    (isTold('silent') || (isLong && settled && !isOfOutage))
  const troubledFor = (since: number) => since > 0 && nowMs - since >= rules.troubledMs
  return [
    ...(silent ? [going('silent', 'high', lastSeen(suspect), silenceOf(suspect))] : []),
    ...(troubledFor(blindSince)
      ? [
          going('blind', 'high', toSeconds(blindSince), [
            'in half of its seconds or more it could not judge or see',
          ]),
        ]
      : []),
    ...(troubledFor(noisySince)
      ? [
          going('noisy', 'medium', toSeconds(noisySince), [
            'it holds alerts back, because too many came',
          ]),
        ]
      : []),
  ]
}

function silenceOf(suspect: Suspect): string[] {
  const time = new Date(suspect.lastSeen).toISOString().replace(/\.\d+Z$/, 'Z')
  const how =
    suspect.online === 1
      ? 'it did not disconnect'
      : suspect.reason === 'lost'
        ? 'its connection was lost, without a clean end'
        : 'it did not connect again'
  return [`the last message came at ${time}`, how]
}

function isSilent({ lastSeen: at }: Suspect, { afterMs }: AbsenceRules, nowMs: number): boolean {
  return nowMs - at >= afterMs
}

/** An outage is told again where its size has changed by half. */
function stateOf(before: AlertMessage | undefined, count: number): Going['state'] {
  if (before === undefined) return 'open'
  return count > before.count * 1.5 || count < before.count / 1.5 ? 'update' : 'same'
}

function closed(alert: AlertMessage, nowMs: number): AbsenceChange {
  const { site, host, predicted, severity, first, count, because = [] } = alert
  return {
    ...{ site, host, what: predicted.class as Absence, state: 'closed', severity },
    ...{ first, last: toSeconds(nowMs), count, because, before: alert },
  }
}

function lastSeen(suspect: Suspect): number {
  return toSeconds(suspect.lastSeen)
}

function keyOf({ site, host }: Named, what: string): string {
  return `${site}/${host}/${what}`
}
