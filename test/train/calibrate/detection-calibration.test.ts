import { describe, expect, test } from 'bun:test'
import {
  readDetectionCalibration,
  writeDetectionCalibration,
} from '../../../src/detect/calibration.ts'
import { distance, whiten } from '../../../src/detect/geometry.ts'
import type { Predictions } from '../../../src/domain/prediction.ts'
import {
  calibrateDetection,
  mistakesOf,
  tailsOf,
  whiteningOf,
} from '../../../src/train/calibrate/detection-calibration.ts'
import { symmetricEigen } from '../../../src/train/calibrate/eigen.ts'
import { extendDetection } from '../../../src/train/calibrate/extend-detection.ts'
import { Random } from '../../../src/train/random.ts'
import { classes, PLACES, predictions, T } from '../../detect/toy.ts'

const NAMES = classes.names as readonly (keyof typeof PLACES)[]

/** Windows around each class's place: wide in x, narrower in y. */
function training(perClass: number) {
  const random = new Random(5)
  const states: number[] = []
  const labels: number[] = []
  NAMES.forEach((name, label) => {
    for (let i = 0; i < perClass; i++) {
      states.push(PLACES[name][0] + 0.4 * random.normal(), PLACES[name][1] + 0.25 * random.normal())
      labels.push(label)
    }
  })
  return { stateSize: 2, states: Float32Array.from(states), labels }
}

function ordinaryLife(from: number, seconds: number): Predictions[] {
  const random = new Random(from)
  return Array.from({ length: seconds }, (_, i) =>
    predictions(
      from + i,
      (['nginx', 'cron', 'sshd'] as const).map((name, pid) => ({
        pid: pid + 1,
        name,
        at: [PLACES[name][0] + 0.4 * random.normal(), PLACES[name][1] + 0.25 * random.normal()],
      })),
    ),
  )
}

const calibrated = () =>
  calibrateDetection({
    classes,
    ...training(200),
    hosts: [{ host: 'h', before: ordinaryLife(T, 900), heldOut: ordinaryLife(T + 900, 600) }],
    ordinary: ['gzip', 'python3.11'],
    profiles: NAMES.map(() => [['read', 0.5]]),
  })

test('symmetricEigen() takes a matrix apart: A = Σ λ v vᵀ, largest first, vectors of length 1', () => {
  const size = 6
  const random = new Random(2)
  const half = Float64Array.from({ length: size * size }, () => random.normal())
  const a = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < size; k++) a[i * size + j]! += half[i * size + k]! * half[j * size + k]!
    }
  }
  const { values, vectors } = symmetricEigen(a, size)
  expect([...values]).toEqual([...values].sort((x, y) => y - x))
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0
      let product = 0
      for (let k = 0; k < size; k++) {
        sum += values[k]! * vectors[k * size + i]! * vectors[k * size + j]!
        product += vectors[i * size + k]! * vectors[j * size + k]!
      }
      expect(sum).toBeCloseTo(a[i * size + j]!, 9)
      expect(product).toBeCloseTo(i === j ? 1 : 0, 9)
    }
  }
})

test('whiteningOf() makes a program differ from itself as much in every direction', () => {
  const windows = training(2_000)
  const whitening = whiteningOf({ classes, ...windows })
  const spread = [0, 0]
  const a = new Float32Array(2)
  const centre = new Float32Array(2)
  whiten(whitening, Float32Array.from(PLACES.nginx), 0, centre)
  for (let i = 0; i < 2_000; i++) {
    whiten(whitening, windows.states, i, a)
    for (const d of [0, 1]) spread[d]! += (a[d]! - centre[d]!) ** 2 / 2_000
  }
  // Shrinkage holds the narrow direction back a little.
  expect(spread[0]! / spread[1]!).toBeGreaterThan(0.5)
  expect(spread[0]! / spread[1]!).toBeLessThan(2.5)
})

test('tailsOf() gives a name whose evidence reached its ceiling a level of its own, and leaves it out of no count', () => {
  const heldOut = Array.from({ length: 200 }, (_, i) =>
    predictions(T + i, [
      { pid: 1, name: 'nginx', at: PLACES.nginx },
      { pid: 2, name: 'cron', at: PLACES.sshd },
    ]),
  )
  const { own, tails } = tailsOf(
    { classes, hosts: [{ host: 'h', before: [], heldOut }] },
    calibrated(),
  )
  const wrong = { name: 'cron', stream: 'claim', level: 61 } as const
  expect(own).toEqual([
    { ...wrong, stage: 'cold' },
    { ...wrong, stage: 'warm' },
  ])
  expect(tails.claim.cold.threshold).toBeLessThan(10)
})

