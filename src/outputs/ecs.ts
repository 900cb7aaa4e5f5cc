/** An alert as a document of the Elastic Common Schema 9.4. */
import { SEVERITIES, type Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import { reasons, sentence, who } from './alert-words.ts'

const ECS_VERSION = '9.4.0'
/** Higher is worse: ECS leaves the scale to the source. */
const SEVERITY_STEP = 25

/** @param version of this program */
export function ecsOf(alert: AlertMessage, version: string): object {
  const { process, evidence, state } = alert
  const techniques = [
    ...new Set([
      ...(alert.techniques ?? []),
      ...(alert.technique === undefined ? [] : [alert.technique]),
    ]),
  ]
  const why = reasons(alert)
  return {
    '@timestamp': iso(alert.time),
    ecs: { version: ECS_VERSION },
    message: `${who(alert)} ${sentence(alert)}`,
    event: {
      kind: 'alert',
      category: ['process', 'intrusion_detection'],
      type: [TYPES[state]],
      id: `${alert.id}/${alert.boot}-${alert.seq}`,
      module: 'callsign',
      dataset: 'callsign.alert',
      action: alert.behaviour ?? alert.kind,
      severity: severityNumber(alert.severity),
      start: iso(evidence.from),
      end: iso(evidence.to),
      ...(why === '' ? {} : { reason: why }),
    },
    observer: { vendor: 'Callsign', product: 'Callsign', type: 'sensor', version },
    host: { name: alert.host, hostname: alert.host },
    process: processOf(process),
    ...(process.user === undefined && process.uid === undefined
      ? {}
      : {
          user: defined({
            name: process.user,
            id: process.uid === undefined ? undefined : String(process.uid),
          }),
        }),
    ...(process.container === undefined ? {} : { container: { id: process.container } }),
    rule: { name: alert.kind, category: alert.severity, uuid: alert.id },
    ...(techniques.length === 0
      ? {}
      : { threat: { framework: 'MITRE ATT&CK', technique: { id: techniques } } }),
    labels: {
      ...{ site: alert.site, incident: alert.incident, state, certainty: alert.certainty },
      ...{ claimed: alert.claimed.class, predicted: alert.predicted.class },
    },
  }
}

/** [ECS event.type] */
const TYPES = { open: 'start', update: 'change', closed: 'end' } as const

function severityNumber(severity: Severity): number {
  return SEVERITY_STEP * (SEVERITIES.length - SEVERITIES.indexOf(severity))
}

function processOf({
  pid,
  start,
  name,
  exe,
  cwd,
  command,
  parents,
}: AlertMessage['process']): object {
  const [parent] = parents ?? []
  return {
    pid,
    name,
    start: iso(start),
    ...defined({ executable: exe, command_line: command, working_directory: cwd }),
    ...(parent === undefined
      ? {}
      : {
          parent: {
            ...{ pid: parent.pid, name: parent.name },
            ...defined({ executable: parent.exe }),
          },
        }),
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}
