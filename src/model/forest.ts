/**
 * The forest beside the net in plain loops: what the forest's part of model.onnx (forest-graph.ts)
 * computes, outside ONNX Runtime. The runtime takes fifteen times the trees' size in memory and a
 * third of a second to load them (measured: 35 MB for 2 MB of trees); this takes the trees' size.
 *
 * A test compares the two. A graph that is not exactly ours is left to the runtime as it is.
 */
import { cutOnnx } from '../platform/onnx/file.ts'
import type { OnnxTrees } from '../platform/onnx/trees.ts'
import {
  type ForestPart,
  importForest,
  LEAST_PROBABILITY,
  mixedLogits,
  READOUT,
} from './forest-graph.ts'
import type { Manifest } from './manifest.ts'
import type { Recipe } from './recipe.ts'

export interface SplitModel {
  /** The net alone, with the outputs of the whole. */
  readonly net: Uint8Array
  readonly forest: Forest
}

/** Undefined where the graph has no forest, or another than `mixedLogits` makes. */
export function splitForest(
  onnx: Uint8Array,
  { classes, sequenceFrames: frames, width, recipe }: Manifest,
): SplitModel | undefined {
  const part = importForest(onnx)
  if (part === undefined) return undefined
  const shape = { frames, classes: classes.length }
  const net = cutOnnx(onnx, mixedLogits(shape, recipe, part, READOUT).nodes, {
    from: READOUT,
    to: 'logits',
  })
  return net && { net, forest: new Forest(part, recipe, { ...shape, width }) }
}

interface Shape {
  readonly frames: number
  readonly width: number
  readonly classes: number
}

export class Forest {
  readonly #trees: PackedTrees
  readonly #part: Pick<ForestPart, 'known' | 'weight' | 'temperature'>
  readonly #squares: boolean
  readonly #shape: Shape
  readonly #row: Float32Array
  readonly #votes: Float32Array

  constructor({ trees, known, weight, temperature }: ForestPart, recipe: Recipe, shape: Shape) {
    this.#trees = packed(trees)
    this.#part = { known, weight, temperature }
    this.#squares = recipe.power === 0.5
    this.#shape = shape
    this.#row = new Float32Array(shape.width + 1)
    this.#votes = new Float32Array(shape.classes)
  }

  /**
   * The net's logits become those of the mixture, in place.
   * @param rows [n, frames, width]
   * @param logits [n, classes]
   */
  mix(rows: Float32Array, n: number, logits: Float32Array): void {
    const { frames, width, classes } = this.#shape
    const { known, weight, temperature } = this.#part
    for (let i = 0; i < n; i++) {
      this.#rowOf(rows, i * frames * width)
      vote(this.#trees, this.#row, this.#votes)
      const from = i * classes
      let most = Number.NEGATIVE_INFINITY
      for (let c = from; c < from + classes; c++) most = Math.max(most, logits[c]!)
      let sum = 0
      let knownSum = 0
      for (let c = 0; c < classes; c++) {
        const value = Math.exp((logits[from + c]! - most) / temperature)
        logits[from + c] = value
        sum += value
        if (c < known) knownSum += value
      }
      const forestMass = (weight * knownSum) / sum
      for (let c = 0; c < classes; c++) {
        const kept = c < known ? 1 - weight : 1
        const mixed = this.#votes[c]! * forestMass + (logits[from + c]! / sum) * kept
        logits[from + c] = Math.log(Math.max(LEAST_PROBABILITY, mixed))
      }
    }
  }

  /** Mean of each share over the active seconds, and the share of active seconds. */
  #rowOf(rows: Float32Array, from: number): void {
    const { frames, width } = this.#shape
    const row = this.#row.fill(0)
    let active = 0
    for (let t = 0; t < frames; t++) {
      const at = from + t * width
      let isActive = false
      for (let c = 0; c < width; c++) {
        const value = rows[at + c]!
        if (value === 0) continue
        isActive = true
        row[c]! += this.#squares ? value * value : value
      }
      if (isActive) active++
    }
    if (active > 1) for (let c = 0; c < width; c++) row[c]! /= active
    row[width] = active / frames
  }
}

/** Checked trees (trees.ts) in as few bytes as they take; a negative child is −1 − a leaf. */
interface PackedTrees {
  readonly columns: Uint16Array
  readonly splits: Float32Array
  readonly left: Int32Array
  readonly right: Int32Array
  readonly leafTargets: Uint16Array
  readonly leafWeights: Float32Array
  readonly roots: Int32Array
}

function packed(trees: OnnxTrees): PackedTrees {
  const children = (of: Int32Array, isLeaf: Uint8Array) =>
    of.map((child, node) => (isLeaf[node] === 1 ? -1 - child : child))
  return {
    columns: Uint16Array.from(trees.columns),
    splits: trees.splits,
    left: children(trees.left, trees.leftLeaf),
    right: children(trees.right, trees.rightLeaf),
    leafTargets: Uint16Array.from(trees.leafTargets),
    leafWeights: trees.leafWeights,
    roots: trees.roots,
  }
}

function vote(trees: PackedTrees, row: Float32Array, out: Float32Array): void {
  const { columns, splits, left, right, leafTargets, leafWeights, roots } = trees
  out.fill(0)
  // By index: the iterator of a typed array costs more than the walk (measured).
  for (let k = 0; k < roots.length; k++) {
    let at = roots[k]!
    while (at >= 0) at = row[columns[at]!]! <= splits[at]! ? left[at]! : right[at]!
    out[leafTargets[-1 - at]!]! += leafWeights[-1 - at]!
  }
}
