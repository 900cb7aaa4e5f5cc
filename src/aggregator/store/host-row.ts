/**
 * A host as a store has it in hand while it commits, and what a message changes of it: the same for
 * every store.
 */
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
  /** ms */
  readonly since: number
  readonly firstSeen: number
  readonly lastSeen: number
  readonly version: string
  readonly model: string
  readonly source: string
  readonly active: number
  readonly alerts: number
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
  const { version, model, source, boot } = message
  const reason = online === 1 ? '' : (message.reason ?? 'lost')
  const same = host.online === online && host.boot === boot && host.reason === reason
  if (same && host.version === version && host.model === model && host.source === source)
    return false
  if (host.online !== online || (online === 1 && host.boot !== boot)) host.since = nowMs
  Object.assign(host, { online, reason, boot, version, model, source })
  return true
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
