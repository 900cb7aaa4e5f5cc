/**
 * A notice in the words of those who receive it: plain JSON, Slack, ntfy, Alertmanager (API v2),
 * PagerDuty (events v2), an OpenTelemetry collector (OTLP/HTTP logs), and what takes documents of ECS
 * or OCSF.
 */
import { BEHAVIOURS, type Severity } from '../domain/behaviour.ts'
import { version } from '../platform/embedded.ts'
import { context, reasons, sentence, who } from './alert-words.ts'
import { ecsOf } from './ecs.ts'
import type { Notice } from './notices.ts'
import { ocsfOf } from './ocsf.ts'
import { otlpOf } from './otlp.ts'

export const WEBHOOK_TEMPLATES = [
  'json',
  'slack',
  'ntfy',
  'alertmanager',
  'pagerduty',
  'otlp',
  'ecs',
  'ocsf',
] as const
export type WebhookTemplate = (typeof WEBHOOK_TEMPLATES)[number]

export interface Request {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** @param secret of PagerDuty the routing key; the others do not see it */
export function requestOf(template: WebhookTemplate, notice: Notice, secret?: string): Request {
  switch (template) {
    case 'json':
      return json({ v: 1, ...notice, title: titleOf(notice), text: textOf(notice) })
    case 'slack':
      return json({ text: `${ICONS[notice.severity]} *${titleOf(notice)}*\n${textOf(notice)}` })
    case 'ntfy':
      return {
        body: textOf(notice),
        headers: {
          Title: asciiOf(titleOf(notice)),
          Priority: notice.status === 'resolved' ? '2' : PRIORITIES[notice.severity],
          Tags: notice.status === 'resolved' ? 'white_check_mark' : 'rotating_light',
        },
      }
    case 'alertmanager':
      return json([alertmanager(notice)])
    case 'pagerduty':
      return json(pagerduty(notice, secret ?? ''))
    case 'otlp':
      return json(otlpOf(notice, version))
    case 'ecs':
      return json(ecsOf(notice.alert, version))
    case 'ocsf':
      return json(ocsfOf(notice.alert, version))
  }
}

const ICONS: Readonly<Record<Severity, string>> = {
  critical: ':rotating_light:',
  high: ':red_circle:',
  medium: ':large_yellow_circle:',
  low: ':white_circle:',
}
/** [ntfy: 5 is urgent] */
const PRIORITIES: Readonly<Record<Severity, string>> = {
  critical: '5',
  high: '4',
  medium: '3',
  low: '1',
}
const PAGERDUTY: Readonly<Record<Severity, string>> = {
  critical: 'critical',
  high: 'error',
  medium: 'warning',
  low: 'info',
}

export function titleOf({ status, severity, alert, alerts }: Notice): string {
  const more = alerts > 1 ? ` and ${alerts - 1} more` : ''
  const what = `${alert.host}: ${who(alert)} ${sentence(alert)}${more}`
  return status === 'resolved' ? `Resolved: ${what}` : `${severity.toUpperCase()} ${what}`
}

export function textOf({ alert, incident }: Notice): string {
  const lines = [reasons(alert), context(alert), `incident ${incident}; agent explain ${alert.id}`]
  return lines.filter((line) => line !== '').join('\n')
}

function alertmanager(notice: Notice) {
  const { alert, incident, severity, status } = notice
  const isOver = status === 'resolved'
  return {
    labels: {
      alertname: `Callsign ${alert.behaviour === undefined ? alert.kind : BEHAVIOURS[alert.behaviour].name}`,
      ...{ severity, incident, site: alert.site, host: alert.host, kind: alert.kind },
    },
    annotations: { summary: titleOf(notice), description: textOf(notice) },
    startsAt: new Date(alert.first * 1000).toISOString(),
    ...(isOver ? { endsAt: new Date(alert.time * 1000).toISOString() } : {}),
  }
}

function pagerduty(notice: Notice, routingKey: string) {
  const { alert, incident, severity, status } = notice
  return {
    routing_key: routingKey,
    event_action: status === 'resolved' ? 'resolve' : 'trigger',
    dedup_key: `callsign/${alert.site}/${alert.host}/${incident}`,
    payload: {
      summary: titleOf(notice).slice(0, 1_024),
      source: alert.host,
      severity: PAGERDUTY[severity],
      timestamp: new Date(alert.time * 1000).toISOString(),
      class: alert.behaviour ?? alert.kind,
      custom_details: { text: textOf(notice), alert: alert.id, techniques: alert.techniques ?? [] },
    },
  }
}

function json(value: unknown): Request {
  return { body: JSON.stringify(value), headers: { 'Content-Type': 'application/json' } }
}

/** What a header may hold. */
function asciiOf(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 250)
}
