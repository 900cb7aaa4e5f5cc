/** What recurs for days under one name, user and unit is no news; what is severe always is. */
import { describe, expect, test } from 'bun:test'
import { HostMemory } from '../../src/detect/memory.ts'
import { Recurrence } from '../../src/detect/recurrence.ts'
import type { Alert } from '../../src/domain/alert.ts'
import type { FactJudge, Proof } from '../../src/domain/finding.ts'
import { detectorWith, live, PLACES, T } from './toy.ts'

const DAY = 86_400
const scanner = { kind: 'non-grata', behaviour: 'network-scan', name: 'nmap', user: 'ops' }

describe('Recurrence.note()', () => {
  const onDays = (days: readonly number[], of = scanner, recurrence = new Recurrence()) =>
    days.map((day) => recurrence.note(of, T + day * DAY))

  test('three earlier days within two weeks make it usual', () => {
    expect(onDays([0, 1, 2, 3, 4])).toEqual([undefined, undefined, undefined, 3, 4])
    expect(onDays([0, 1, 2, 13])).toEqual([undefined, undefined, undefined, 3])
    expect(onDays([0, 1, 2, 15])).toEqual([undefined, undefined, undefined, undefined])
  })

  test('many times in a day are one day', () => {
    expect(onDays([0, 0, 0, 0, 0])).toEqual(Array(5).fill(undefined))
  })

  test('of another user it is something else', () => {
    const recurrence = new Recurrence()
    onDays([0, 1, 2], scanner, recurrence)
    expect(onDays([3], { ...scanner, user: 'www-data' }, recurrence)).toEqual([undefined])
  })

  test('is kept with the memory', () => {
    const memory = new HostMemory('toy', 2)
    onDays([0, 1, 2], scanner, memory.recurrence)
    const restored = new HostMemory('toy', 2)
    restored.restore(memory.snapshot())
    expect(onDays([3], scanner, restored.recurrence)).toEqual([3])
  })
})

/** Raises a proof on this question on each of these days; the first message of each day. */
function daily(question: 'network-scan' | 'file-encryption'): (Alert | undefined)[] {
  let proofs: Proof[] = []
  const facts: FactJudge = {
    want: () => {},
    findings: () => undefined,
    isAsking: () => false,
    context: () => ({ user: 'ops', unit: 'scan.service' }),
    proofs: () => proofs.splice(0),
  }
  const detector = detectorWith({ facts })
  return [0, 1, 2, 3].map((day) => {
    const process = { pid: 7 + day, startMs: (T + day * DAY) * 1000, name: 'job' }
    proofs = [{ process, finding: { question, says: 'proves', because: 'x' } }]
    const [alert] = live(detector, T + day * DAY, 1, [])
    detector.closeWhere(() => true, 'gone', T + day * DAY)
    return alert
  })
}

test('a scan that comes back every day becomes an observation, an encryption never', () => {
  expect(daily('network-scan').map((alert) => alert?.severity)).toEqual([
    'medium',
    'medium',
    'medium',
    'low',
  ])
  expect(daily('file-encryption').map((alert) => alert?.severity)).toEqual(
    Array(4).fill('critical'),
  )
})

describe('new programs', () => {
  const eleven = () =>
    Array.from({ length: 11 }, (_, i) => ({
      ...{ pid: 100 + i, name: `tool-${'abcdefghijk'[i]}`, at: [9 + i, -9] as const },
    }))
  const below = (parents: readonly { pid: number; name: string }[]): FactJudge => ({
    want: () => {},
    findings: () => undefined,
    isAsking: () => false,
    context: () => ({ user: 'root', parents }),
    proofs: () => [],
  })

  test('below a package manager are one observation', () => {
    const facts = below([{ pid: 9, name: 'dpkg' }])
    const alerts = live(detectorWith({ facts }), T, 20, eleven)
    expect(alerts.filter(({ state }) => state === 'open')).toHaveLength(1)
    expect(alerts[0]).toMatchObject({
      ...{ kind: 'novelty', severity: 'low' },
      because: ['package upgrade: below dpkg (9)'],
    })
  })

  test('notify within their own share of the budget; the rest stay provisional', () => {
    const facts = below([{ pid: 9, name: 'sshd' }])
    const certainties = (falseAlertsPerDay: number) =>
      live(detectorWith({ facts, falseAlertsPerDay }), T, 20, eleven)
        .filter(({ state }) => state === 'open')
        .map(({ certainty }) => certainty)
        .sort()
    expect(certainties(1)).toEqual(['confirmed', ...Array(10).fill('provisional')])
    expect(certainties(6).filter((certainty) => certainty === 'confirmed')).toHaveLength(3)
  })

  test('a day brings as many as were seen in one hour only, for each day', () => {
    const detector = detectorWith({ learnSeconds: 10 * DAY })
    const usual = { pid: 1, name: 'cron', at: PLACES.cron } as const
    live(detector, T, 20, () => [usual, ...eleven()])
    expect(detector.status().newNamesPerDay).toBeUndefined()
    for (let hour = 1; hour <= 48; hour++) live(detector, T + hour * 3_600, 2, [usual])
    expect(detector.status().newNamesPerDay).toBeCloseTo(11 / 2, 1)
  })
})
