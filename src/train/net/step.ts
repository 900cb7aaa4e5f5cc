/**
 * One training step as one ONNX graph: forward, backward, Adam. ONNX Runtime runs it; the
 * parameters and Adam's two moments are input tensors and come out in a second set of tensors, and
 * the two sets are swapped.
 *
 * Measured before this was chosen: as fast as PyTorch on one thread, the same bits on every run of
 * a machine kind, no second runtime in the binary.
 */

import { encodeOnnx } from '../../platform/onnx/file.ts'
import type { OnnxSession, OnnxTensor } from '../../platform/onnx/runtime.ts'
import { onnxRuntime } from '../../platform/onnx/runtime.ts'
import { type Precision, Tape, type Value } from './autodiff.ts'
import {
  forward,
  type NetShape,
  type ParameterShape,
  type Parameters,
  parameterShapes,
  readout,
  stateSizeOf,
} from './nets.ts'

const BETA1 = 0.9
const BETA2 = 0.999
const EPSILON = 1e-8

export interface StepOptions {
  readonly batch: number
  /** L2 on the readout's weights: this times half their squared norm. */
  readonly l2: number
  /** `readout`: rows are states, [batch, state size], and only the readout is trained. */
  readonly trains?: 'readout'
}

function trainedShapes(net: NetShape, { trains }: StepOptions): ParameterShape[] {
  const all = parameterShapes(net)
  return trains === 'readout' ? all.filter(({ name }) => name.startsWith('readout.')) : all
}

function rowsShape(net: NetShape, { batch, trains }: StepOptions): readonly [number, number] {
  return trains === 'readout' ? [batch, stateSizeOf(net)] : [net.frames * batch, net.width]
}

/**
 * The graph of the loss, and where asked for its gradients (as `gradient.<parameter>`), without
 * Adam: for checking.
 */
export function lossGraph(net: NetShape, options: StepOptions, precision: Precision): Uint8Array {
  const { tape, loss, gradients, names } = differentiate(net, options, precision)
  const outputs = [tape.apply('Identity', [loss], [1, 1], 'loss')]
  for (const [i, gradient] of gradients.entries())
    outputs.push(tape.apply('Identity', [gradient], gradient.shape, `gradient.${names[i]}`))
  return encode(tape, outputs, `${net.arch} gradients`)
}

/** The graph of a whole step. */
export function stepGraph(net: NetShape, options: StepOptions): Uint8Array {
  const { tape, loss, logits, gradients, parameters, names } = differentiate(
    net,
    options,
    'float32',
  )
  const rate = tape.input('rate', [1])
  const outputs = [
    tape.apply('Identity', [loss], [1, 1], 'loss'),
    tape.apply('Identity', [logits], logits.shape, 'logits'),
  ]
  const number = (value: number) => tape.constant([value], [1])
  for (const [i, gradient] of gradients.entries()) {
    const name = names[i]!
    const parameter = parameters.get(name)!
    const { shape } = parameter
    const mean = tape.input(`${name}.mean`, shape)
    const square = tape.input(`${name}.square`, shape)
    const apply = (op: string, a: Value, b: Value, output?: string) =>
      tape.apply(op, [a, b], shape, output)
    const newMean = apply(
      'Add',
      apply('Mul', mean, number(BETA1)),
      apply('Mul', gradient, number(1 - BETA1)),
      `${name}.mean.next`,
    )
    const newSquare = apply(
      'Add',
      apply('Mul', square, number(BETA2)),
      apply('Mul', apply('Mul', gradient, gradient), number(1 - BETA2)),
      `${name}.square.next`,
    )
    const spread = apply('Add', tape.apply('Sqrt', [newSquare], shape), number(EPSILON))
    const move = apply('Mul', apply('Div', newMean, spread), rate)
    outputs.push(newMean, newSquare, apply('Sub', parameter, move, `${name}.next`))
  }
  return encode(tape, outputs, `${net.arch} step`)
}

function differentiate(net: NetShape, options: StepOptions, precision: Precision) {
  const tape = new Tape(precision)
  const rows = tape.input('rows', rowsShape(net, options))
  const targets = tape.input('targets', [options.batch, net.classes])
  const parameters = new Map(
    trainedShapes(net, options).map(
      ({ name, shape }) => [name, tape.parameter(name, shape)] as const,
    ),
  )
  const logits =
    options.trains === 'readout'
      ? readout(tape, parameters, rows)
      : forward(tape, net, parameters, rows, options.batch).logits
  // Targets are multiplied by the weight of their sequence and divided by the batch's sum of
  // weights.
  const fit = tape.scale(tape.sum(tape.mul(tape.logSoftmax(logits), targets)), -1)
  const weights = parameters.get('readout.weights')!
  const loss = tape.add(fit, tape.scale(tape.sum(tape.mul(weights, weights)), options.l2 / 2))
  const names = [...parameters.keys()]
  const gradients = tape.gradients(loss, [...parameters.values()])
  return { tape, loss, logits, gradients, parameters, names }
}

