import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { callLevels, fewestOf, levelOf, readCallLevels } from '../../src/domain/call-levels.ts'

describe('callLevels()', () => {
  test.each([
    [[], ''],
    [[0, 1, 2, 3, 4, 8], '013457'],
    [[1_000, 1e9], 'kz'],
  ])('%j is %s', (counts, text) => expect(callLevels(counts)).toBe(text))

  test('is known to a factor of the square root of two (property)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120_000 }), (count) => {
        const level = levelOf(count)
        expect(fewestOf(level)).toBeLessThanOrEqual(count)
        expect(fewestOf(level + 1)).toBeGreaterThan(count)
      }),
    )
  })
})

test('readCallLevels() reads what callLevels() writes, and nothing else', () => {
  expect(readCallLevels(callLevels([0, 5, 77_000]))).toEqual([0, levelOf(5), levelOf(77_000)])
  for (const text of ['', 'A', '1 2', '<b>', '0'.repeat(61)])
    expect(readCallLevels(text)).toBeUndefined()
})
