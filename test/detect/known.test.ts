/** What the model knows is near to the prototypes of the class that it names. */
import { expect, test } from 'bun:test'
import { calibrationHere } from '../../src/detect/calibration.ts'
import { isKnown } from '../../src/detect/known.ts'
import { calibration, classes, detectorWith, live, PLACES, predictions, T } from './toy.ts'

const process = { pid: 7, name: 'strange' }
const knownAt = (at: readonly [number, number], background?: number) =>
  isKnown(predictions(T, [{ ...process, at }]), 0, background, calibration, Float32Array.of(...at))

test.each<[string, readonly [number, number], number | undefined, boolean]>([
  ['at a prototype', [0, 6], undefined, true],
  ['within the radius', [0.7, 6], undefined, true],
  ['at four fifths of the radius', [-0.8, 6.8], undefined, true],
  ['at one radius and a quarter', [-1.25, 7.25], undefined, false],
  ['surely that class and far from all of it', [-3, 9], undefined, false],
  ['one of the other programs', [0, 6], classes.names.indexOf('sshd'), false],
])('%s: %p', (_, at, background, known) => {
  expect(knownAt(at, background)).toBe(known)
})

test('a class that the host added has no prototypes and is known', () => {
  const here = calibrationHere(calibration, { doubts: new Map(), taught: [], profiles: [[]] })
  const own = new Float32Array(5)
  own[4] = 1
  const window = { ...predictions(T, [{ ...process, at: [3, 3] }]), probabilities: own }
  const more = { ...window, classCount: 5 }
  expect(isKnown(more, 0, undefined, here, Float32Array.of(3, 3))).toBe(true)
})

test('the detector tells it by row and by process', () => {
  const detector = detectorWith()
  const far = { ...process, at: [-3, 9] } as const
  const cron = { pid: 8, name: 'cron', at: PLACES.cron } as const
  live(detector, T, 3, [far, cron])
  expect([...detector.known]).toEqual([0, 1])
  expect(detector.standing({ startMs: (T - 1000) * 1000, ...process })).toMatchObject({
    known: false,
  })
  live(detector, T + 3, 20, [{ ...far, at: PLACES.sshd }])
  expect(detector.standing({ startMs: (T - 1000) * 1000, ...process })).toMatchObject({
    known: true,
  })
})

test('without a memory of the name, what is not known is no masquerade', () => {
  const away = { pid: 9, name: 'nginx', at: [-3, 9] } as const
  expect(live(detectorWith(), T, 60, [away])).toEqual([])
  const [alert] = live(detectorWith(), T, 60, [{ ...away, at: PLACES.sshd }])
  expect(alert).toMatchObject({ kind: 'masquerade', predicted: { class: 'sshd' } })
})
