/**
 * Reverse-mode differentiation on a tape of a dozen primitive operations, written as an ONNX graph
 * with its gradients. With Adam (`step.ts`) this turns ONNX Runtime, which has no gradient
 * operators, into a trainer: one run of the graph is one training step.
 *
 * Shapes are fixed when the tape is written (a batch has one size; a short batch is padded with
 * weight 0), so nothing is inferred at run time. Values are at most matrices. The tape writes
 * float32 for training and float64 for the test that compares gradients with finite differences.
 */
import { assert } from '../../domain/assert.ts'
import type { OnnxAttribute, OnnxConstant, OnnxNode, OnnxValue } from '../../platform/onnx/file.ts'

export interface Value {
  readonly name: string
  readonly shape: readonly number[]
  /** False for inputs: they need no gradient. */
  readonly varies: boolean
}

export type Precision = 'float32' | 'float64'

/** Adds to the gradients of an operation's inputs, given the gradient of its output. */
type Backward = (gradient: Value) => void

export class Tape {
  readonly precision: Precision
  readonly nodes: OnnxNode[] = []
  readonly inputs: OnnxValue[] = []
  readonly constants: OnnxConstant[] = []
  readonly #backward: { readonly outputs: readonly Value[]; readonly step: Backward }[] = []
  readonly #gradients = new Map<Value, Value>()
  #next = 0

  constructor(precision: Precision = 'float32') {
    this.precision = precision
  }

  input(name: string, shape: readonly number[]): Value {
    this.inputs.push({ name, type: this.precision, dims: shape })
    return { name, shape, varies: false }
  }

  parameter(name: string, shape: readonly number[]): Value {
    this.inputs.push({ name, type: this.precision, dims: shape })
    return { name, shape, varies: true }
  }

  constant(numbers: readonly number[], shape: readonly number[]): Value {
    const name = this.#name('constant')
    const data =
      this.precision === 'float32' ? Float32Array.from(numbers) : Float64Array.from(numbers)
    this.constants.push({ name, data, dims: shape })
    return { name, shape, varies: false }
  }

