/** What an alert says: kind, classes, severity and techniques, before anything is weighed. */
import { describe, expect, test } from 'bun:test'
import { Candidates } from '../../src/detect/candidates.ts'
import { ClaimedClasses } from '../../src/detect/claimed-classes.ts'
import type { ProcessEvidence } from '../../src/detect/evidence.ts'
import { Policy } from '../../src/domain/policy.ts'
import type { Process } from '../../src/domain/process.ts'
import { classes, T } from './toy.ts'

const [NGINX, CRON, , MINER] = [0, 1, 2, 3] as const
const candidates = (more: Partial<typeof classes> = {}) => {
  const all = { ...classes, ...more }
  return new Candidates(all, new ClaimedClasses(all), new Policy())
}
const process: Process = { pid: 7, startMs: T * 1000, name: 'nginx', uid: 33 }
const stream = (windows: number) => ({ level: 20, from: T - windows, windows })
/** A run whose windows have these probabilities on average. */
const run = (mean: readonly number[], unknown = 0) =>
  ({
    ...{ process, mean: Float32Array.from(mean), unknown },
    ...{ claim: stream(9), malice: stream(4) },
  }) as unknown as ProcessEvidence

describe('Candidates.malicious()', () => {
  test('names the likeliest malicious class, and is as sure as all of them together', () => {
    const two = {
      malicious: [false, false, true, true],
      behaviours: [undefined, undefined, 'reverse-shell', 'crypto-miner'] as const,
    }
    const { question, confidence, named, accusation } = candidates(two).malicious(
      run([0.1, 0.1, 0.3, 0.5]),
      NGINX,
    )
    expect([question, confidence, named]).toEqual([
      'crypto-miner',
      Math.fround(0.5) + Math.fround(0.3),
      0.5,
    ])
    expect(accusation).toMatchObject({
      ...{
        kind: 'non-grata',
        predicted: { class: 'miner', confidence: 0.5 },
        behaviour: 'crypto-miner',
      },
      ...{ severity: 'critical', from: T - 4, windows: 4, techniques: ['T1496.001'] },
    })
  })

  test('dual-use tools do not accuse', () => {
    const tool = {
      behaviours: classes.names.map((_, c) =>
        c === MINER ? 'tool-use' : c === CRON ? 'reverse-shell' : undefined,
      ) as never,
      malicious: [false, true, false, true],
    }
    const { accusation } = candidates(tool).malicious(run([0.1, 0.3, 0.1, 0.5]), NGINX)
    expect(accusation.predicted.class).toBe('cron')
  })

  test('alternatives are the other classes that say something, most probable first', () => {
    const of = (mean: readonly number[], claimed?: number) =>
      candidates()
        .malicious(run(mean), claimed)
        .accusation.alternatives?.map((one) => one.class)
    expect(of([0.055, 0.1, 0.045, 0.8])).toEqual(['cron', 'nginx'])
    expect(of([0.055, 0.1, 0.045, 0.8], NGINX)).toEqual(['cron'])
    expect(of([0.01, 0.01, 0.01, 0.97])).toBeUndefined()
  })
})

describe('Candidates.contradicting()', () => {
  test('is a masquerade where another program is likely', () => {
    expect(candidates().contradicting(run([0.3, 0.5, 0.1, 0.1]), NGINX, false)).toMatchObject({
      ...{ question: 'masquerade', confidence: 0.5, named: 0.5 },
      accusation: {
        ...{ kind: 'masquerade', severity: 'high', techniques: ['T1036'], windows: 9 },
        ...{ predicted: { class: 'cron' }, claimed: { class: 'nginx' } },
      },
    })
  })

  test('is one also where the other program is only the likeliest by far', () => {
    const { accusation } = candidates().contradicting(run([0.3, 0.4, 0.2, 0.1]), NGINX, false)!
    expect(accusation.kind).toBe('masquerade')
  })

  test('is non-grata where a malicious one is, with its behaviour', () => {
    const { accusation } = candidates().contradicting(run([0.3, 0.1, 0.1, 0.5]), NGINX, false)!
    expect(accusation).toMatchObject({ kind: 'non-grata', behaviour: 'crypto-miner' })
    expect(accusation.techniques).not.toContain('T1036')
  })

  test.each<[string, readonly number[], number, Partial<typeof classes>]>([
    ['no class is likely', [0.4, 0.33, 0.17, 0.1], 0, {}],
    ['it is like other programs', [0.3, 0.5, 0.1, 0.1], 0, { background: CRON }],
    ['most windows are like no class', [0.3, 0.5, 0.1, 0.1], 0.6, {}],
  ])('where %s only the memory can say so', (_, mean, unknown, more) => {
    expect(candidates(more).contradicting(run(mean, unknown), NGINX, false)).toBeUndefined()
    expect(candidates(more).contradicting(run(mean, unknown), NGINX, true)).toBeDefined()
  })

  test('a novelty is medium', () => {
    const { accusation } = candidates().contradicting(run([0.4, 0.33, 0.17, 0.1]), NGINX, true)!
    expect(accusation).toMatchObject({ kind: 'novelty', severity: 'medium', techniques: [] })
  })
})

describe('Candidates.proven()', () => {
  const proof = (question: 'masquerade' | 'blinding', says: 'proves' | 'supports') =>
    ({ process, finding: { question, says, because: 'x' } }) as const

  test('a fact that only supports is provisional, one that proves is confirmed', () => {
    const certainty = (says: 'proves' | 'supports') => {
      const { outcome } = candidates().proven(proof('blinding', says), undefined, T)
      return outcome.kind === 'alert' ? outcome.certainty : outcome.kind
    }
    expect([certainty('proves'), certainty('supports')]).toEqual(['confirmed', 'provisional'])
  })

  test('a masquerade says what it is like and what it claims, as far as there are windows', () => {
    const { proven } = {
      proven: (mean?: Float32Array) => candidates().proven(proof('masquerade', 'proves'), mean, T),
    }
    expect(proven(Float32Array.of(0.4, 0.3, 0.2, 0.1))).toMatchObject({
      ...{ kind: 'masquerade', severity: 'high', techniques: ['T1036'] },
      ...{
        predicted: { class: 'cron' },
        claimed: { class: 'nginx', confidence: Math.fround(0.4) },
      },
    })
    expect(proven()).toMatchObject({
      ...{ predicted: { class: '', confidence: 0 }, claimed: { class: 'nginx', confidence: 0 } },
    })
  })

  test('one user’s blinding is one cause, whatever its processes are called', () => {
    expect(candidates().proven(proof('blinding', 'proves'), undefined, T).partOf).toBe(
      'blinding by user 33',
    )
    expect(candidates().proven(proof('masquerade', 'proves'), undefined, T).partOf).toBeUndefined()
  })
})
