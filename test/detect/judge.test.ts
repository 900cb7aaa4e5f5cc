import { describe, expect, test } from 'bun:test'
import { claimIncrement, maliceIncrement, type Signs, signsOf } from '../../src/detect/judge.ts'
import { JUDGE } from '../../src/detect/thresholds.ts'
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

  test('a model that often errs about this name here is not listened to', () => {
    const alone = claimIncrement({ ...strange, contradicted: 0.5 }, true)
    expect(alone).toBeCloseTo(JUDGE.strangeWeight * (4 - JUDGE.strangeDrift), 5)
  })

  test('nor is the memory of a name that often shows something new', () => {
    const alone = claimIncrement({ ...strange, surprise: 0.5 }, true)
    expect(alone).toBeCloseTo(JUDGE.againstWeight * 5, 5)
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
    const alone = JUDGE.againstWeight * 5 - JUDGE.aloneDrift
    expect(claimIncrement(same, true)).toBeCloseTo(alone, 5)
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
    expect(maliceIncrement({ ...half, maliciousName: true }, false)).toBe(
      JUDGE.maliciousNameOdds - 2,
    )
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
  })
})
