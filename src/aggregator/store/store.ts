/**
 * What the aggregator keeps, and what it can be asked: hosts, alerts with their history, the newest
 * summary of each host and its hours. Two stores keep it: one SQLite file (`sqlite-store.ts`), or a
 * PostgreSQL database that several aggregators share (`postgres-store.ts`). The same tests hold for
 * both.
 *
 * `commit` takes a batch, all or nothing, and is on disk when it resolves: a receipt lets an agent
 * delete the only other copy. The newest state of an alert is decided by (boot, seq) of its agent,
 * in whatever order messages arrive, and the same message twice changes nothing.
 */
import type { AlertKind, AlertState } from '../../domain/alert.ts'
import type { FleetSubject } from '../../domain/fleet-state.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import type { StatusMessage } from '../../wire/status-message.ts'
import type { SummaryHead } from '../../wire/summary-head.ts'
import type { SummaryMessage } from '../../wire/summary-message.ts'
import type { HostArchive } from './archive.ts'
import type { EnrolmentSql } from './enrolment-sql.ts'
import type { KeyRefusal } from './host-key.ts'
import type { Action, ActionRecord, IncidentKey, IncidentReads } from './incident.ts'
import type { ProgramsSql } from './programs-sql.ts'
import type { AlertChange, HostRecord } from './records.ts'
import type { RequestsSql } from './requests-sql.ts'

export type Arrival = Received | HostKnown | HostAbsence

/** What hosts send. */
export type Received = (
  | { readonly kind: 'alert'; readonly message: AlertMessage }
  | { readonly kind: 'summary'; readonly message: SummaryHead; readonly payload: Uint8Array }
  | { readonly kind: 'status'; readonly message: StatusMessage }
) & {
  /** The public key that signed it; absent where nothing did. */
  readonly key?: string
}

/** What is known of a host that is classified here; opaque. Replaces what was known before. */
export interface HostKnown {
  readonly kind: 'known'
  readonly message: Named
  readonly body: Uint8Array
}

/** An alert about a host, raised here: neither a sign of its life nor signed by it. */
export interface HostAbsence {
  readonly kind: 'absence'
  readonly message: AlertMessage
}

/** What a commit changed, for those who watch live. */
export type StoreChange =
  | { readonly kind: 'alert'; readonly message: AlertMessage }
  | { readonly kind: 'host'; readonly host: HostRecord }
  | { readonly kind: 'summary'; readonly message: SummaryHead }
  /** Of the batch, and not stored: its key is not the host's. */
  | { readonly kind: 'refused'; readonly arrival: Received; readonly reason: KeyRefusal }

export interface ListedHost extends HostRecord {
  readonly alerts: { readonly active: number; readonly total: number }
}

export interface AlertQuery {
  readonly limit: number
  /** Cursor of the page before. */
  readonly after?: string
  readonly site?: string
  readonly host?: string
  readonly kinds?: readonly AlertKind[]
  readonly states?: readonly AlertState[]
}

export interface AlertPage {
  /** JSON objects as on the wire: active ones first, then by their last change. */
  readonly bodies: string[]
  readonly next: string | null
}

export interface HostQuery {
  readonly limit: number
  readonly after?: string
  readonly site?: string
  readonly state?: HostRecord['state']
  readonly condition?: HostCondition
  /** Part of `site/host`, in any case. */
  readonly search?: string
  /**
   * By site and host, or with those that need attention first: active alerts, then online, then by
   * name.
   */
  readonly order?: 'name' | 'attention'
}

/**
 * `silent`: connected, and no message for longer than two summaries take. `losing`: more than 1 % of
 * its calls were lost in this or the last hour.
 */
export interface HostCondition {
  readonly is: 'silent' | 'losing'
  /** Unix seconds. */
  readonly now: number
}

export interface HostPage {
  readonly items: ListedHost[]
  readonly next: string | null
}

