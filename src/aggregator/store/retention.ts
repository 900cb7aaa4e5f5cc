/**
 * `--retain` as text: how long and how much the store keeps, such as
 * `masquerade=365d,novelty=90d,size=8GB`.
 */
import { ALERT_KINDS, type AlertKind } from '../../domain/alert.ts'
import { AgentError } from '../../domain/error.ts'
import {
  ALERT_DAYS_KEPT,
  ALERTS_STORED_MAX,
  HOST_DAYS_KEPT,
  HOURLY_DAYS_KEPT,
  RETAIN_DAYS_MAX,
  STORE_BYTES_MAX,
} from '../../domain/limits.ts'
import type { Retention } from './store.ts'

export const RETENTION: Retention = {
  days: {
    masquerade: ALERT_DAYS_KEPT,
    'non-grata': ALERT_DAYS_KEPT,
    novelty: ALERT_DAYS_KEPT,
    absence: ALERT_DAYS_KEPT,
  },
  hourlyDays: HOURLY_DAYS_KEPT,
  hostDays: HOST_DAYS_KEPT,
  alerts: ALERTS_STORED_MAX,
  bytes: STORE_BYTES_MAX,
}

const UNITS: Readonly<Record<string, number>> = { MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 }

/** @throws AgentError ERR_USAGE which says what was not understood */
export function parseRetention(text: string): Retention {
  let retention = RETENTION
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [name = '', value = ''] = part.trim().split('=', 2)
    retention = withSetting(retention, name, value)
  }
  return retention
}

function withSetting(retention: Retention, name: string, value: string): Retention {
  if (isKind(name)) return { ...retention, days: { ...retention.days, [name]: days(name, value) } }
  if (name === 'hourly') return { ...retention, hourlyDays: days(name, value) }
  if (name === 'hosts') return { ...retention, hostDays: days(name, value) }
  if (name === 'size') return { ...retention, bytes: bytes(value) }
  if (name === 'alerts') {
    if (!/^[1-9]\d{0,9}$/.test(value)) throw wrong(name, value, 'a number, such as alerts=1000000')
    return { ...retention, alerts: Number(value) }
  }
  throw wrong(name, value, 'masquerade, non-grata, novelty, absence, hourly, hosts, alerts or size')
}

function isKind(name: string): name is AlertKind {
  return (ALERT_KINDS as readonly string[]).includes(name)
}

function days(name: string, value: string): number {
  const count = Number(/^([1-9]\d{0,4})d$/.exec(value)?.[1])
  if (!(count <= RETAIN_DAYS_MAX)) throw wrong(name, value, `days, such as ${name}=90d`)
  return count
}

function bytes(value: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,5})(MB|GB|TB)$/.exec(value) ?? []
  if (count === undefined) throw wrong('size', value, 'a size, such as size=8GB')
  return Number(count) * UNITS[unit]!
}

function wrong(name: string, value: string, wanted: string): AgentError {
  const given = value === '' ? name : `${name}=${value}`
  return new AgentError('ERR_USAGE', `Cannot use --retain "${given}": it must be ${wanted}`, {
    hint: 'For example --retain masquerade=365d,novelty=90d,hourly=30d,hosts=90d,alerts=1000000,size=8GB',
  })
}

/** The same as one line. */
export function showRetention(retention: Retention): string {
  const { days: kinds, hourlyDays, hostDays, alerts, bytes: size } = retention
  return [
    ...ALERT_KINDS.map((kind) => `${kind}=${kinds[kind]}d`),
    `hourly=${hourlyDays}d`,
    `hosts=${hostDays}d`,
    `alerts=${alerts}`,
    `size=${Math.round(size / UNITS.MB!)}MB`,
  ].join(',')
}
