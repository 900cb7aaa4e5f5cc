import { describe, expect, test } from 'bun:test'
import {
  calibrationHere,
  type DetectionCalibration,
  Levels,
  quantised,
  readDetectionCalibration,
  writeDetectionCalibration,
} from '../../src/detect/calibration.ts'
import { levelFor } from '../../src/detect/tail.ts'
import { calibration as toy } from './toy.ts'

const calibration: DetectionCalibration = {
  ...toy,
  confusions: [new Map([[1, 0.25]]), new Map(), new Map([[0, 0.5]]), new Map()],
  own: [{ name: 'cron', stream: 'claim', stage: 'warm', level: 30 }],
  profiles: [[['read', 0.5]], [], [], []],
}
const [classes, stateSize] = [4, 2]
const written = () => JSON.parse(JSON.stringify(writeDetectionCalibration(calibration)))

describe('readDetectionCalibration()', () => {
  test('gives what was written', () => {
    expect(readDetectionCalibration(written(), classes, stateSize)).toEqual({
      ...calibration,
      unsure: Float32Array.from(calibration.unsure, (share) => share),
    })
  })

  test.each<[string, (w: Record<string, unknown>) => unknown]>([
    ['format', (w) => Object.assign(w, { format: 2 })],
    ['stateSize', (w) => Object.assign(w, { stateSize: 3 })],
    ['size', (w) => Object.assign(w, { size: 0 })],
    ['counts', (w) => Object.assign(w, { counts: [1, 1, 1] })],
    ['prototypes', (w) => Object.assign(w, { counts: [1, 1, 1, 2] })],
    ['whitening', (w) => Object.assign(w, { whitening: 'AAAA' })],
    ['radii', (w) => Object.assign(w, { radii: [1, 1, 1, -1] })],
    ['unsure', (w) => Object.assign(w, { unsure: [0, 0, 0, 1.5] })],
    ['step', (w) => Object.assign(w, { step: 0 })],
    ['confusions', (w) => Object.assign(w, { confusions: [[[4, 0.5]], [], [], []] })],
    ['tails', (w) => Object.assign(w, { tails: {} })],
    ['own', (w) => Object.assign(w, { own: [{ name: 'x', stream: 'other', level: 1 }] })],
    ['profiles', (w) => Object.assign(w, { profiles: [[['read', 2]], [], [], []] })],
  ])('refuses a wrong %s, and names it', (field, spoil) => {
    const bad = written()
    spoil(bad)
    const read = () => readDetectionCalibration(bad, classes, stateSize)
    expect(read).toThrow(new RegExp(`^Cannot use the manifest: .*detection\\.${field}`))
  })

  test('takes what the first models did not write for what they meant', () => {
    const { step: _, confusions: __, own: ___, ordinary: ____, ...first } = written()
    first.tails.claim.cold = { slope: 0.5, intercept: 3, peak: 10 }
    const read = readDetectionCalibration(first, classes, stateSize)
    // Their steps were half as long.
    expect(read.prototypes).toEqual(calibration.prototypes.map((value) => value / 2))
    expect(read.confusions).toEqual([new Map(), new Map(), new Map(), new Map()])
    expect([read.own, [...read.ordinary]]).toEqual([[], []])
    const { rate, ...tail } = read.tails.claim.cold
    expect(tail).toEqual({ threshold: 10, scale: 2, shape: 0, body: [] })
    expect(rate).toBeCloseTo(Math.exp(3 - 5), 9)
  })
})

describe('Levels', () => {
  test('share the budget between the two questions', () => {
    const { cold } = calibration.tails.claim
    for (const perDay of [0.5, 1, 4])
      expect(new Levels(calibration, perDay).of('claim', 'cold', 'nginx')).toBe(
        levelFor(cold, perDay / 2),
      )
  })

  test('of a name are raised by its own, never lowered', () => {
    const levels = new Levels(calibration, 1)
    const common = levels.of('claim', 'warm', 'nginx')
    expect(common).toBeLessThan(30)
    expect(levels.of('claim', 'warm', 'cron')).toBe(30)
    expect(levels.of('claim', 'cold', 'cron')).toBe(common)
    expect(levels.of('malice', 'warm', 'cron')).toBe(common)
    const lower = { ...calibration, own: [{ ...calibration.own[0]!, level: 3 }] }
    expect(new Levels(lower, 1).of('claim', 'warm', 'cron')).toBe(common)
  })

  test('stay where a minute of evidence reaches them, whatever recordings say', () => {
    const far = { ...calibration.tails.claim.cold, threshold: 200, rate: 100, body: [200] }
    const tails = { ...calibration.tails, claim: { cold: far, warm: far } }
    const level = new Levels({ ...calibration, tails }, 1).of('claim', 'cold', 'nginx')
    expect(level).toBeGreaterThanOrEqual(40)
    expect(level).toBeLessThanOrEqual(50)
  })
})

describe('calibrationHere()', () => {
  const profiles = [[['write', 1]]] as const
  const here = calibrationHere(calibration, {
    doubts: new Map([[4, { confusions: [[0, 3 / 12]], unsure: 1 / 12, suspect: 0.5 }]]),
    taught: [1, 4],
    profiles,
  })

  test('adds the host’s classes behind the model’s, without prototypes', () => {
    expect([...here.offsets]).toEqual([0, 1, 2, 3, 4, 4])
    expect(here.profiles).toEqual([...calibration.profiles, ...profiles])
    expect([here.unsure[4]!, here.suspect[4]!]).toEqual([Math.fround(1 / 12), 0.5])
    expect([...here.unsure.subarray(0, 4)]).toEqual([...calibration.unsure])
    expect(here.confusions[4]).toEqual(new Map([[0, 0.25]]))
  })

  test('says how much of it was measured on this host', () => {
    // Twelve counted windows are ten that were seen, of which two were taken for another class.
    const { windows, wrong } = here.measuredHere!.get(4)!
    expect([windows, wrong]).toEqual([10, 2])
    // A class of the model brings what it was measured on elsewhere: some windows, none wrong.
    const elsewhere = here.measuredHere!.get(1)!
    expect(elsewhere.wrong).toBe(0)
    expect(elsewhere.windows).toBeGreaterThanOrEqual(8)
    expect(elsewhere.windows).toBeLessThanOrEqual(12)
    expect(here.measuredHere!.has(0)).toBeFalse()
  })
})

test('quantised() gives the nearest eighth that one byte holds', () => {
  expect([0.05, 0.07, -3.3, 15.9, 99, -99].map(quantised)).toEqual([
    0, 0.125, -3.25, 15.875, 15.875, -15.875,
  ])
})