/** One hour of a host, added up from its summaries. */
export interface HostHour {
  /** Unix seconds of its beginning. */
  readonly hour: number
  /** Seconds that summaries told of. */
  readonly seconds: number
  readonly calls: number
  readonly dropped: number
  readonly cpuSeconds: number
  readonly rssBytes: number
  /** Most alerts open at a time. */
  readonly alertsOpen: number
}

export interface Counts {
  readonly hosts: {
    readonly online: number
    readonly offline: number
    /** For which another key than the pinned one has signed. */
    readonly keyChanged: number
  }
  readonly alerts: { readonly active: number; readonly total: number }
}

/** A host by its whole name. */
export interface Named {
  readonly site: string
  readonly host: string
}

export interface Where {
  readonly site?: string | undefined
  readonly host?: string | undefined
}

/** What the API and the page ask. */
export interface Reads {
  readonly incidents: IncidentReads
  /** Which host showed a program of a name first. */
  readonly programs: ProgramsSql
  alerts(query: AlertQuery): Promise<AlertPage>
  /** The alert with this id; where two hosts claim it, the one received first unless `at` says. */
  alert(
    id: string,
    at?: Where,
  ): Promise<{ body: string; received: number; history: AlertChange[] } | undefined>
  hosts(query: HostQuery): Promise<HostPage>
  /** The newest summary of a host; where two sites have the host, the one received last. */
  latestSummary(
    host: string,
    site?: string,
  ): Promise<{ host: HostRecord; summary: SummaryMessage | undefined } | undefined>
  /** The newest hours of a host, oldest first. */
  hours(host: string, site: string | undefined, limit: number): Promise<HostHour[] | undefined>
  counts(): Promise<Counts>
  /** How many hosts are in a condition. */
  countHosts(condition: HostCondition): Promise<number>
  /** The newest summaries, by their time of receipt. */
  latestSummaries(limit: number): Promise<{ host: HostRecord; summary: SummaryMessage }[]>
  usage(): Promise<Usage>
  /** The newest document of each site and kind. */
  documents(): Promise<StoredDocument[]>
  /** Of a document that is published in parts; none where another version has taken its place. */
  documentParts(document: Omit<StoredDocument, 'body'>): Promise<Uint8Array[]>
  /** Which hosts run what. */
  fleetRuns(): Promise<FleetRun[]>
}

/** A document as it is published: with its signature. */
export interface StoredDocument {
  readonly site: string
  readonly what: FleetSubject
  readonly version: number
  readonly body: Uint8Array
}

/** Hosts of a site that run the same. */
export interface FleetRun {
  readonly site: string
  readonly version: string
  readonly model: string
  /** JSON of FleetStates; '' where they accept none. */
  readonly fleet: string
  readonly hosts: number
  readonly online: number
}

/** Bounds of what `absences` looks for, in Unix ms. */
export interface AbsenceBounds {
  /** A host whose last message came then or before is silent. */
  readonly silentBefore: number
  /** One that is blind or noisy since then or before. */
  readonly troubledBefore: number
  /** Hosts whose last message came before this are not expected any more. */
  readonly expectedSince: number
  /** Most suspects that are given, the latest silence first: new ones come before known ones. */
  readonly limit: number
}

/** A host that should send and does not, or says that it cannot see. */
export interface Suspect extends Named {
  readonly online: number
  readonly reason: string
  /** ms */
  readonly lastSeen: number
  readonly blindSince: number
  readonly noisySince: number
}

export interface Absences {
  readonly suspects: readonly Suspect[]
  /** These are all suspects. */
  readonly isWhole: boolean
  /** Alerts of this kind that are active. */
  readonly open: readonly AlertMessage[]
  /** By site: hosts that should send, and how many of them are silent. */
  readonly sites: readonly {
    readonly site: string
    readonly expected: number
    readonly silent: number
  }[]
}

/** How much is kept, and since when. */
export interface Usage {
  readonly bytes: number
  /** Unix seconds of the alert that changed longest ago. */
  readonly oldestAlert: number | null
}

