import { expect, test } from 'bun:test'
import type { DetectionCalibration } from '../../../src/detect/calibration.ts'
import { whiten } from '../../../src/detect/geometry.ts'
import { whiteningOf } from '../../../src/train/calibrate/detection-calibration.ts'
import { replayStates } from '../../../src/train/data/replay.ts'
import { Random } from '../../../src/train/random.ts'

const SIZE = 6
const random = new Random(4)

/** Two classes of states, far apart and long-drawn, as an LSTM's are. */
const labels = Int32Array.from({ length: 400 }, (_, i) => i % 2)
const states = Float32Array.from(
  { length: 400 * SIZE },
  (_, i) =>
    (Math.floor(i / SIZE) % 2 === 0 ? 0.3 : -0.3) + (0.02 + 0.02 * (i % SIZE)) * random.normal(),
)

test('replayStates() gives states that lie, whitened, around the prototypes of their class', () => {
  const whitening = whiteningOf({
    classes: {
      modelId: '',
      names: ['a', 'b'],
      malicious: [false, false],
      claimedBy: () => undefined,
    },
    stateSize: SIZE,
    states,
    labels,
  })
  const prototypes = new Float32Array(3 * SIZE)
  for (const [p, row] of [0, 2, 1].entries()) whiten(whitening, states, row, prototypes, p * SIZE)
  const calibration = {
    whitening,
    prototypes,
    offsets: Uint32Array.from([0, 2, 2, 3]),
  } as unknown as DetectionCalibration
  const replayed = replayStates(calibration, 200, new Random(1))
  expect([...new Set(replayed.labels)]).toEqual([0, 2])
  const back = new Float32Array(SIZE)
  let square = 0
  for (const [n, label] of replayed.labels.entries()) {
    whiten(whitening, replayed.states, n, back)
    const p = label === 2 ? 2 : n % 2
    for (let k = 0; k < SIZE; k++) square += (back[k]! - prototypes[p * SIZE + k]!) ** 2
  }
  const spread = Math.sqrt(square / (replayed.labels.length * SIZE))
  expect(spread).toBeGreaterThan(0.35)
  expect(spread).toBeLessThan(0.45)
})
