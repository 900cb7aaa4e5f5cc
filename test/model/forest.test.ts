/** The shipped model's forest in plain loops against ONNX Runtime on the whole graph. */
import { expect, test } from 'bun:test'
import { Classifier } from '../../src/model/classifier.ts'
import { splitForest } from '../../src/model/forest.ts'
import { loadModel, readModelFiles } from '../../src/model/model.ts'
import { encodeOnnx } from '../../src/platform/onnx/file.ts'
import { onnxRuntime } from '../../src/platform/onnx/runtime.ts'
import { Random } from '../../src/train/random.ts'

const DIRECTORY = 'models/default'

test('splitForest() gives a net and trees that say what the whole graph says', async () => {
  const model = await loadModel(DIRECTORY)
  const { onnx } = await readModelFiles(DIRECTORY)
  const { sequenceFrames, width, classes } = model.manifest
  const random = new Random(1)
  const n = 50
  // Windows with silent seconds, and one that is silent throughout.
  const rows = Float32Array.from({ length: n * sequenceFrames * width }, (_, i) => {
    const second = Math.floor(i / width)
    const isSilent = second % 3 === 0 || second < sequenceFrames
    return isSilent || random.next() > 0.08 ? 0 : random.next()
  })
  const { logits, states } = await new Classifier(model).run(rows, n)
  const runtime = await onnxRuntime()
  const whole = await runtime.open(onnx)
  const wanted = await whole.run({
    sequences: runtime.tensor(rows, [n, sequenceFrames, width]),
  })
  const isNear = (got: Float32Array, from: ArrayLike<number>, map = (value: number) => value) =>
    Math.max(...Array.from(got, (value, i) => Math.abs(map(value) - map(from[i]!))))
  expect(model.forest).toBeDefined()
  expect(isNear(logits, wanted.logits!.data as Float32Array, Math.exp)).toBeLessThan(1e-5)
  expect(isNear(states, wanted.state!.data as Float32Array)).toBe(0)
  expect(logits).toHaveLength(n * classes.length)
  await whole.close()
  await model.close()
})

test('splitForest() leaves a graph alone that ends in another way, or has no forest', async () => {
  const model = await loadModel(DIRECTORY)
  const { onnx } = await readModelFiles(DIRECTORY)
  const { manifest } = model
  // Another recipe would make other rows.
  const recipe = { ...manifest.recipe, power: 1 as const }
  expect(splitForest(onnx, { ...manifest, recipe })).toBeUndefined()
  const plain = encodeOnnx({
    name: 'plain',
    inputs: [{ name: 'sequences', type: 'float32', dims: ['n', 10, 4] }],
    outputs: [{ name: 'logits', type: 'float32', dims: ['n', 4] }],
    nodes: [{ op: 'ReduceMean', inputs: ['sequences'], outputs: ['logits'] }],
    constants: [],
  })
  expect(splitForest(plain, manifest)).toBeUndefined()
  await model.close()
})
