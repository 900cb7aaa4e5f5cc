/**
 * Alerts in the formats of others, held against their published schemas (in test/fixtures, with
 * origin and licence).
 */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BEHAVIOUR_IDS, SEVERITIES } from '../../src/domain/behaviour.ts'
import { ecsOf } from '../../src/outputs/ecs.ts'
import { fileOutput } from '../../src/outputs/file.ts'
import type { Notice } from '../../src/outputs/notices.ts'
import { ocsfOf } from '../../src/outputs/ocsf.ts'
import { otlpOf } from '../../src/outputs/otlp.ts'
import { requestOf } from '../../src/outputs/webhook-templates.ts'
import { type AlertMessage, toMessage } from '../../src/wire/alert-message.ts'
import ecs from '../fixtures/ecs-9.4.json'
import ocsf from '../fixtures/ocsf-1.8.0.json'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleOrigin } from '../wire/samples.ts'

const directory = temporaryDirectories()
const whole = toMessage(sampleAlert, sampleOrigin)
const { pid, start, name } = sampleAlert.process
/** As little as a message may hold. */
const bare: AlertMessage = {
  ...{ v: 1, ...sampleOrigin, id: 'x', kind: 'novelty', state: 'open', incident: 'x', model: '' },
  ...{ time: 10, first: 1, last: 10, count: 1, severity: 'low', certainty: 'provisional', why: [] },
  process: { pid, start, name },
  predicted: { class: '', confidence: 0 },
  claimed: { class: '', confidence: 0 },
  evidence: { from: 1, to: 10 },
}
const alerts: AlertMessage[] = [
  whole,
  bare,
  ...SEVERITIES.map((severity) => ({ ...whole, severity })),
  ...BEHAVIOUR_IDS.map((behaviour) => ({ ...whole, behaviour })),
  ...(['open', 'update', 'closed'] as const).map((state) => ({ ...whole, state })),
]

// --- OCSF --------------------------------------------------------------------------------------------

interface Attribute {
  readonly type: string
  readonly array?: boolean
  readonly required?: boolean
  readonly enum?: readonly string[]
}
interface OcsfObject {
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly constraints?: { readonly at_least_one?: readonly string[] }
}
const objects = ocsf.objects as unknown as Readonly<Record<string, OcsfObject>>

/** Everything that the schema says about an object and what it holds. */
function ocsfFaults(type: string, value: unknown, at: string): string[] {
  const known = objects[type]
  if (known === undefined) return [`${at}: "${type}" is not in the fixture`]
  const given = value as Record<string, unknown>
  const faults = Object.entries(known.attributes).flatMap(([key, { required }]) =>
    required === true && given[key] === undefined ? [`${at}.${key} is missing`] : [],
  )
  const one = known.constraints?.at_least_one
  if (one !== undefined && !one.some((key) => given[key] !== undefined))
    faults.push(`${at} has none of ${one.join(', ')}`)
  for (const [key, inner] of Object.entries(given)) {
    const attribute = known.attributes[key]
    if (attribute === undefined) faults.push(`${at}.${key} is unknown`)
    else if ((attribute.array === true) !== Array.isArray(inner))
      faults.push(`${at}.${key}: array?`)
    else
      for (const item of Array.isArray(inner) ? inner : [inner])
        faults.push(...valueFaults(attribute, item, `${at}.${key}`))
  }
  return faults
}

function valueFaults({ type, enum: values }: Attribute, value: unknown, at: string): string[] {
  if (values !== undefined && !values.includes(String(value))) return [`${at} is ${value}`]
  switch (type) {
    case 'string_t':
      return typeof value === 'string' ? [] : [`${at} is no text`]
    case 'integer_t':
    case 'long_t':
      return Number.isSafeInteger(value) ? [] : [`${at} is no whole number`]
    case 'boolean_t':
      return typeof value === 'boolean' ? [] : [`${at} is no boolean`]
    default:
      return ocsfFaults(type, value, at)
  }
}

describe('ocsfOf()', () => {
  test('keeps to the schema, whatever the alert holds', () => {
    for (const alert of alerts)
      expect(ocsfFaults('detection_finding', ocsfOf(alert, '1.2.3'), 'finding')).toEqual([])
  })

  test('the check itself finds faults', () => {
    const { finding_info: _, ...rest } = ocsfOf(whole, '1') as Record<string, unknown>
    const wrong = { ...rest, severity_id: 12, count: 'three', invented: 1, evidences: [{}] }
    expect(ocsfFaults('detection_finding', wrong, 'f')).toEqual([
      'f.finding_info is missing',
      'f.severity_id is 12',
      'f.count is no whole number',
      expect.stringMatching(/^f\.evidences has none of/),
      'f.invented is unknown',
    ])
  })

  test('says what was seen beside what is usual, and which ATT&CK it means', () => {
    expect(ocsfOf(whole, '1.2.3')).toMatchObject({
      ...{ type_uid: 200_401, severity_id: 4, is_alert: true, confidence_score: 97 },
      finding_info: {
        uid: whole.id,
        attacks: [{ version: '19.2', technique: { uid: 'T1046' } }, {}],
      },
      anomaly_analyses: [
        {
          anomalies: [
            { observation_parameter: 'socket', observations: [{ value: '31 % of all calls' }] },
            {},
          ],
          baselines: [{ observed_pattern: 'nginx' }, {}],
        },
      ],
    })
    const over = ocsfOf({ ...whole, state: 'closed', techniques: ['T1059.004'] }, '1')
    expect(over).toMatchObject({ activity_id: 3, type_uid: 200_403, status_id: 4, is_alert: false })
    expect(JSON.stringify(over)).toContain(
      '"technique":{"uid":"T1059"},"sub_technique":{"uid":"T1059.004"}',
    )
  })
})

