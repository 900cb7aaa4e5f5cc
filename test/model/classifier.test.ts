import { expect, test } from 'bun:test'
import { INFERENCE_ROWS_MAX } from '../../src/domain/limits.ts'
import { Classifier, softmax } from '../../src/model/classifier.ts'
import { openModel } from '../../src/model/model.ts'
import { predictFrames } from '../../src/model/predict-frames.ts'
import { Sequencer } from '../../src/model/sequencer.ts'
import { manifestText } from '../../src/train/save-model.ts'
import { frameOf } from '../support/hand-frames.ts'
import { tinyModel } from '../support/tiny-model.ts'

const { onnx, manifest } = tinyModel()
const model = await openModel(
  { manifest: new TextEncoder().encode(manifestText(manifest)), onnx },
  'tiny',
)
const frames = Array.from({ length: 12 }, (_, t) =>
  frameOf(t, [
    { pid: 1, counts: { read: t + 1, write: 2 } },
    { pid: 2, counts: { openat: 3, close: t + 1 } },
  ]),
)

test('Classifier.predict() gives probabilities that sum to 1 and a state for each process', async () => {
  const sequencer = new Sequencer(model.normaliser)
  for (const frame of frames.slice(0, -1)) sequencer.push(frame)
  const predictions = await new Classifier(model).predict(sequencer.push(frames.at(-1)!))
  expect(predictions.processes.map(({ pid }) => pid)).toEqual([1, 2])
  expect(predictions.states).toHaveLength(2 * manifest.stateSize)
  for (let row = 0; row < 2; row++) {
    const probabilities = predictions.probabilities.subarray(row * 3, row * 3 + 3)
    expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4)
  }
})

test('Classifier.predict() gives an empty answer for an empty batch', async () => {
  const predictions = await new Classifier(model).predict(
    new Sequencer(model.normaliser).push(frames[0]!),
  )
  expect(predictions.probabilities).toHaveLength(0)
})

test('Classifier.run() gives the same for a sequence wherever it stands in however large a batch', async () => {
  const n = INFERENCE_ROWS_MAX + 3
  const length = 10 * model.normaliser.width
  const rows = Float32Array.from({ length: n * length }, (_, i) => ((i * 7919) % 97) / 97)
  const whole = await new Classifier(model).run(rows, n)
  for (const at of [0, INFERENCE_ROWS_MAX - 1, INFERENCE_ROWS_MAX, n - 1]) {
    const alone = await new Classifier(model).run(rows.slice(at * length, (at + 1) * length), 1)
    for (let c = 0; c < 3; c++) expect(alone.logits[c]).toBeCloseTo(whole.logits[at * 3 + c]!, 5)
  }
})

test('softmax() is sharper below temperature 1, flatter above, and survives large numbers', () => {
  const at = (temperature: number) => {
    const values = Float32Array.from([1000, 1001])
    softmax(values, 1, 2, temperature)
    return values[1]!
  }
  expect(at(1)).toBeCloseTo(1 / (1 + Math.exp(-1)), 5)
  expect(at(0.5)).toBeGreaterThan(at(1))
  expect(at(4)).toBeLessThan(at(1))
})

test('predictFrames() gives one answer per frame and starts anew where time goes back', async () => {
  const answers: number[] = []
  for await (const { processes } of predictFrames(model, [...frames, ...frames]))
    answers.push(processes.length)
  const once = [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2]
  expect(answers).toEqual([...once, ...once])
})
