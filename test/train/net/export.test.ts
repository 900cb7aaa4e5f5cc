import { expect, test } from 'bun:test'
import { onnxRuntime } from '../../../src/platform/onnx/runtime.ts'
import { exportNet, importNet, widen } from '../../../src/train/net/export.ts'
import {
  ARCHS,
  groupsOf,
  initialParameters,
  type NetShape,
  stateSizeOf,
} from '../../../src/train/net/nets.ts'
import { StepRunner } from '../../../src/train/net/step.ts'
import { Random } from '../../../src/train/random.ts'

const shape = { width: 6, frames: 10, hidden: 5, classes: 4 }
const random = new Random(11)
const sequences = Float32Array.from({ length: 3 * 10 * 6 }, () => random.next())

async function logitsOf(onnx: Uint8Array, rows: Float32Array, dims: number[]) {
  const runtime = await onnxRuntime()
  const session = await runtime.open(onnx)
  const { logits, state } = await session.run({ sequences: runtime.tensor(rows, dims) })
  await session.close()
  return { logits: logits!.data as Float32Array, state: state! }
}

test.each(ARCHS)(
  'exportNet() of the %s net gives the logits of the training graph',
  async (arch) => {
    const net: NetShape = { arch, ...shape }
    const parameters = initialParameters(net, 9)
    const runner = await StepRunner.open(net, { batch: 3, l2: 0 }, parameters)
    for (let n = 0; n < 3; n++)
      for (let t = 0; t < 10; t++)
        runner.rows.set(sequences.subarray((n * 10 + t) * 6, (n * 10 + t + 1) * 6), (t * 3 + n) * 6)
    await runner.run(0)
    const { logits, state } = await logitsOf(exportNet(net, parameters), sequences, [3, 10, 6])
    for (let i = 0; i < logits.length; i++) expect(logits[i]!).toBeCloseTo(runner.logits[i]!, 5)
    expect(state.dims).toEqual([3, stateSizeOf(net)])
    await runner.close()
  },
)

test.each(ARCHS)(
  'importNet() reads back the parameters of an exported %s net, bit by bit',
  (arch) => {
    const net: NetShape = { arch, ...shape }
    const parameters = initialParameters(net, 9)
    expect(importNet(net, exportNet(net, parameters))).toEqual(parameters)
    expect(() => importNet({ ...net, hidden: 6 }, exportNet(net, parameters))).toThrow(
      'Cannot read the weights',
    )
  },
)

test('widen() changes no result: what training never saw has rows of zeros', async () => {
  const net: NetShape = { arch: 'bidirectional', ...shape }
  const parameters = initialParameters(net, 9)
  const from = ['other', 'a', 'b', 'c', 'd', 'e']
  const to = ['x', 'other', 'e', 'd', 'y', 'c', 'b', 'a', 'z']
  const wide = widen(net, parameters, from, to)
  const rows = new Float32Array(3 * 10 * to.length).fill(0.3)
  for (let row = 0; row < 30; row++)
    for (const [i, name] of from.entries())
      rows[row * to.length + to.indexOf(name)] = sequences[row * 6 + i]!
  const narrow = await logitsOf(exportNet(net, parameters), sequences, [3, 10, 6])
  const widened = await logitsOf(exportNet(wide.net, wide.parameters), rows, [3, 10, to.length])
  for (let i = 0; i < narrow.logits.length; i++)
    expect(widened.logits[i]!).toBeCloseTo(narrow.logits[i]!, 5)
})

test('groupsOf() cuts from the oldest second on; the last group is what is left', () => {
  expect(groupsOf(10, 3)).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]])
  expect(groupsOf(4, 2)).toEqual([
    [0, 1],
    [2, 3],
  ])
})
