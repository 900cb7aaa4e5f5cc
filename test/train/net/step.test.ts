import { expect, test } from 'bun:test'
import { initialParameters, type NetShape, type Parameters } from '../../../src/train/net/nets.ts'
import { StepRunner } from '../../../src/train/net/step.ts'
import { Random } from '../../../src/train/random.ts'
import { adam, lossAndGradients, type PlainNet } from './plain-lstm.ts'

const net: NetShape = { arch: 'simple', width: 6, frames: 10, hidden: 5, classes: 4 }
const batch = 8
const l2 = 5e-4
const rate = 0.01

function made(step: number): { sequences: number[][][]; labels: number[] } {
  const random = new Random(100 + step)
  const labels = Array.from({ length: batch }, () => random.below(net.classes))
  const sequences = labels.map((label) =>
    Array.from({ length: net.frames }, (_, t) =>
      Array.from({ length: net.width }, (_, x) =>
        Math.fround(random.next() + (x === (label + t) % net.width ? 1 : 0)),
      ),
    ),
  )
  return { sequences, labels }
}

async function runSteps(count: number): Promise<{ losses: number[]; parameters: Parameters }> {
  const runner = await StepRunner.open(net, { batch, l2 }, initialParameters(net, 5))
  const losses: number[] = []
  for (let step = 0; step < count; step++) {
    const { sequences, labels } = made(step)
    for (const [n, sequence] of sequences.entries())
      for (const [t, row] of sequence.entries()) runner.rows.set(row, (t * batch + n) * net.width)
    runner.targets.fill(0)
    for (const [n, label] of labels.entries()) runner.targets[n * net.classes + label] = 1 / batch
    losses.push(await runner.run(rate))
  }
  const parameters = runner.parameters()
  await runner.close()
  return { losses, parameters }
}

test('StepRunner.run() gives the losses of a plain hand-written back-propagation with Adam', async () => {
  const { losses } = await runSteps(30)
  const start = initialParameters(net, 5)
  const rows = (name: string, columns: number) =>
    Array.from({ length: start[name]!.length / columns }, (_, r) => [
      ...start[name]!.subarray(r * columns, (r + 1) * columns),
    ])
  const plain: PlainNet = {
    ...net,
    wx: rows('forward.input', 4 * net.hidden),
    wh: rows('forward.hidden', 4 * net.hidden),
    b: [...start['forward.bias']!],
    wo: rows('readout.weights', net.classes),
    bo: [...start['readout.bias']!],
  }
  const memories = new Map<number[], { mean: number[]; square: number[] }>()
  const move = (numbers: number[], gradient: number[], step: number) => {
    const memory = memories.get(numbers) ?? { mean: [], square: [] }
    memories.set(numbers, memory)
    adam(numbers, gradient, memory, step, rate)
  }
  for (let step = 1; step <= losses.length; step++) {
    const { sequences, labels } = made(step - 1)
    const g = lossAndGradients(plain, sequences, labels, l2)
    expect(Math.abs(g.loss - losses[step - 1]!) / g.loss).toBeLessThan(step <= 10 ? 1e-5 : 1e-4)
    for (const [r, row] of plain.wx.entries()) move(row, g.wx[r]!, step)
    for (const [r, row] of plain.wh.entries()) move(row, g.wh[r]!, step)
    for (const [r, row] of plain.wo.entries()) move(row, g.wo[r]!, step)
    move(plain.b, g.b, step)
    move(plain.bo, g.bo, step)
  }
  expect(losses.at(-1)!).toBeLessThan(losses[0]!)
})

test('StepRunner.run() gives the same bytes on every run', async () => {
  const [first, second] = [await runSteps(12), await runSteps(12)]
  expect(second.losses).toEqual(first.losses)
  for (const [name, numbers] of Object.entries(first.parameters))
    expect(Buffer.from(second.parameters[name]!.buffer).equals(Buffer.from(numbers.buffer))).toBe(
      true,
    )
})