  /** a·b, plus c where given; c has the shape of the product or is one row. */
  matmul(a: Value, b: Value, c?: Value): Value {
    const output = this.#gemm(a, b, false, false, c)
    this.#record(output, [a, b, c], (gradient) => {
      if (a.varies) this.#addProduct(a, gradient, b, false, true)
      if (b.varies) this.#addProduct(b, a, gradient, true, false)
      if (c?.varies) this.#add(c, this.#sumTo(gradient, c.shape))
    })
    return output
  }

  /** a + b; b may be one row. */
  add(a: Value, b: Value): Value {
    const output = this.#node('Add', [a, b], a.shape)
    this.#record(output, [a, b], (gradient) => {
      if (a.varies) this.#add(a, gradient)
      if (b.varies) this.#add(b, this.#sumTo(gradient, b.shape))
    })
    return output
  }

  /** Element by element, same shapes. */
  mul(a: Value, b: Value): Value {
    const output = this.#node('Mul', [a, b], a.shape)
    this.#record(output, [a, b], (gradient) => {
      if (a.varies) this.#add(a, this.#node('Mul', [gradient, b], a.shape))
      if (b.varies) this.#add(b, this.#node('Mul', [gradient, a], b.shape))
    })
    return output
  }

  scale(a: Value, factor: number): Value {
    const by = this.constant([factor], [1])
    const output = this.#node('Mul', [a, by], a.shape)
    this.#record(output, [a], (gradient) =>
      this.#add(a, this.#node('Mul', [gradient, by], a.shape)),
    )
    return output
  }

  sigmoid(a: Value): Value {
    const output = this.#node('Sigmoid', [a], a.shape)
    this.#record(output, [a], (gradient) => {
      const rest = this.#node('Sub', [this.constant([1], [1]), output], a.shape)
      const slope = this.#node('Mul', [output, rest], a.shape)
      this.#add(a, this.#node('Mul', [gradient, slope], a.shape))
    })
    return output
  }

  tanh(a: Value): Value {
    const output = this.#node('Tanh', [a], a.shape)
    this.#record(output, [a], (gradient) => {
      const square = this.#node('Mul', [output, output], a.shape)
      const slope = this.#node('Sub', [this.constant([1], [1]), square], a.shape)
      this.#add(a, this.#node('Mul', [gradient, slope], a.shape))
    })
    return output
  }

  /** log softmax along each row. */
  logSoftmax(a: Value): Value {
    const output = this.#node('LogSoftmax', [a], a.shape, { axis: { int: 1 } })
    this.#record(output, [a], (gradient) => {
      const share = this.#node('Exp', [output], a.shape)
      const sum = this.#node('ReduceSum', [gradient, this.#axes([1])], [a.shape[0]!, 1], {
        keepdims: { int: 1 },
      })
      const back = this.#node('Mul', [share, sum], a.shape)
      this.#add(a, this.#node('Sub', [gradient, back], a.shape))
    })
    return output
  }

  /** Sum of all elements, as [1, 1]. */
  sum(a: Value): Value {
    const output = this.#node('ReduceSum', [a, this.#axes([0, 1])], [1, 1], {
      keepdims: { int: 1 },
    })
    this.#record(output, [a], (gradient) => {
      const shape = this.#integers(a.shape)
      this.#add(a, this.#node('Expand', [gradient, shape], a.shape))
    })
    return output
  }

  split(a: Value, axis: 0 | 1, sizes: readonly number[]): Value[] {
    assert(sizes.reduce((sum, size) => sum + size, 0) === a.shape[axis], 'the parts are the whole')
    const outputs = sizes.map((size) => ({
      name: this.#name('part'),
      shape: axis === 0 ? [size, a.shape[1]!] : [a.shape[0]!, size],
      varies: a.varies,
    }))
    this.nodes.push({
      op: 'Split',
      inputs: [a.name, this.#integers(sizes).name],
      outputs: outputs.map(({ name }) => name),
      attributes: { axis: { int: axis } },
    })
    if (!a.varies) return outputs
    // Its gradient is complete when it is visited: its parts are recorded later, so visited
    // earlier.
    this.#backward.push({
      outputs,
      step: () => {
        const parts = outputs.map((part) => this.#gradients.get(part) ?? this.#zeros(part.shape))
        this.#add(a, this.#node('Concat', parts, a.shape, { axis: { int: axis } }))
      },
    })
    return outputs
  }

  concat(values: readonly Value[], axis: 0 | 1): Value {
    const sizes = values.map(({ shape }) => shape[axis]!)
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const first = values[0]!.shape
    const shape = axis === 0 ? [total, first[1]!] : [first[0]!, total]
    const output = this.#node('Concat', values, shape, { axis: { int: axis } })
    this.#record(output, values, (gradient) => {
      const names = values.map(() => this.#name('gradient'))
      this.nodes.push({
        op: 'Split',
        inputs: [gradient.name, this.#integers(sizes).name],
        outputs: names,
        attributes: { axis: { int: axis } },
      })
      for (const [i, value] of values.entries())
        if (value.varies) this.#add(value, { name: names[i]!, shape: value.shape, varies: false })
    })
    return output
  }

  /**
   * Back-propagates from a [1, 1] value. @returns the gradient of each parameter, in their order
   */
  gradients(loss: Value, parameters: readonly Value[]): Value[] {
    assert(
      loss.shape.every((size) => size === 1),
      'a loss is one number',
    )
    this.#gradients.set(loss, this.constant([1], [1, 1]))
    for (const { outputs, step } of this.#backward.toReversed()) {
      const reached = outputs.find((output) => this.#gradients.has(output))
      if (reached !== undefined) step(this.#gradients.get(reached)!)
    }
    return parameters.map((parameter) => {
      const gradient = this.#gradients.get(parameter)
      assert(gradient !== undefined, `the loss depends on ${parameter.name}`)
      return gradient
    })
  }

  /** An operation without gradient: what Adam and outputs need. */
  apply(op: string, inputs: readonly Value[], shape: readonly number[], output?: string): Value {
    return this.#node(op, inputs, shape, {}, output)
  }

  #record(output: Value, inputs: readonly (Value | undefined)[], step: Backward): void {
    if (inputs.some((input) => input?.varies)) this.#backward.push({ outputs: [output], step })
  }

  #add(value: Value, gradient: Value): void {
    const sum = this.#gradients.get(value)
    this.#gradients.set(
      value,
      sum === undefined ? gradient : this.#node('Add', [sum, gradient], value.shape),
    )
  }

  /** Adds a product to an existing gradient, in one operation. */
  #addProduct(value: Value, a: Value, b: Value, transA: boolean, transB: boolean): void {
    this.#gradients.set(value, this.#gemm(a, b, transA, transB, this.#gradients.get(value)))
  }

  #gemm(a: Value, b: Value, transA: boolean, transB: boolean, c?: Value): Value {
    const rows = a.shape[transA ? 1 : 0]!
    const columns = b.shape[transB ? 0 : 1]!
    assert(
      a.shape[transA ? 0 : 1] === b.shape[transB ? 1 : 0],
      'the inner sizes of a product agree',
    )
    const inputs = c === undefined ? [a, b] : [a, b, c]
    return this.#node('Gemm', inputs, [rows, columns], {
      transA: { int: transA ? 1 : 0 },
      transB: { int: transB ? 1 : 0 },
    })
  }

  #sumTo(gradient: Value, shape: readonly number[]): Value {
    if (shape[0] === gradient.shape[0]) return gradient
    return this.#node('ReduceSum', [gradient, this.#axes([0])], shape, { keepdims: { int: 1 } })
  }

  #zeros(shape: readonly number[]): Value {
    return this.constant(new Array<number>(shape[0]! * shape[1]!).fill(0), shape)
  }

  #axes(axes: readonly number[]): Value {
    return this.#integers(axes)
  }

  #integers(numbers: readonly number[]): Value {
    const name = this.#name('integers')
    this.constants.push({ name, data: BigInt64Array.from(numbers, BigInt), dims: [numbers.length] })
    return { name, shape: [numbers.length], varies: false }
  }

  #node(
    op: string,
    inputs: readonly Value[],
    shape: readonly number[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    output = this.#name(op.toLowerCase()),
  ): Value {
    this.nodes.push({ op, inputs: inputs.map(({ name }) => name), outputs: [output], attributes })
    return { name: output, shape, varies: inputs.some(({ varies }) => varies) }
  }

  #name(kind: string): string {
    return `${kind}_${this.#next++}`
  }
}
