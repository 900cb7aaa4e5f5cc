import { describe, expect, test } from 'bun:test'
import {
  claimIncrement,
  classDistance,
  maliceIncrement,
  type Signs,
  signsOf,
} from '../../src/detect/judge.ts'
import { calibration, classes, PLACES, predictions, T } from './toy.ts'

/** A window of a daemon that the model recognises and that does what it always did here. */
const usual: Signs = {
  against: -5,
  againstNamed: -5,
  malice: -5,
  worst: 0,
  toMalicious: Number.POSITIVE_INFINITY,
  toUsual: 0.2,
  toOther: undefined,
  unsure: 0.001,
  suspect: 0.001,
  surprise: 0.001,
  contradicted: 0.001,
  isWaiting: false,
  maliciousName: false,
  calm: 1,
}
/** The same name, doing what neither the model nor the host knows of it. */
const strange: Signs = { ...usual, against: 5, againstNamed: 5, toUsual: 4 }

describe('claimIncrement()', () => {
  test('speaks for what is usual here, whatever the model says', () => {
    expect(claimIncrement({ ...strange, toUsual: 0.9 }, true)).toBe(-1)
  })

  test('speaks against what both judges find strange, at most 4', () => {
    expect(claimIncrement(strange, true)).toBe(4)
  })

  test('who does nothing but wait is not spoken against, and is spoken for all the same', () => {
    expect(claimIncrement({ ...strange, isWaiting: true }, true)).toBe(0)
    expect(claimIncrement({ ...strange, isWaiting: true }, false)).toBe(0)
    expect(claimIncrement({ ...usual, isWaiting: true }, true)).toBe(-1)
  })

  test('a model that often errs about this name here is not listened to', () => {
    const alone = claimIncrement({ ...strange, contradicted: 0.5 }, true)
    expect(alone).toBeCloseTo(2.8, 5)
  })

  test('nor is the memory of a name that often shows something new', () => {
    const alone = claimIncrement({ ...strange, surprise: 0.5 }, true)
    expect(alone).toBeCloseTo(2.5, 5)
  })

  test('on a host where everything is strange, nothing is said against a name', () => {
    expect(claimIncrement({ ...strange, calm: 0.25 }, true)).toBe(1)
    expect(claimIncrement({ ...strange, calm: 0 }, true)).toBe(0)
    expect(claimIncrement({ ...usual, calm: 0 }, true)).toBe(-1)
  })

  test('where neither is worth anything nothing is said against the name', () => {
    expect(claimIncrement({ ...strange, surprise: 0.5, contradicted: 0.5 }, true)).toBe(0)
  })

  test('where the memory cannot tell two programs apart, a model that was measured here speaks alone', () => {
    const same = { ...strange, toUsual: 0.3, toOther: 0.4 }
    expect(claimIncrement(same, true)).toBeCloseTo(2.2, 5)
    // Where it is often wrong about the name here, its word is worth nothing.
    expect(claimIncrement({ ...same, contradicted: 0.5 }, true)).toBeLessThan(0)
    // The other program does something else here: this is usual for the name alone.
    expect(claimIncrement({ ...same, toOther: 2 }, true)).toBe(-1)
    expect(claimIncrement({ ...same, toOther: undefined }, true)).toBe(-1)
  })

  test('cold, the model speaks alone, and softly of a class that it often mistakes', () => {
    expect(claimIncrement(strange, false)).toBeGreaterThan(3)
    expect(claimIncrement({ ...strange, unsure: 0.3 }, false)).toBeLessThan(0)
  })
})

test.each<[string, Partial<Signs>, boolean, number]>([
  ['cold, ordinary doubt is taken off', { againstNamed: 3 }, false, 2.5],
  ['cold, of a class that is mistaken once in twenty', { unsure: 0.05 }, false, 0.457],
  ['cold, of a class that was never mistaken', { unsure: 0 }, false, 3.715],
  ['a window just beyond what is usual', { toUsual: 1.1 }, true, 2.4],
  ['another program that is as near', { toUsual: 0.3, toOther: 0.45 }, true, 2.2],
  ['another program that is a little farther', { toUsual: 0.3, toOther: 0.6 }, true, -1],
  ['a model that errs once in ten', { surprise: 0.5, contradicted: 0.1 }, true, 0.303],
  ['a name with news once in twenty', { surprise: 0.05, contradicted: 0.5 }, true, 0.496],
  ['much that speaks for it', { against: -20, toUsual: 1.1 }, true, -2],
])('claimIncrement(): %s', (_, more, warm, increment) => {
  expect(claimIncrement({ ...strange, ...more }, warm)).toBeCloseTo(increment, 2)
})

test.each<[string, Partial<Signs>, number]>([
  ['of a class that is often taken for it', { malice: 9, suspect: 0.1, toMalicious: 0.4 }, 1.282],
  ['within what is near', { malice: 2, toMalicious: 0.55 }, 2],
  ['a little beyond it', { malice: 2, toMalicious: 0.8 }, 0.4],
  ['far, and still at its gate', { malice: 9, toMalicious: 1.9 }, -6.4],
  ['beyond its gate', { malice: 9, toMalicious: 2.1 }, -1],
])('maliceIncrement(): %s', (_, more, increment) => {
  expect(maliceIncrement({ ...usual, ...more }, false)).toBeCloseTo(increment, 2)
})

