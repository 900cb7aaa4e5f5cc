/**
 * Exports trained parameters as model.onnx: the same function as the training graph's forward part,
 * but with ONNX's own LSTM operator, a free batch size, and the input `sequences` as [n, frames,
 * width]; outputs `logits` and `state`. Tests compare the two graphs.
 *
 * Training uses only the calls that occur in its data; `widen` gives the others rows of zeros,
 * which changes no result: an unknown call only reduces the shares of the known ones.
 */
import { AgentError } from '../../domain/error.ts'
import { type ForestPart, mixedLogits, READOUT } from '../../model/forest-graph.ts'
import type { Recipe } from '../../model/recipe.ts'
import {
  encodeOnnx,
  type OnnxConstant,
  type OnnxNode,
  readOnnxWeights,
} from '../../platform/onnx/file.ts'
import {
  directionsOf,
  groupsOf,
  INTERVALS,
  type NetShape,
  type Parameters,
  parameterShapes,
  stateSizeOf,
} from './nets.ts'

/** ONNX orders the gates i o f c; ours are i f o g. */
const GATES = [0, 2, 1, 3]
/** Names of our parameters in the operator's three inputs. */
const STORED: Readonly<Record<string, string>> = {
  input: 'lstm.W',
  hidden: 'lstm.R',
  bias: 'lstm.B',
}

/** @param beside a forest, and the recipe of its columns */
export function exportNet(
  net: NetShape,
  parameters: Parameters,
  beside?: { readonly forest: ForestPart; readonly recipe: Recipe },
): Uint8Array {
  const { frames, width, hidden, classes } = net
  const directions = directionsOf(net.arch)
  const constants: OnnxConstant[] = [
    {
      name: 'lstm.W',
      dims: [directions.length, 4 * hidden, width],
      data: stacked(directions, parameters, 'input', width, hidden),
    },
    {
      name: 'lstm.R',
      dims: [directions.length, 4 * hidden, hidden],
      data: stacked(directions, parameters, 'hidden', hidden, hidden),
    },
    {
      name: 'lstm.B',
      dims: [directions.length, 8 * hidden],
      data: biases(directions, parameters, hidden),
    },
    {
      name: 'readout.weights',
      dims: [stateSizeOf(net), classes],
      data: parameters['readout.weights']!,
    },
    { name: 'readout.bias', dims: [classes], data: parameters['readout.bias']! },
    { name: 'flat', dims: [2], data: BigInt64Array.from([0n, BigInt(directions.length * hidden)]) },
  ]
  const nodes: OnnxNode[] = []
  const states = INTERVALS[net.arch].map((interval) => {
    let sequences = 'sequences'
    if (interval > 1) {
      const groups = groupsOf(frames, interval)
      const pool = new Float32Array(groups.length * frames)
      for (const [g, group] of groups.entries())
        for (const t of group) pool[g * frames + t] = 1 / group.length
      constants.push({ name: `pool${interval}`, dims: [groups.length, frames], data: pool })
      sequences = `sequences${interval}`
      nodes.push({ op: 'MatMul', inputs: [`pool${interval}`, 'sequences'], outputs: [sequences] })
    }
    const [timeMajor, last, byRow, state] = ['time', 'last', 'byRow', 'state'].map(
      (name) => `${name}${interval}`,
    ) as [string, string, string, string]
    nodes.push(
      {
        op: 'Transpose',
        inputs: [sequences],
        outputs: [timeMajor],
        attributes: { perm: { ints: [1, 0, 2] } },
      },
      {
        op: 'LSTM',
        inputs: [timeMajor, 'lstm.W', 'lstm.R', 'lstm.B'],
        outputs: ['', last],
        attributes: {
          hidden_size: { int: hidden },
          direction: { string: directions.length === 2 ? 'bidirectional' : 'forward' },
        },
      },
      {
        op: 'Transpose',
        inputs: [last],
        outputs: [byRow],
        attributes: { perm: { ints: [1, 0, 2] } },
      },
      { op: 'Reshape', inputs: [byRow, 'flat'], outputs: [state] },
    )
    return state
  })
  nodes.push(
    states.length === 1
      ? { op: 'Identity', inputs: states, outputs: ['state'] }
      : { op: 'Concat', inputs: states, outputs: ['state'], attributes: { axis: { int: 1 } } },
    {
      op: 'Gemm',
      inputs: ['state', 'readout.weights', 'readout.bias'],
      outputs: [beside === undefined ? 'logits' : READOUT],
    },
  )
  if (beside !== undefined) {
    const mixed = mixedLogits(net, beside.recipe, beside.forest, READOUT)
    nodes.push(...mixed.nodes)
    constants.push(...mixed.constants)
  }
  return encodeOnnx({
    name: net.arch,
    inputs: [{ name: 'sequences', type: 'float32', dims: ['n', frames, width] }],
    outputs: [
      { name: 'logits', type: 'float32', dims: ['n', classes] },
      { name: 'state', type: 'float32', dims: ['n', stateSizeOf(net)] },
    ],
    nodes,
    constants,
  })
}