/** Since the store was opened. */
export interface Tallies {
  /** Rows that a bound or their age has pushed out. */
  readonly evicted: { readonly hosts: number; readonly alerts: number; readonly hours: number }
  /** Repeats that were recognised. */
  readonly duplicates: number
  /** Summaries that came so late that newer ones had been added up without them. */
  readonly late: number
}

export interface Store extends Reads {
  readonly kind: 'sqlite' | 'postgres'
  /** Where damaged files were put aside. */
  readonly setAside: readonly string[]
  readonly retention: Retention
  /** Its authority, tokens and certificates. */
  readonly enrolment: EnrolmentSql
  /** What hosts are asked. */
  readonly requests: RequestsSql
  tallies(): Tallies
  /**
   * When it rejects, nothing of the batch is stored and nothing may be receipted.
   * @returns what changed, in order; repeats change nothing
   */
  commit(batch: readonly Arrival[], nowMs: number): Promise<StoreChange[]>
  /**
   * What an operator did about an incident, on disk when it resolves.
   *
   * @returns undefined where there is no such incident
   */
  act(
    key: IncidentKey,
    action: Action,
    actor: string,
    nowMs: number,
  ): Promise<ActionRecord | undefined>
  /** What is known of these hosts, in their order; undefined of those never classified here. */
  known(hosts: readonly Named[]): Promise<(Uint8Array | undefined)[]>
  /**
   * The private key that receipts are signed with, made by the first who asks; kept with the rows,
   * because aggregators that share them give the same receipts.
   * @param first what it is if there is none yet
   * @returns 32 bytes as hex
   */
  identity(first?: string): Promise<string>
  /**
   * From now on this is the key of a host.
   * @returns false where there is no such host
   */
  acceptKey(where: Named, key: string): Promise<boolean>
  /** Keys of these hosts, in their order; '' of those that never signed. */
  keysOf(hosts: readonly Named[]): Promise<string[]>
  /**
   * Hosts that should send and do not, or that say that they are blind or noisy. A host that
   * said a clean end is none of them, nor is one that has never said that it is online.
   */
  absences(bounds: AbsenceBounds): Promise<Absences>
  /**
   * Whether this aggregator does what only one of several may do, from now on for a while.
   * @param holder a name of this aggregator's own
   */
  lead(duty: string, holder: string, forMs: number): Promise<boolean>
  /**
   * @param parts of a document that is too long for one message, all or none
   * @returns false where there is a newer one already, or this one
   */
  putDocument(document: StoredDocument, parts?: readonly Uint8Array[]): Promise<boolean>
  /** An embedded broker that has just started has no connections, whatever the store says. */
  forgetConnections(nowMs: number): Promise<void>
  sites(): Promise<string[]>
  alertGroups(): Promise<{ kind: AlertKind; state: AlertState; count: number }[]>
  /**
   * Alerts that another aggregator stored since a while ago, each once; where others may store at
   * all.
   */
  follow?(nowMs: number): Promise<StoreChange[]>
  /** Now and then: removes what is too old or too much, a bounded amount at a time. */
  tidy(nowMs: number): Promise<void>
  /** All that is kept, host by host, for another store. */
  archives(): AsyncIterable<HostArchive>
  /** @returns false where the host is there already: it is left as it is */
  restore(archive: HostArchive): Promise<boolean>
  close(): Promise<void>
}

/** How long and how much is kept; an alert that is still active has no age. */
export interface Retention {
  /** Days since the last change, by kind. */
  readonly days: Readonly<Record<AlertKind, number>>
  /** Days of hourly figures. */
  readonly hourlyDays: number
  /** Days since the last message of a host without active alerts. */
  readonly hostDays: number
  readonly alerts: number
  readonly bytes: number
}

export interface StoreBounds {
  readonly hostsMax: number
  readonly alertsPerHostMax: number
  readonly changesMax: number
  readonly retention: Retention
  /** Rows that one `tidy` removes at most. */
  readonly tidyRows: number
  /** SQLite: of 4 KiB; a file that may not grow is a full disk. */
  readonly pagesMax?: number
}
