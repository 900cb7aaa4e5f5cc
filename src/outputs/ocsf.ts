/**
 * An alert as a Detection Finding of OCSF 1.8 (class 2004). What the process usually does and what it
 * was seen to do are an anomaly analysis; ATT&CK techniques name the version of the matrix.
 */
import type { Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import { percent, reasons, sentence, who } from './alert-words.ts'

const SCHEMA = '1.8.0'
const CATEGORY_FINDINGS = 2
const DETECTION_FINDING = 2004
/** The matrix that domain/behaviour.ts takes its techniques from. */
const ATTACK_VERSION = '19.2'
/** [OCSF severity_id] */
const SEVERITY_IDS: Readonly<Record<Severity, number>> = { critical: 5, high: 4, medium: 3, low: 2 }
const SEVERITY_NAMES: Readonly<Record<Severity, string>> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
}
/** [OCSF activity_id of a finding] */
const ACTIVITIES = { open: [1, 'Create'], update: [2, 'Update'], closed: [3, 'Close'] } as const
/** [OCSF status_id of a finding] */
const STATUS_NEW = 1
const STATUS_RESOLVED = 4
/** [OCSF analytic.type_id] Learning (ML/DL) */
const ANALYTIC_LEARNING = 4
/** [OCSF file.type_id] Regular File */
const FILE_REGULAR = 1
/** [OCSF device.type_id] Unknown */
const DEVICE_UNKNOWN = 0

/** @param version of this program */
export function ocsfOf(alert: AlertMessage, version: string): object {
  const [activity, activityName] = ACTIVITIES[alert.state]
  const isOver = alert.state === 'closed'
  const { container } = alert.process
  return {
    activity_id: activity,
    activity_name: activityName,
    category_uid: CATEGORY_FINDINGS,
    class_uid: DETECTION_FINDING,
    class_name: 'Detection Finding',
    type_uid: DETECTION_FINDING * 100 + activity,
    severity_id: SEVERITY_IDS[alert.severity],
    severity: SEVERITY_NAMES[alert.severity],
    status_id: isOver ? STATUS_RESOLVED : STATUS_NEW,
    status: isOver ? 'Resolved' : 'New',
    time: alert.first * 1_000,
    start_time: alert.evidence.from * 1_000,
    end_time: alert.evidence.to * 1_000,
    count: alert.count,
    is_alert: !isOver && alert.certainty === 'confirmed',
    confidence_score: Math.round(100 * alert.predicted.confidence),
    message: `${who(alert)} ${sentence(alert)}`,
    metadata: {
      version: SCHEMA,
      product: { name: 'Callsign', vendor_name: 'Callsign', version },
      uid: `${alert.id}/${alert.boot}-${alert.seq}`,
      correlation_uid: alert.incident,
      logged_time: alert.time * 1_000,
      labels: [alert.kind, alert.certainty],
    },
    finding_info: findingInfo(alert),
    device: { hostname: alert.host, domain: alert.site, type_id: DEVICE_UNKNOWN },
    evidences: [
      {
        process: processOf(alert),
        device: { hostname: alert.host, type_id: DEVICE_UNKNOWN },
        ...(container === undefined ? {} : { container: { uid: container } }),
      },
    ],
    ...(alert.why.length === 0 ? {} : { anomaly_analyses: [anomalyOf(alert)] }),
  }
}

function findingInfo(alert: AlertMessage): object {
  const techniques = [...new Set([...(alert.techniques ?? []), ...listed(alert.technique)])]
  const description = reasons(alert)
  return {
    uid: alert.id,
    title: `${who(alert)} ${sentence(alert)}`,
    ...(description === '' ? {} : { desc: description }),
    first_seen_time: alert.first * 1_000,
    last_seen_time: alert.last * 1_000,
    types: [alert.behaviour ?? alert.kind],
    analytic: {
      name: alert.kind,
      uid: alert.model,
      type_id: ANALYTIC_LEARNING,
      type: 'Learning (ML/DL)',
    },
    ...(techniques.length === 0 ? {} : { attacks: techniques.map(attackOf) }),
  }
}

function listed<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value]
}

function attackOf(id: string): object {
  const [technique] = id.split('.')
  return {
    version: ATTACK_VERSION,
    technique: { uid: technique },
    ...(id === technique ? {} : { sub_technique: { uid: id } }),
  }
}

/** What the name usually does and what was seen, call by call. */
function anomalyOf({ why, process, claimed, first, last }: AlertMessage): object {
  const timespan = { start_time: first * 1_000, end_time: last * 1_000, type_id: 0 }
  const pattern = (share: number) => `${percent(share)} of all calls`
  return {
    analysis_targets: [{ name: process.name, type: 'Process' }],
    anomalies: why.map(({ syscall, seen }) => ({
      observation_parameter: syscall,
      observation_type: 'Frequency Analysis',
      observations: [{ value: pattern(seen), timespan }],
    })),
    baselines: why.map(({ syscall, expected }) => ({
      observation_parameter: syscall,
      observation_type: 'Frequency Analysis',
      observations: [{ value: pattern(expected) }],
      ...(claimed.class === '' ? {} : { observed_pattern: claimed.class }),
    })),
  }
}

function processOf({ process }: AlertMessage): object {
  const { pid, start, name, exe, deleted, user, uid, cwd, command, parents } = process
  const [parent] = parents ?? []
  return {
    pid,
    name,
    created_time: start * 1_000,
    ...(exe === undefined ? {} : { file: fileOf(exe, deleted) }),
    ...(user === undefined && uid === undefined
      ? {}
      : { user: defined({ name: user, uid: uid === undefined ? undefined : String(uid) }) }),
    ...defined({ cmd_line: command, working_directory: cwd }),
    ...(parent === undefined
      ? {}
      : {
          parent_process: {
            ...{ pid: parent.pid, name: parent.name },
            ...(parent.exe === undefined ? {} : { file: fileOf(parent.exe) }),
          },
        }),
  }
}

function fileOf(path: string, deleted?: boolean): object {
  return {
    name: path.slice(path.lastIndexOf('/') + 1) || path,
    path,
    type_id: FILE_REGULAR,
    ...defined({ is_deleted: deleted }),
  }
}