/** Inverse of `exportNet`: the parameters. ERR_MODEL if it is not a net of ours with this shape. */
export function importNet(net: NetShape, onnx: Uint8Array): Parameters {
  const weights = readOnnxWeights(onnx)
  const directions = directionsOf(net.arch)
  const parameters: Record<string, Float32Array> = {}
  for (const { name, shape } of parameterShapes(net)) {
    const [direction, part] = name.split('.') as [string, string]
    const size = shape[0] * shape[1]
    const d = directions.indexOf(direction)
    const stored = weights.get(d < 0 ? name : STORED[part]!)
    const per = part === 'bias' && d >= 0 ? 2 * size : size
    if (stored?.length !== per * (d < 0 ? 1 : directions.length))
      throw new AgentError(
        'ERR_MODEL',
        `Cannot read the weights of the model: "${name}" is not ${shape.join(' × ')} numbers`,
        { hint: 'Only models that "agent train" made can be extended' },
      )
    const own = d < 0 ? stored : stored.subarray(d * per, (d + 1) * per)
    parameters[name] = d < 0 ? own : turned(own, shape[0], net.hidden)
  }
  return parameters
}

/**
 * The same net over other components, by name; components it was not trained on get rows of zeros.
 */
export function widen(
  net: NetShape,
  parameters: Parameters,
  from: readonly string[],
  to: readonly string[],
): { net: NetShape; parameters: Parameters } {
  const columns = 4 * net.hidden
  const widened: Record<string, Float32Array> = { ...parameters }
  const at = new Map(to.map((name, index) => [name, index]))
  for (const direction of directionsOf(net.arch)) {
    const rows = new Float32Array(to.length * columns)
    const old = parameters[`${direction}.input`]!
    for (const [i, name] of from.entries()) {
      const index = at.get(name)
      if (index !== undefined)
        rows.set(old.subarray(i * columns, (i + 1) * columns), index * columns)
    }
    widened[`${direction}.input`] = rows
  }
  return { net: { ...net, width: to.length }, parameters: widened }
}

/**
 * [directions, 4 × hidden, rows]: each direction's matrix transposed, its gates in ONNX's order.
 */
function stacked(
  directions: readonly string[],
  parameters: Parameters,
  part: string,
  rows: number,
  hidden: number,
): Float32Array {
  const out = new Float32Array(directions.length * 4 * hidden * rows)
  for (const [d, direction] of directions.entries()) {
    const numbers = parameters[`${direction}.${part}`]!
    for (const [to, from] of GATES.entries())
      for (let h = 0; h < hidden; h++)
        for (let r = 0; r < rows; r++)
          out[((d * 4 + to) * hidden + h) * rows + r] = numbers[r * 4 * hidden + from * hidden + h]!
  }
  return out
}

/** [directions, 8 × hidden]: input biases, then the recurrent ones, which ours does not have. */
function biases(
  directions: readonly string[],
  parameters: Parameters,
  hidden: number,
): Float32Array {
  const out = new Float32Array(directions.length * 8 * hidden)
  for (const [d, direction] of directions.entries()) {
    const numbers = parameters[`${direction}.bias`]!
    for (const [to, from] of GATES.entries())
      out.set(numbers.subarray(from * hidden, (from + 1) * hidden), d * 8 * hidden + to * hidden)
  }
  return out
}

/** [4 × hidden, rows] in ONNX's order of gates back to ours, transposed. */
function turned(stored: Float32Array, rows: number, hidden: number): Float32Array {
  const out = new Float32Array(rows * 4 * hidden)
  for (const [from, to] of GATES.entries())
    for (let h = 0; h < hidden; h++)
      for (let r = 0; r < rows; r++)
        out[r * 4 * hidden + to * hidden + h] = stored[(from * hidden + h) * rows + r]!
  return out
}
