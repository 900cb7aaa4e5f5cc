import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Fields, isCount, parseJson, problemText, reading } from '../../src/domain/untrusted.ts'

const read = (value: unknown) =>
  reading(() => {
    const root = new Fields(value, '')
    return {
      name: root.text('name', 8),
      weight: root.object('forest').number('weight', 0, 1),
      seed: root.or('seed', 7, (seed) => seed.integer()),
      kinds: root.objects('kinds', 2).map((kind) => kind.oneOf('is', ['a', 'b'])),
    }
  })
const good = { name: 'x', forest: { weight: 0.5 }, kinds: [{ is: 'a' }, { is: 'b' }] }

describe('reading()', () => {
  test('gives the value, with what is absent by the word of the reader', () => {
    expect(read(good)).toEqual({
      ok: true,
      value: { name: 'x', weight: 0.5, seed: 7, kinds: ['a', 'b'] },
    })
  })

  test.each<[object, string, string]>([
    [{ name: 1 }, 'name is 1, it should be text of 1 to 8 characters', 'bad-field(name)'],
    [{ name: undefined }, 'name is missing, it should be text', 'bad-field(name)'],
    [{ forest: [] }, 'forest is a list, it should be an object', 'bad-field(forest)'],
    [
      { forest: { weight: 2 } },
      'forest.weight is 2, it should be a number from 0 to 1',
      'bad-field(forest.weight)',
    ],
    [
      { kinds: [{ is: 'a' }, { is: 'c' }] },
      'kinds[1].is is "c", it should be "a" or "b"',
      'bad-field(kinds.is)',
    ],
    [{ kinds: [1, 2, 3] }, 'kinds is 3 long, it should be at most 2 long', 'bad-field(kinds)'],
  ])('says which field is wrong: %j', (change, text, reason) => {
    const refused = read({ ...good, ...change })
    if (refused.ok) throw new Error('it was taken')
    expect(problemText(refused)).toContain(text)
    expect(refused.reason).toBe(reason)
  })

  test('shows the start of a long text, and makes control characters visible', () => {
    const refused = read({ ...good, name: `\u001b[31m${'x'.repeat(1000)}` })
    if (refused.ok) throw new Error('it was taken')
    expect(refused.problem?.is.length).toBeLessThan(80)
    expect(refused.problem?.is).not.toContain('\u001b')
  })

  test('never throws, whatever the value is and whatever goes wrong while it is read', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => void read(value)),
      { numRuns: 500 },
    )
    expect(
      reading(() => {
        throw new TypeError('of the reader')
      }),
    ).toEqual({ ok: false, reason: 'not-readable' })
  })

  test('does not see what is inherited', () => {
    const value: unknown = JSON.parse('{"__proto__": {"name": "x"}}')
    expect(reading(() => new Fields(value, '').has('name'))).toEqual({ ok: true, value: false })
  })
})

test('parseJson() refuses what is too long, no JSON, or no object', () => {
  const reasonOf = (text: string, max?: number) => {
    const refused = reading(() => parseJson(text, max))
    return refused.ok ? undefined : refused.reason
  }
  expect(reasonOf('{}', 1)).toBe('too-long')
  expect(reasonOf('{')).toBe('not-json')
  expect(reasonOf('[]')).toBe('not-an-object')
  expect(reasonOf('{}')).toBeUndefined()
})

test('isCount() takes whole numbers from 0 up to a bound', () => {
  expect([0, 5, 10].every((value) => isCount(value, 10))).toBe(true)
  expect([-1, 11, 0.5, NaN, '1', null].some((value) => isCount(value, 10))).toBe(false)
})