function encode(tape: Tape, outputs: readonly Value[], name: string): Uint8Array {
  return encodeOnnx({
    name,
    inputs: tape.inputs,
    outputs: outputs.map((value) => ({
      name: value.name,
      type: tape.precision,
      dims: value.shape,
    })),
    nodes: tape.nodes,
    constants: tape.constants,
  })
}

interface Slot {
  readonly name: string
  readonly shape: readonly [number, number]
}

/** Runs steps one after another and owns the parameters. */
export class StepRunner {
  /** To be filled by the caller before each run. */
  readonly rows: Float32Array
  readonly targets: Float32Array
  /** Of the last run. */
  readonly logits: Float32Array
  readonly #session: OnnxSession
  readonly #slots: readonly Slot[]
  readonly #rate = new Float32Array(1)
  readonly #loss = new Float32Array(1)
  readonly #sets: [Record<string, Float32Array>, Record<string, Float32Array>]
  readonly #tensors: [Record<string, OnnxTensor>, Record<string, OnnxTensor>]
  readonly #fixed: { feeds: Record<string, OnnxTensor>; fetches: Record<string, OnnxTensor> }
  #current: 0 | 1 = 0
  #step = 0

  static async open(net: NetShape, options: StepOptions, start: Parameters): Promise<StepRunner> {
    const runtime = await onnxRuntime()
    const session = await runtime.open(stepGraph(net, options))
    return new StepRunner(session, runtime.tensor, net, options, start)
  }

  private constructor(
    session: OnnxSession,
    tensor: (data: Float32Array, dims: readonly number[]) => OnnxTensor,
    net: NetShape,
    options: StepOptions,
    start: Parameters,
  ) {
    const { batch } = options
    const rows = rowsShape(net, options)
    this.#session = session
    this.rows = new Float32Array(rows[0] * rows[1])
    this.targets = new Float32Array(batch * net.classes)
    this.logits = new Float32Array(batch * net.classes)
    this.#slots = trainedShapes(net, options).flatMap(({ name, shape }) =>
      ['', '.mean', '.square'].map((part) => ({ name: name + part, shape })),
    )
    const set = () =>
      Object.fromEntries(
        this.#slots.map(({ name, shape }) => [name, new Float32Array(shape[0] * shape[1])]),
      )
    this.#sets = [set(), set()]
    for (const { name } of trainedShapes(net, options)) this.#sets[0][name]!.set(start[name]!)
    const tensors = (numbers: Record<string, Float32Array>) =>
      Object.fromEntries(
        this.#slots.map(({ name, shape }) => [name, tensor(numbers[name]!, shape)]),
      )
    this.#tensors = [tensors(this.#sets[0]), tensors(this.#sets[1])]
    this.#fixed = {
      feeds: {
        rows: tensor(this.rows, rows),
        targets: tensor(this.targets, [batch, net.classes]),
        rate: tensor(this.#rate, [1]),
      },
      fetches: {
        loss: tensor(this.#loss, [1, 1]),
        logits: tensor(this.logits, [batch, net.classes]),
      },
    }
  }

  /** One step on what `rows` and `targets` hold. @returns the loss before it */
  async run(learningRate: number): Promise<number> {
    this.#step++
    // Adam's bias correction, folded into the learning rate.
    this.#rate[0] = (learningRate * Math.sqrt(1 - BETA2 ** this.#step)) / (1 - BETA1 ** this.#step)
    const next: 0 | 1 = this.#current === 0 ? 1 : 0
    const feeds = { ...this.#fixed.feeds, ...this.#tensors[this.#current] }
    const fetches: Record<string, OnnxTensor> = { ...this.#fixed.fetches }
    for (const { name } of this.#slots) fetches[`${name}.next`] = this.#tensors[next][name]!
    await this.#session.run(feeds, fetches)
    this.#current = next
    return this.#loss[0]!
  }

  /** A copy of the trained parameters as they are now. */
  parameters(): Parameters {
    const set = this.#sets[this.#current]
    return Object.fromEntries(
      this.#slots
        .filter(({ name }) => !name.endsWith('.mean') && !name.endsWith('.square'))
        .map(({ name }) => [name, set[name]!.slice()]),
    )
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}
