import { describe, expect, test } from 'bun:test'
import { logOdds, reasonsOf } from '../../src/detect/explain.ts'

describe('logOdds()', () => {
  const logits = Float32Array.from([9, 9, 9, 2, 1, 0])

  test('of two classes is the difference of their logits, in the row that was asked', () => {
    expect(logOdds(logits, 1, 3, { predicted: 0, claimed: 2 })).toBe(2)
  })

  test('of one class is against all others together', () => {
    const odds = logOdds(logits, 1, 3, { predicted: 0, claimed: undefined })
    expect(odds).toBeCloseTo(Math.log(Math.exp(2) / (Math.exp(1) + Math.exp(0))), 6)
  })

  test('against a claimed class alone is the other way round', () => {
    const question = { predicted: undefined, claimed: 0 }
    expect(logOdds(logits, 1, 3, question)).toBeCloseTo(
      -logOdds(logits, 1, 3, { predicted: 0, claimed: undefined }),
      6,
    )
  })

  test('of logits far apart stays finite', () => {
    const far = Float32Array.from([1e4, -1e4, 0])
    const question = { predicted: 0, claimed: undefined }
    expect(Number.isFinite(logOdds(far, 0, 3, question))).toBe(true)
  })
})

describe('reasonsOf()', () => {
  const call = (syscall: string, seen: number, contribution: number) => ({
    syscall,
    seen,
    contribution,
  })

  test('puts first what decided most, not what was called most', () => {
    const occluded = [call('read', 0.8, 0.1), call('ptrace', 0.01, 4), call('write', 0.19, -1)]
    const why = reasonsOf(occluded, new Map([['read', 0.5]]))
    expect(why).toEqual([
      { syscall: 'ptrace', seen: 0.01, expected: 0 },
      { syscall: 'read', seen: 0.8, expected: 0.5 },
    ])
  })

  test('adds what the claimed class always shows and the process never did', () => {
    const why = reasonsOf([call('read', 1, 2)], new Map([['epoll_wait', 0.4]]))
    expect(why).toEqual([
      { syscall: 'read', seen: 1, expected: 0 },
      { syscall: 'epoll_wait', seen: 0, expected: 0.4 },
    ])
  })

  test('of what was missed names only what makes up a good part of a usual second', () => {
    const profile = new Map([
      ['futex', 0.07],
      ['sendto', 0.09],
    ])
    const why = reasonsOf([call('read', 1, 2)], profile)
    expect(why.map(({ syscall }) => syscall)).toEqual(['read', 'sendto'])
  })

  test('falls back to what differs most from the usual where nothing speaks for the alert', () => {
    const occluded = [call('read', 0.5, -1), call('futex', 0.5, -2)]
    const why = reasonsOf(occluded, new Map([['read', 0.5]]))
    expect(why[0]).toEqual({ syscall: 'futex', seen: 0.5, expected: 0 })
  })

  test('of nothing is nothing', () => {
    expect(reasonsOf([], new Map())).toEqual([])
  })
})
