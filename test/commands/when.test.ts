import { describe, expect, test } from 'bun:test'
import { momentOf } from '../../src/commands/when.ts'

/** 2026-11-30 12:00:00 UTC */
const NOON = 1_796_040_000

describe('momentOf()', () => {
  test.each([
    ['11:59:30', NOON - 30],
    ['11:59', NOON - 60],
    ['0:00', NOON - 43_200],
    // Not yet today: yesterday's.
    ['12:00:01', NOON + 1 - 86_400],
    ['90s', NOON - 90],
    ['10m', NOON - 600],
    ['2026-11-30T11:00:00', NOON - 3_600],
    ['2026-11-30 11:00', NOON - 3_600],
    ['2026-11-30T12:00:00+01:00', NOON - 3_600],
  ])('%s is %d', (when, second) => expect(momentOf(when, '--at', NOON)).toBe(second))

  test.each([['25:00'], ['12:60'], ['noon'], ['']])('%j is wrong usage', (when) =>
    expect(() => momentOf(when, '--at', NOON)).toThrow('--at'),
  )
})