test('classDistance() is in radii, and no radius is smaller than a quarter', () => {
  const of = (radius: number) =>
    classDistance(
      { ...calibration, radii: new Float32Array(4).fill(radius) },
      classes.names.indexOf('nginx'),
      Float32Array.of(0, 1),
    )
  expect(of(0.5)).toBeCloseTo(Math.SQRT1_2 / 0.5, 5)
  expect(of(0.01)).toBeCloseTo(Math.SQRT1_2 / 0.25, 5)
})

test('signsOf() doubts the model as far as it takes this class for that one, not for any', () => {
  const confusions = classes.names.map(() => new Map<number, number>())
  const [claimed, top] = [classes.names.indexOf('nginx'), classes.names.indexOf('cron')]
  const name = { claimed, maliciousName: false, spareInterpreters: false }
  const usual = { distance: 1, surprise: 0.5, contradicted: 0.5, calm: 1 }
  const whitened = Float32Array.from(PLACES.cron)
  const unsure = () =>
    signsOf(
      predictions(T, [{ pid: 7, name: 'nginx', at: PLACES.cron }]),
      0,
      name,
      usual,
      classes,
      { ...calibration, confusions },
      whitened,
    ).unsure
  confusions[claimed]!.set(classes.names.indexOf('miner'), 0.4)
  expect(unsure()).toBeCloseTo(0.001, 6)
  confusions[claimed]!.set(top, 0.4)
  expect(unsure()).toBe(0.4)
})

test('signsOf() tells how usual a window is for the program that it is taken for, once measured here', () => {
  const [claimed, top] = [classes.names.indexOf('nginx'), classes.names.indexOf('cron')]
  const toOther = (
    measured: readonly number[],
    at: readonly [number, number],
    background?: number,
    offsets = calibration.offsets,
  ) =>
    signsOf(
      predictions(T, [{ pid: 7, name: 'nginx', at }]),
      0,
      { claimed, maliciousName: false, spareInterpreters: false },
      {
        ...{ distance: 1, surprise: 0.5, contradicted: 0.5, calm: 1 },
        distanceOf: (of) => (of === top ? 0.3 : 9),
      },
      { ...classes, ...(background !== undefined && { background }) },
      {
        ...{ ...calibration, offsets },
        measuredHere: new Map(measured.map((c) => [c, { windows: 100, wrong: 1 }])),
      },
      Float32Array.from(at),
    ).toOther
  expect(toOther([claimed], PLACES.cron)).toBe(0.3)
  expect(toOther([claimed], PLACES.nginx)).toBeUndefined()
  expect(toOther([], PLACES.cron)).toBeUndefined()
  // A program from elsewhere may be one of the names of moments here, one that the host added not.
  expect(toOther([claimed], PLACES.cron, top)).toBeUndefined()
  const added = new Uint32Array(calibration.offsets.length)
  expect(toOther([claimed], PLACES.cron, top, added)).toBe(0.3)
})

describe('maliceIncrement()', () => {
  const miner: Signs = { ...usual, malice: 4, toMalicious: 0.4 }

  test('speaks for malice near a malicious class, and against it far from one', () => {
    expect(maliceIncrement(miner, false)).toBeGreaterThan(3)
    expect(maliceIncrement({ ...miner, toMalicious: 1.5 }, false)).toBeLessThan(0)
    expect(maliceIncrement({ ...miner, toMalicious: 9 }, false)).toBe(-1)
  })

  test('a name that is a malicious program’s is taken at its word where the behaviour leaves it open', () => {
    const half = { ...miner, malice: -2, toMalicious: 9 }
    expect(maliceIncrement(half, false)).toBe(-1)
    expect(maliceIncrement({ ...half, maliciousName: true }, false)).toBe(2)
    expect(maliceIncrement({ ...half, maliciousName: true, malice: -5 }, false)).toBeLessThan(0)
  })
})

describe('signsOf()', () => {
  const signs = (at: readonly [number, number], spareInterpreters: boolean) =>
    signsOf(
      predictions(T, [{ pid: 1, name: 'nginx', at }]),
      0,
      { claimed: 0, maliciousName: false, spareInterpreters },
      { distance: 1, surprise: 1, contradicted: 1, calm: 1 },
      { ...classes, generic: classes.names.map((name) => name === 'cron') },
      calibration,
      Float32Array.from(at),
    )

  test('on a young host it is not held against a name that its program looks like an interpreter', () => {
    expect(signs(PLACES.cron, true).against).toBeGreaterThan(4)
    expect(signs(PLACES.cron, true).againstNamed).toBeLessThan(0.5)
    expect(signs(PLACES.cron, false).againstNamed).toBeGreaterThan(4)
  })

  test('the distance to malice is that to the nearest prototype of the likeliest malicious class', () => {
    expect(signs(PLACES.miner, false).toMalicious).toBe(0)
    expect(signs(PLACES.nginx, false).toMalicious).toBe(Number.POSITIVE_INFINITY)
    // At 4.9 and at 5.4 % of it.
    expect(signs([2.79, 2.79], false).toMalicious).toBe(Number.POSITIVE_INFINITY)
    expect(signs([2.8, 2.8], false).toMalicious).toBeCloseTo(3.2, 5)
  })

  test('what the net excludes speaks as much as one in two hundred would', () => {
    expect(signs(PLACES.cron, false).against).toBeCloseTo(Math.log(1.005 / 0.005), 2)
  })
})
