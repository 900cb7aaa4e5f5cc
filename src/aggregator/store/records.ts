/** A host and a change of an alert as they are told, and two words about them. */
import type { AlertState } from '../../domain/alert.ts'

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

export function isActive(state: AlertState): boolean {
  return state !== 'closed'
}

export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000)
}
