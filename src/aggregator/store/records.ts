/** A host and a change of an alert as they are told, and two words about them. */
import type { AlertState } from '../../domain/alert.ts'
import type { FleetStates } from '../../domain/fleet-state.ts'

export interface HostRecord {
  readonly site: string
  readonly host: string
  readonly state: 'online' | 'offline'
  /**
   * Why it is offline: a clean end, a lost connection, or no message since the aggregator started.
   */
  readonly reason?: string
  /** Unix seconds: of the last change of state, of the first and the last message. */
  readonly since: number
  readonly firstSeen: number
  readonly lastSeen: number
  readonly boot: number
  readonly version: string
  readonly model: string
  readonly source: string
  /** Unix seconds since when it judges less than half of its seconds; absent where it does not. */
  readonly blindSince?: number
  /** Unix seconds since when it holds alerts, because there are too many. */
  readonly noisySince?: number
  /** What it has made of its fleet's documents; absent where it accepts none. */
  readonly fleet?: FleetStates
  /** The public key that its messages are signed with, since when; absent where they are not. */
  readonly key?: SeenKey
  /** Another key that signed for this host, and whose messages are refused. */
  readonly refusedKey?: SeenKey
}

export interface SeenKey {
  /** base64url, 43 characters. */
  readonly key: string
  /** Unix seconds. */
  readonly since: number
}

export interface AlertChange {
  readonly time: number
  readonly state: AlertState
  readonly count: number
  readonly class: string
  readonly confidence: number
  /** Unix seconds, by the aggregator's clock. */
  readonly received: number
}

/**
 * Alerts about a site as a whole are kept under this name, which no host can have. It is in no list
 * of hosts.
 */
export const FLEET_HOST = 'fleet'

export function isActive(state: AlertState): boolean {
  return state !== 'closed'
}

export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000)
}
