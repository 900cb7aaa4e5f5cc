/**
 * A host as a store has it in hand while it commits, and what a message changes of it: the same for
 * every store.
 */
import type { FleetStates } from '../../domain/fleet-state.ts'
import { HOST_SILENT_S } from '../../domain/limits.ts'
import type { StatusMessage } from '../../wire/status-message.ts'
import type { SummaryHead } from '../../wire/summary-head.ts'
import type { HostKeys } from './host-key.ts'
import { type HostRecord, toSeconds } from './records.ts'

/** A host as its row has it. */
export interface StoredHost extends Readonly<HostKeys> {
  readonly id: number
  readonly site: string
  readonly host: string
  readonly online: number
  readonly reason: string
  readonly boot: number
  /** ms at which its connection began, as its status says; 0 where that says nothing. */
  readonly session: number
  /** ms */
  readonly since: number
  readonly firstSeen: number
  readonly lastSeen: number
  readonly version: string
  readonly model: string
  readonly source: string
  readonly active: number
  readonly alerts: number
  /** ms since when its summaries say so; 0 where they do not. */
  readonly blindSince: number
  readonly noisySince: number
  /** JSON of what it has made of its fleet's documents; '' where it accepts none. */
  readonly fleet: string
}

export function toRecord(row: StoredHost): HostRecord {
  return {
    site: row.site,
    host: row.host,
    state: row.online === 1 ? 'online' : 'offline',
    ...(row.reason === '' ? {} : { reason: row.reason }),
    since: toSeconds(row.since),
    firstSeen: toSeconds(row.firstSeen),
    lastSeen: toSeconds(row.lastSeen),
    boot: row.boot,
    version: row.version,
    model: row.model,
    source: row.source,
    ...(row.key === '' ? {} : { key: { key: row.key, since: toSeconds(row.keySince) } }),
    ...(row.blindSince === 0 ? {} : { blindSince: toSeconds(row.blindSince) }),
    ...(row.fleet === '' ? {} : { fleet: JSON.parse(row.fleet) as FleetStates }),
    ...(row.noisySince === 0 ? {} : { noisySince: toSeconds(row.noisySince) }),
    ...(row.otherKey === ''
      ? {}
      : { refusedKey: { key: row.otherKey, since: toSeconds(row.otherKeySince) } }),
  }
}

/**
 * Which of the last summaries of a host have been added up: the newest number of its newest boot,
 * and a bit for each of the 31 before it. Summaries come in order but for those that are sent
 * again.
 */
export interface SummaryWindow {
  summaryBoot: number
  summarySeq: number
  summarySeen: number
}

export type HostRow = { -readonly [K in keyof StoredHost]: StoredHost[K] } & SummaryWindow

export function hostKey({ site, host }: { readonly site: string; readonly host: string }): string {
  return `${site}/${host}`
}

const WINDOW_BITS = 31
const HOUR_S = 3_600
/** An hour of an agent whose clock is further off than this is the aggregator's own. */
const CLOCK_OFF_S = 400 * 24 * HOUR_S

/** @returns whether something about the host changed that is worth telling */
export function applyStatus(host: HostRow, message: StatusMessage, nowMs: number): boolean {
  const online = message.state === 'online' ? 1 : 0
  // A will that comes after the same agent is back belongs to its earlier life.
  if (online === 0 && message.boot < host.boot) return false
  const { version, model, source, boot, session = 0 } = message
  if (isOutdated(host, message)) return false
  noteStatusSeen(host, message, nowMs)
  const reason = online === 1 ? '' : (message.reason ?? 'lost')
  const fleet = message.fleet === undefined ? '' : JSON.stringify(message.fleet)
  const same =
    host.fleet === fleet && host.online === online && host.boot === boot && host.reason === reason
  if (same && host.version === version && host.model === model && host.source === source) {
    host.session = session
    return false
  }
  if (host.online !== online || (online === 1 && host.boot !== boot)) host.since = nowMs
  Object.assign(host, { online, reason, boot, session, version, model, source, fleet })
  return true
}

