/**
 * The trainer is a graph that we write ourselves, so its gradients are held against what a gradient
 * is: how much the loss changes when one number is changed a little. In float64, where that can be
 * told exactly.
 */
import { expect, test } from 'bun:test'
import { onnxRuntime } from '../../../src/platform/onnx/runtime.ts'
import { ARCHS, type NetShape, parameterShapes, stateSizeOf } from '../../../src/train/net/nets.ts'
import { lossGraph } from '../../../src/train/net/step.ts'
import { Random } from '../../../src/train/random.ts'

const STEP = 1e-5

test.each([...ARCHS.map((arch) => [arch, 'the net'] as const), ['simple', 'readout'] as const])(
  'lossGraph() of the %s net, %s trained, gives the gradients that finite differences give',
  async (arch, trained) => {
    const net: NetShape = { arch, width: 5, frames: 7, hidden: 3, classes: 4 }
    const batch = 3
    const part = trained === 'readout' ? { trains: trained } : {}
    const runtime = await onnxRuntime()
    const session = await runtime.open(lossGraph(net, { batch, l2: 0.01, ...part }, 'float64'))
    const random = new Random(3)
    const numbers = (count: number, scale: number) =>
      Float64Array.from({ length: count }, () => scale * random.normal())
    const targets = new Float64Array(batch * net.classes).fill(0.02)
    for (let n = 0; n < batch; n++) targets[n * net.classes + n] = 0.3
    const readoutOnly = trained === 'readout'
    const shapes = parameterShapes(net).filter(
      ({ name }) => !readoutOnly || name.startsWith('readout.'),
    )
    const values = new Map(
      shapes.map(({ name, shape }) => [name, numbers(shape[0] * shape[1], 0.5)]),
    )
    const rowDims = readoutOnly ? [batch, stateSizeOf(net)] : [net.frames * batch, net.width]
    const rows = numbers(rowDims[0]! * rowDims[1]!, 1)
    const run = async () => {
      const feeds = {
        rows: runtime.tensor(rows, rowDims),
        targets: runtime.tensor(targets, [batch, net.classes]),
        ...Object.fromEntries(
          shapes.map(({ name, shape }) => [name, runtime.tensor(values.get(name)!, shape)]),
        ),
      }
      return await session.run(feeds)
    }
    const lossOf = async () => ((await run()).loss!.data as Float64Array)[0]!
    const exact = await run()
    let worst = 0
    for (const { name } of shapes) {
      const gradient = exact[`gradient.${name}`]!.data as Float64Array
      const parameter = values.get(name)!
      for (let i = 0; i < parameter.length; i += Math.ceil(parameter.length / 12)) {
        const kept = parameter[i]!
        parameter[i] = kept + STEP
        const above = await lossOf()
        parameter[i] = kept - STEP
        const below = await lossOf()
        parameter[i] = kept
        const measured = (above - below) / (2 * STEP)
        worst = Math.max(
          worst,
          Math.abs(measured - gradient[i]!) / Math.max(1e-3, Math.abs(measured)),
        )
      }
    }
    await session.close()
    expect(worst).toBeLessThan(1e-6)
  },
)
