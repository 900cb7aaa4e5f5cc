/**
 * The forest's part of model.onnx: rows from the same `sequences` as the net, trees, and the
 * mixture of both probabilities. The output is still called `logits`: the logarithm of the mixture,
 * so that temperature and softmax apply to it as to those of a net.
 *
 * The net grows when a model is extended (`train --base`); the forest cannot, because the windows
 * of the old classes are not available. So the forest votes only among the classes it knows: with f
 * its votes, p the net's probabilities, k its known classes and w its weight,
 *
 *     mixed(c) = p(c) + w · (f(c) · Σ p(k) − p(c))   for c in k,   and p(c) for the others.
 *
 * This sums to 1; a new class keeps the net's probability; if the forest knows all classes it is w
 * · f + (1 − w) · p.
 */
import { AgentError } from '../domain/error.ts'
import {
  type OnnxConstant,
  type OnnxNode,
  readOnnxFacts,
  readOnnxWeights,
  treesNode,
} from '../platform/onnx/file.ts'
import type { OnnxTrees } from '../platform/onnx/trees.ts'
import type { Recipe } from './recipe.ts'

export interface ForestPart {
  /** It was grown for the first classes of the net, which may have more by now. */
  readonly trees: OnnxTrees
  readonly known: number
  readonly weight: number
  /** Of the net alone, so that calibrated probabilities are mixed. */
  readonly temperature: number
}

/** Lower bound of a probability, because its logarithm is taken. */
export const LEAST_PROBABILITY = 1e-7

/** The net's own logits, in a graph with a forest. */
export const READOUT = 'readout'

const WEIGHT = 'forest.weight'
const TEMPERATURE = 'forest.temperature'
const KNOWN = 'forest.known'

/** What the graph must know of its net. */
export interface MixedShape {
  readonly frames: number
  readonly classes: number
}

interface Part {
  readonly nodes: OnnxNode[]
  readonly constants: OnnxConstant[]
}

/** `sequences` to `row`: width + 1 numbers a window. */
export function rowsOfWindows({ frames }: Pick<MixedShape, 'frames'>, { power }: Recipe): Part {
  const overTime = { axes: { ints: [1] }, keepdims: { int: 0 } }
  return {
    nodes: [
      // Squares shares that the recipe took the root of.
      power === 0.5
        ? { op: 'ReduceSumSquare', inputs: ['sequences'], outputs: ['sums'], attributes: overTime }
        : {
            op: 'ReduceSum',
            inputs: ['sequences', 'axis1'],
            outputs: ['sums'],
            attributes: { keepdims: { int: 0 } },
          },
      {
        op: 'ReduceMax',
        inputs: ['sequences'],
        outputs: ['most'],
        attributes: { axes: { ints: [2] }, keepdims: { int: 0 } },
      },
      { op: 'Sign', inputs: ['most'], outputs: ['on'] },
      {
        op: 'ReduceSum',
        inputs: ['on', 'axis1'],
        outputs: ['active'],
        attributes: { keepdims: { int: 1 } },
      },
      { op: 'Max', inputs: ['active', 'one'], outputs: ['divisor'] },
      { op: 'Div', inputs: ['sums', 'divisor'], outputs: ['means'] },
      { op: 'Mul', inputs: ['active', 'perFrame'], outputs: ['activeShare'] },
      {
        op: 'Concat',
        inputs: ['means', 'activeShare'],
        outputs: ['row'],
        attributes: { axis: { int: 1 } },
      },
    ],
    constants: [
      { name: 'axis1', dims: [1], data: BigInt64Array.of(1n) },
      { name: 'one', dims: [1], data: Float32Array.of(1) },
      { name: 'perFrame', dims: [1], data: Float32Array.of(1 / frames) },
    ],
  }
}

/** Mixes the net's output (`from`) with the forest's votes, as `logits`. */
export function mixedLogits(net: MixedShape, recipe: Recipe, part: ForestPart, from: string): Part {
  const rows = rowsOfWindows(net, recipe)
  const known = Float32Array.from({ length: net.classes }, (_, c) => (c < part.known ? 1 : 0))
  return {
    nodes: [
      ...rows.nodes,
      treesNode({ ...part.trees, targets: net.classes }, 'row', 'votes'),
      { op: 'Div', inputs: [from, TEMPERATURE], outputs: ['cooled'] },
      {
        op: 'Softmax',
        inputs: ['cooled'],
        outputs: ['probabilities'],
        attributes: { axis: { int: 1 } },
      },
      { op: 'MatMul', inputs: ['probabilities', KNOWN], outputs: ['knownMass'] },
      { op: 'Mul', inputs: ['knownMass', WEIGHT], outputs: ['forestMass'] },
      { op: 'Mul', inputs: ['votes', 'forestMass'], outputs: ['forestPart'] },
      { op: 'Mul', inputs: ['probabilities', 'forest.kept'], outputs: ['netPart'] },
      { op: 'Add', inputs: ['forestPart', 'netPart'], outputs: ['mixed'] },
      { op: 'Max', inputs: ['mixed', 'forest.least'], outputs: ['atLeast'] },
      { op: 'Log', inputs: ['atLeast'], outputs: ['logits'] },
    ],
    constants: [
      ...rows.constants,
      { name: WEIGHT, dims: [1], data: Float32Array.of(part.weight) },
      { name: TEMPERATURE, dims: [1], data: Float32Array.of(part.temperature) },
      { name: KNOWN, dims: [net.classes, 1], data: known },
      {
        name: 'forest.kept',
        dims: [1, net.classes],
        data: known.map((flag) => 1 - part.weight * flag),
      },
      { name: 'forest.least', dims: [1], data: Float32Array.of(LEAST_PROBABILITY) },
    ],
  }
}

/**
 * The forest of a model that was opened (`openModel` checks its trees); undefined where there is
 * none.
 */
export function importForest(onnx: Uint8Array): ForestPart | undefined {
  const { trees } = readOnnxFacts(onnx)
  if (trees === undefined) return undefined
  const weights = readOnnxWeights(onnx)
  const [weight] = weights.get(WEIGHT) ?? []
  const [temperature] = weights.get(TEMPERATURE) ?? []
  const known = weights.get(KNOWN)?.reduce((sum, flag) => sum + flag, 0)
  if (weight === undefined || temperature === undefined || known === undefined)
    throw new AgentError(
      'ERR_MODEL',
      'Cannot read the forest of the model: its weight is missing',
      {
        hint: 'Only models that "agent train" made can be extended',
      },
    )
  return { trees, known, weight, temperature }
}