/** A retained status is as old as it says: it does not show that a host is there now. */
function noteStatusSeen(host: HostRow, { time }: StatusMessage, nowMs: number): void {
  const seenMs = time * 1000 > nowMs - HOST_SILENT_S * 1000 ? nowMs : time * 1000
  const isFirst = host.boot === 0 && host.summaryBoot < 0 && host.alerts === 0
  host.lastSeen = isFirst ? seenMs : Math.max(host.lastSeen, seenMs)
}

/**
 * Of one boot a later connection replaces an earlier one, and what ended stays so, in whatever order
 * a cluster of brokers delivers their statuses. A host that was restored from a snapshot has an
 * earlier boot or, with its clock, a later connection.
 */
function isOutdated(host: HostRow, { boot, session, state }: StatusMessage): boolean {
  if (session === undefined) return false
  // A status can be recorded and published again, with its signature.
  if (boot < host.boot) return session < host.session
  if (boot > host.boot) return false
  if (session < host.session) return true
  const hasEnded = host.reason === 'ended' || host.reason === 'lost'
  return session === host.session && state === 'online' && host.online === 0 && hasEnded
}

/** From this share of a summary's seconds on a host is blind, and below the other it is not. */
const TROUBLED_FROM = 0.5
const WELL_BELOW = 0.25

/** Since when the host cannot see, or holds alerts, as its newest summary says. */
export function noteTrouble(host: HostRow, summary: SummaryHead, nowMs: number): void {
  const seconds = summary.to - summary.from + 1
  const { unjudged = {}, missed = {} } = summary
  const notJudged = Object.values(unjudged).reduce((sum, count) => sum + count, 0)
  const blind = (notJudged + (missed['seconds-blind'] ?? 0)) / seconds
  const held = (missed['alerts-held'] ?? 0) > 0 ? 1 : 0
  host.blindSince = troubledSince(host.blindSince, blind, nowMs)
  host.noisySince = troubledSince(host.noisySince, held, nowMs)
}

function troubledSince(since: number, share: number, nowMs: number): number {
  if (share >= TROUBLED_FROM) return since === 0 ? nowMs : since
  return share < WELL_BELOW ? 0 : since
}

/**
 * Notes a summary. `newest`: none was newer; `older`: new, but not the newest; the other two change
 * nothing.
 */
export function noteSummary(
  window: SummaryWindow,
  { boot, seq }: { readonly boot: number; readonly seq: number },
): 'newest' | 'older' | 'duplicate' | 'late' {
  const ahead = boot === window.summaryBoot ? seq - window.summarySeq : boot - window.summaryBoot
  if (ahead > 0) {
    const shift = boot === window.summaryBoot ? ahead : WINDOW_BITS
    window.summarySeen =
      shift >= WINDOW_BITS ? 1 : ((window.summarySeen << shift) | 1) & 0x7fff_ffff
    window.summaryBoot = boot
    window.summarySeq = seq
    return 'newest'
  }
  if (boot !== window.summaryBoot || -ahead >= WINDOW_BITS) return 'late'
  const bit = 1 << -ahead
  if ((window.summarySeen & bit) !== 0) return 'duplicate'
  window.summarySeen |= bit
  return 'older'
}

/** What one summary adds to its hour. */
export interface HourPart {
  readonly hour: number
  readonly seconds: number
  readonly calls: number
  readonly dropped: number
  readonly cpuMs: number
  readonly rssBytes: number
  readonly alertsOpen: number
}

export function hourOf(summary: SummaryHead, nowMs: number): HourPart {
  const { from, to, calls, dropped, agent, alertsOpen } = summary
  const now = Math.floor(nowMs / 1000)
  return {
    hour: Math.floor((Math.abs(to - now) > CLOCK_OFF_S ? now : to) / HOUR_S),
    seconds: to - from + 1,
    calls,
    dropped: Object.values(dropped).reduce((sum, count) => sum + count, 0),
    cpuMs: Math.round(agent.cpuSeconds * 1000),
    rssBytes: agent.rssBytes,
    alertsOpen,
  }
}
