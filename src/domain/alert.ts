/**
 * An alert: evidence above its threshold. The same shape is stored, sent and shown (wire/ makes it
 * JSON).
 */
import type { BehaviourId, Severity } from './behaviour.ts'

/** Of an agent's alerts, which are about processes. */
export const PROCESS_ALERT_KINDS = ['masquerade', 'non-grata', 'novelty'] as const
/**
 * `absence` is about a host: aggregators raise it where a host is silent, cannot see, or holds
 * alerts back (`aggregator/absence/`).
 */
export const ALERT_KINDS = [...PROCESS_ALERT_KINDS, 'absence'] as const
export type AlertKind = (typeof ALERT_KINDS)[number]
export type AlertState = 'open' | 'update' | 'closed'
/**
 * Why an alert was closed: it did not go on for a while; its process had ended while the agent
 * was not running; its process has a worse alert now; the recording is over; too many alerts were
 * open at a time.
 */
export type AlertEnd = 'quiet' | 'gone' | 'replaced' | 'end' | 'bound'
export const ALERT_ENDS: readonly AlertEnd[] = ['quiet', 'gone', 'replaced', 'end', 'bound']

export interface ClassConfidence {
  readonly class: string
  /** 0…1, calibrated. */
  readonly confidence: number
}

/**
 * One syscall that decided: how much of the window it was (0…1), and what the claimed class usually
 * shows.
 */
export interface Reason {
  readonly syscall: string
  readonly seen: number
  readonly expected: number
  /** How often in each second of the window, oldest first (call-levels.ts); absent where never. */
  readonly seconds?: string
}

/** `provisional`: listed. `confirmed`: sends notifications. */
export type Certainty = 'provisional' | 'confirmed'

export interface ParentProcess {
  readonly pid: number
  readonly name: string
  readonly exe?: string
}

/** Context of a process from the kernel and the package database. */
export interface ProcessContext {
  readonly uid?: number
  readonly user?: string
  /** Who logged in where it came from; sudo and su change `uid` and not this one. */
  readonly loginUid?: number
  readonly loginUser?: string
  /** Its parents up to init, the nearest first. */
  readonly parents?: readonly ParentProcess[]
  /** systemd unit or the like. */
  readonly unit?: string
  /** Leaves the host only with `--send command-lines`; secrets masked. */
  readonly cwd?: string
  readonly command?: string
  /** Its executable is no longer in the file system. */
  readonly deleted?: boolean
  /** Package that owns the executable. */
  readonly package?: string
}

/** What is known of a process beside what its calls came with. */
export interface KnownContext extends ProcessContext {
  /** Remote ends of its connections. */
  readonly peers?: readonly string[]
  /** Where the source did not tell it. */
  readonly exe?: string
}

export interface Alert {
  /** The same for the same cause: hash of host, process key and kind, under the host's secret. */
  readonly id: string
  readonly kind: AlertKind
  readonly state: AlertState
  /** Unix seconds of the frame that made this message. */
  readonly time: number
  readonly first: number
  readonly last: number
  /** Windows that agreed so far. */
  readonly count: number
  readonly process: {
    readonly pid: number
    /** Unix seconds. */
    readonly start: number
    readonly name: string
    readonly exe?: string
    readonly container?: string
  } & ProcessContext
  readonly severity: Severity
  readonly certainty: Certainty
  /**
   * Shared by the alerts of one incident: one session, unit or root ancestor, or one name and
   * behaviour.
   */
  readonly incident: string
  /** The malicious behaviour, where the alert is about one. */
  readonly behaviour?: BehaviourId
  /** ATT&CK v19.2. */
  readonly techniques?: readonly string[]
  /** Remote ends of its open connections, "address:port". */
  readonly peers?: readonly string[]
  /** Facts about the process that spoke for the alert, a clause each. */
  readonly because?: readonly string[]
  readonly predicted: ClassConfidence
  /** The next most probable classes. */
  readonly alternatives?: readonly ClassConfidence[]
  /** Confidence 0 and class '' where the model has no class for the name. */
  readonly claimed: ClassConfidence
  readonly why: readonly Reason[]
  readonly model: string
  readonly technique?: string
  /** Where it is closed. */
  readonly ended?: AlertEnd
  /** How often it was closed and came back. */
  readonly reopened?: number
  /** Unix seconds of the frames that the evidence spans, inclusive. */
  readonly evidence: { readonly from: number; readonly to: number }
}

/** Low severity: kept on the host and shown on request, sent to nobody. */
export function isObservation({ severity }: Pick<Alert, 'severity'>): boolean {
  return severity === 'low'
}
