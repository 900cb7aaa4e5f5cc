/** When a host is silent or loses calls, as both stores ask it. */
import { HOST_LOSING_SHARE, HOST_SILENT_S } from '../../domain/limits.ts'
import type { HostCondition } from './store.ts'

const HOUR_S = 3_600

export interface ConditionColumns {
  readonly lastSeen: string
  readonly hours: string
  readonly hourHost: string
}

/** A condition on `hosts` with a `?` for each value. */
export function conditionSql(
  { is, now }: HostCondition,
  { lastSeen, hours, hourHost }: ConditionColumns,
): { readonly text: string; readonly values: readonly number[] } {
  if (is === 'silent')
    return {
      text: `hosts.online = 1 AND hosts.${lastSeen} < ?`,
      values: [Math.floor((now - HOST_SILENT_S) * 1_000)],
    }
  return {
    text: `EXISTS (SELECT 1 FROM ${hours} AS hours WHERE hours.${hourHost} = hosts.id
      AND hours.hour >= ? AND hours.dropped > ? * (hours.calls + hours.dropped))`,
    values: [Math.floor(now / HOUR_S) - 1, HOST_LOSING_SHARE],
  }
}