// --- ECS ---------------------------------------------------------------------------------------------

interface EcsField {
  readonly type: string
  readonly array?: boolean
  readonly values?: readonly string[]
}
const fields = ecs.fields as unknown as Readonly<Record<string, EcsField>>

function ecsFaults(value: object, at = ''): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = at === '' ? key : `${at}.${key}`
    const field = fields[path]
    if (path === 'labels')
      return Object.entries(inner as object).flatMap(([label, text]) =>
        typeof text === 'string' ? [] : [`labels.${label} is no keyword`],
      )
    if (field === undefined)
      return typeof inner === 'object' && !Array.isArray(inner)
        ? ecsFaults(inner as object, path)
        : [`${path} is no field`]
    if ((field.array === true) !== Array.isArray(inner)) return [`${path}: array?`]
    return (Array.isArray(inner) ? inner : [inner]).flatMap((one) => {
      if (field.values !== undefined && !field.values.includes(one)) return [`${path} is ${one}`]
      if (field.type === 'long') return Number.isSafeInteger(one) ? [] : [`${path} is no number`]
      if (field.type === 'date') return Number.isNaN(Date.parse(one)) ? [`${path} is no date`] : []
      return typeof one === 'string' ? [] : [`${path} is no text`]
    })
  })
}

describe('ecsOf()', () => {
  test('has only fields of the schema, with their types and values', () => {
    for (const alert of alerts) expect(ecsFaults(ecsOf(alert, '1.2.3'))).toEqual([])
  })

  test('the check itself finds faults', () => {
    const wrong = { ...ecsOf(whole, '1'), event: { kind: 'alarm', category: 'process' }, evil: 1 }
    expect(ecsFaults(wrong)).toEqual([
      'event.kind is alarm',
      'event.category: array?',
      'evil is no field',
    ])
  })

  test('names process, user, rule and techniques', () => {
    expect(ecsOf(whole, '1')).toMatchObject({
      event: { kind: 'alert', type: ['start'], severity: 75, action: 'network-scan' },
      process: { pid: 812, name: 'nginx', executable: '/tmp/.x/nginx', parent: { pid: 1 } },
      user: { id: '33', name: 'www-data' },
      threat: { framework: 'MITRE ATT&CK', technique: { id: ['T1046', 'T1036'] } },
    })
  })
})

// --- OTLP --------------------------------------------------------------------------------------------

describe('otlpOf()', () => {
  const notice: Notice = {
    ...({ incident: 'i', status: 'firing', severity: 'critical', alerts: 2 } as const),
    alert: whole,
  }

  test('is an export request with one record: severity, body, attributes', () => {
    const { resourceLogs } = otlpOf(notice, '1.2.3') as {
      resourceLogs: { resource: object; scopeLogs: { logRecords: Record<string, unknown>[] }[] }[]
    }
    expect(resourceLogs[0]!.resource).toMatchObject({
      attributes: [{ key: 'service.name', value: { stringValue: 'callsign' } }, {}, {}, {}],
    })
    const [record] = resourceLogs[0]!.scopeLogs[0]!.logRecords
    expect(record).toMatchObject({
      timeUnixNano: '1700000010000000000',
      severityNumber: 21,
      severityText: 'FATAL',
      eventName: 'callsign.incident.firing',
    })
    expect(record!.attributes).toContainEqual({ key: 'process.pid', value: { intValue: '812' } })
  })

  test('is milder when it is over', () => {
    const text = JSON.stringify(otlpOf({ ...notice, status: 'resolved' }, '1'))
    expect(text).toContain('"severityNumber":9')
    expect(text).toContain('Resolved: nginx')
  })
})

test('the file and the webhook speak these formats', async () => {
  const path = join(directory(), 'alerts.ndjson')
  const output = fileOutput(path, { format: 'ocsf' })
  await output.take({ alerts: [whole, whole], summary: undefined })
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  for (const line of lines)
    expect(ocsfFaults('detection_finding', JSON.parse(line), 'f')).toEqual([])
  expect(lines).toHaveLength(2)
  const notice = {
    incident: 'i',
    status: 'firing',
    severity: 'high',
    alerts: 1,
    alert: whole,
  } as const
  expect(ecsFaults(JSON.parse(requestOf('ecs', notice).body))).toEqual([])
  expect(JSON.parse(requestOf('otlp', notice).body)).toHaveProperty('resourceLogs')
  expect(JSON.parse(requestOf('ocsf', notice).body)).toHaveProperty('class_uid', 2_004)
})