describe('calibrateDetection()', () => {
  test('puts prototypes where the classes are, and a radius around them', () => {
    const { whitening, prototypes, offsets, radii } = calibrated()
    const place = new Float32Array(2)
    NAMES.forEach((name, c) => {
      whiten(whitening, Float32Array.from(PLACES[name]), 0, place)
      let near = Number.POSITIVE_INFINITY
      for (let p = offsets[c]!; p < offsets[c + 1]!; p++) {
        near = Math.min(near, distance(place, 0, prototypes, p * 2, 2))
      }
      expect(near).toBeLessThan(0.6)
      expect(radii[c]!).toBeGreaterThan(0)
    })
  })

  test('counts how often the net is wrong about a class that it was not trained on', () => {
    const { unsure, suspect } = calibrated()
    expect(unsure[NAMES.indexOf('nginx')]!).toBeLessThan(0.01)
    expect(suspect[NAMES.indexOf('nginx')]!).toBeLessThan(0.01)
  })

  test('counts for which class each is taken', () => {
    const [nginx, cron, sshd] = (['nginx', 'cron', 'sshd'] as const).map((n) => NAMES.indexOf(n))
    const heldOut = Array.from({ length: 100 }, (_, i) =>
      predictions(T + i, [{ pid: 1, name: 'nginx', at: i < 30 ? PLACES.cron : PLACES.nginx }]),
    )
    const { confusions, unsure } = mistakesOf({
      classes,
      hosts: [{ host: 'h', before: [], heldOut }],
    })
    expect(confusions[nginx!]).toEqual(new Map([[cron!, 31 / 102]]))
    expect(unsure[nginx!]).toBeCloseTo(1 / 102, 6)
    expect(confusions[sshd!]!.size).toBe(0)
  })

  test('keeps the names of ordinary programs as the memory would', () => {
    expect(calibrated().ordinary).toEqual(new Set(['gzip', 'python']))
  })
})

test('extendDetection() learns for which new classes an old one is taken, and keeps what the base knew', () => {
  const base = calibrated()
  const told = base.confusions.map((_, c) => new Map([[(c + 1) % 3, 0.2]]))
  const old = {
    ...base,
    confusions: told.slice(0, 3),
    radii: base.radii.slice(0, 3),
    unsure: base.unsure.slice(0, 3),
    suspect: base.suspect.slice(0, 3),
    profiles: base.profiles.slice(0, 3),
    offsets: base.offsets.slice(0, 4),
    prototypes: base.prototypes.slice(0, base.offsets[3]! * 2),
  }
  const nginx = NAMES.indexOf('nginx')
  const fresh = NAMES.indexOf('miner')
  expect(fresh).toBe(3)
  const heldOut = Array.from({ length: 100 }, (_, i) => {
    const at = i < 10 ? PLACES.miner : i < 30 ? PLACES.sshd : PLACES.nginx
    return predictions(T + i, [{ pid: 1, name: 'nginx', at }])
  })
  const { confusions } = extendDetection(old, {
    classes,
    ...training(50),
    hosts: [{ host: 'h', before: [], heldOut }],
    ordinary: [],
    profiles: NAMES.map(() => []),
  })
  expect(confusions[nginx]).toEqual(new Map([...told[nginx]!, [fresh, 11 / 102]]))
})

describe('readDetectionCalibration()', () => {
  const written = () => JSON.parse(JSON.stringify(writeDetectionCalibration(calibrated())))

  test('reads what was written', () => {
    const read = readDetectionCalibration(written(), 4, 2)
    const made = calibrated()
    expect(read.whitening.matrix).toEqual(made.whitening.matrix)
    expect(read.prototypes).toEqual(made.prototypes)
    expect(read.tails).toEqual(made.tails)
    expect(read.ordinary).toEqual(made.ordinary)
    expect(read.profiles).toEqual(made.profiles)
    expect(read.confusions).toEqual(made.confusions)
  })

  test.each([
    ['no object', () => 7],
    ['another format', () => ({ ...written(), format: 9 })],
    ['states of another size', () => ({ ...written(), stateSize: 3 })],
    ['prototypes cut', () => ({ ...written(), prototypes: 'AAAA' })],
    [
      'a whitening that is not finite',
      () => ({ ...written(), whitening: Buffer.alloc(16, 0xff).toString('base64') }),
    ],
    ['a class without radius', () => ({ ...written(), radii: [1, 2, 3] })],
    ['a negative share', () => ({ ...written(), unsure: [-1, 0, 0, 0] })],
    ['confusions of another number of classes', () => ({ ...written(), confusions: [[]] })],
    ['a confusion with no class', () => ({ ...written(), confusions: [[[9, 0.1]], [], [], []] })],
    [
      'a confusion between classes',
      () => ({ ...written(), confusions: [[[0.5, 0.1]], [], [], []] }),
    ],
    ['no tails', () => ({ ...written(), tails: {} })],
    ['a profile of no names', () => ({ ...written(), profiles: [[[1, 1]], [], [], []] })],
  ])('refuses %s and says what is wrong', (_, value) => {
    expect(() => readDetectionCalibration(value(), 4, 2)).toThrow(
      /Cannot use the manifest: detection/,
    )
  })
})
