/**
 * A notice as an OTLP/HTTP log record in JSON [opentelemetry-proto 1.7, ExportLogsServiceRequest], for
 * the `/v1/logs` of a collector.
 */
import type { Severity } from '../domain/behaviour.ts'
import { reasons, sentence, who } from './alert-words.ts'
import type { Notice } from './notices.ts'

/** [OTLP SeverityNumber] WARN is 13, ERROR 17, FATAL 21. */
const NUMBERS: Readonly<Record<Severity, number>> = { critical: 21, high: 17, medium: 13, low: 9 }
const TEXTS: Readonly<Record<Severity, string>> = {
  critical: 'FATAL',
  high: 'ERROR',
  medium: 'WARN',
  low: 'INFO',
}

type Value = { stringValue: string } | { intValue: string }

/** @param version of this program */
export function otlpOf(
  { alert, incident, status, severity, alerts }: Notice,
  version: string,
): object {
  const { process } = alert
  const over = status === 'resolved'
  const attributes: Readonly<Record<string, string | number | undefined>> = {
    'callsign.incident': incident,
    'callsign.alert': alert.id,
    'callsign.alerts': alerts,
    'callsign.status': status,
    'callsign.kind': alert.kind,
    'callsign.severity': severity,
    'callsign.behaviour': alert.behaviour,
    'callsign.predicted': alert.predicted.class,
    'callsign.claimed': alert.claimed.class,
    'callsign.reason': reasons(alert) || undefined,
    'callsign.techniques': alert.techniques?.join(' '),
    'process.pid': process.pid,
    'process.executable.name': process.name,
    'process.executable.path': process.exe,
    'process.command_line': process.command,
    'process.owner': process.user,
    'process.parent_pid': process.parents?.[0]?.pid,
    'container.id': process.container,
  }
  return {
    resourceLogs: [
      {
        resource: {
          attributes: attributesOf({
            'service.name': 'callsign',
            'service.version': version,
            'service.namespace': alert.site,
            'host.name': alert.host,
          }),
        },
        scopeLogs: [
          {
            scope: { name: 'callsign', version },
            logRecords: [
              {
                timeUnixNano: nanoseconds(alert.time),
                observedTimeUnixNano: nanoseconds(alert.time),
                severityNumber: over ? NUMBERS.low : NUMBERS[severity],
                severityText: over ? TEXTS.low : TEXTS[severity],
                eventName: `callsign.incident.${status}`,
                body: {
                  stringValue: `${over ? 'Resolved: ' : ''}${who(alert)} ${sentence(alert)}`,
                },
                attributes: attributesOf(attributes),
              },
            ],
          },
        ],
      },
    ],
  }
}

function attributesOf(values: Readonly<Record<string, string | number | undefined>>) {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  )
}

/** 64-bit numbers are text in protobuf's JSON. */
function anyValue(value: string | number): Value {
  return typeof value === 'string' ? { stringValue: value } : { intValue: String(value) }
}

function nanoseconds(seconds: number): string {
  return `${seconds}000000000`
}
