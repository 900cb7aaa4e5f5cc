/**
 * Trees of the trainer and the same trees in ONNX, rows made in two ways, and what the mixture with
 * the net gives.
 */
import { describe, expect, test } from 'bun:test'
import { softmax } from '../../../src/model/classifier.ts'
import { importForest, LEAST_PROBABILITY, rowsOfWindows } from '../../../src/model/forest-graph.ts'
import { RECIPES } from '../../../src/model/recipe.ts'
import { troubleWithTrees } from '../../../src/model/trees.ts'
import { encodeOnnx, readOnnxFacts, treesNode } from '../../../src/platform/onnx/file.ts'
import { onnxRuntime } from '../../../src/platform/onnx/runtime.ts'
import type { OnnxTrees } from '../../../src/platform/onnx/trees.ts'
import { fitForest, type Tree } from '../../../src/train/forest/random-forest.ts'
import type { Rows } from '../../../src/train/forest/rows.ts'
import { movedTrees, onnxTrees } from '../../../src/train/forest/window-forest.ts'
import { exportNet } from '../../../src/train/net/export.ts'
import { initialParameters, type NetShape } from '../../../src/train/net/nets.ts'
import { Random } from '../../../src/train/random.ts'

async function run(onnx: Uint8Array, input: string, data: Float32Array, dims: number[]) {
  const runtime = await onnxRuntime()
  const session = await runtime.open(onnx)
  try {
    return await session.run({ [input]: runtime.tensor(data, dims) })
  } finally {
    await session.close()
  }
}

function votesGraph(trees: OnnxTrees, width: number): Uint8Array {
  return encodeOnnx({
    name: 'votes',
    inputs: [{ name: 'row', type: 'float32', dims: ['n', width] }],
    outputs: [{ name: 'votes', type: 'float32', dims: ['n', trees.targets] }],
    nodes: [treesNode(trees, 'row', 'votes')],
    constants: [],
  })
}

/** Rows of four columns whose class depends on all of them, more or less. */
function madeRows(size: number, random: Random): Rows {
  const offsets = [0]
  const columns: number[] = []
  const values: number[] = []
  const labels: number[] = []
  for (let r = 0; r < size; r++) {
    const row = Float32Array.from({ length: 4 }, () => (random.next() < 0.3 ? 0 : random.next()))
    for (const [c, value] of row.entries())
      if (value !== 0) {
        columns.push(c)
        values.push(value)
      }
    offsets.push(columns.length)
    labels.push((row[0]! > 0.5 ? 2 : 0) + (row[1]! + row[2]! > 0.7 + 0.2 * random.next() ? 1 : 0))
  }
  return {
    size,
    width: 4,
    classes: 4,
    offsets: Uint32Array.from(offsets),
    columns: Uint16Array.from(columns),
    values: Float32Array.from(values),
    labels: Int32Array.from(labels),
    weights: new Float32Array(size).fill(1),
  }
}

function dense(rows: Rows): Float32Array {
  const out = new Float32Array(rows.size * rows.width)
  for (let r = 0; r < rows.size; r++)
    for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
      out[r * rows.width + rows.columns[k]!] = rows.values[k]!
  return out
}

/**
 * Column 1 at 0.5: left is class 2; right asks column 0 at 0.25: left class 0, right class 1 (two
 * thirds of it).
 */
const byHand: Tree = {
  column: Int32Array.of(1, -1, 0, -1, -1),
  threshold: Float32Array.of(0.5, 0, 0.25, 0, 0),
  left: Int32Array.of(1, -1, 3, -1, -1),
  right: Int32Array.of(2, -1, 4, -1, -1),
  leaf: Int32Array.of(-1, 0, -1, 3, 6),
  shares: Float32Array.of(0, 0, 1, 1, 0, 0, 1 / 3, 2 / 3, 0),
}
/** A tree of one leaf, of class 1. */
const stump: Tree = {
  column: Int32Array.of(-1),
  threshold: Float32Array.of(0),
  left: Int32Array.of(-1),
  right: Int32Array.of(-1),
  leaf: Int32Array.of(0),
  shares: Float32Array.of(0, 1, 0),
}

describe('onnxTrees()', () => {
  test('votes as worked by hand, a tree of one leaf included', async () => {
    const trees = onnxTrees([byHand, stump], 3)
    expect(troubleWithTrees(trees, 2)).toBeUndefined()
    const rows = Float32Array.of(9, 0.5, 0.25, 0.6, 0.26, 0.6)
    const { votes } = await run(votesGraph(trees, 2), 'row', rows, [3, 2])
    // "Less or equal" goes left; the leaf of two classes votes for the commoner one.
    expect(Array.from(votes!.data as Float32Array)).toEqual([0, 0.5, 0.5, 0.5, 0.5, 0, 0, 1, 0])
  })

  test('gives in ONNX the class shares of a grown forest, row by row', async () => {
    const random = new Random(5)
    const forest = fitForest(madeRows(400, random), { trees: 12, seed: 3 })
    const trees = onnxTrees(forest.trees, 4)
    expect(troubleWithTrees(trees, 4)).toBeUndefined()
    const fresh = madeRows(300, random)
    const { votes } = await run(votesGraph(trees, 4), 'row', dense(fresh), [300, 4])
    const shares = votes!.data as Float32Array
    for (let r = 0; r < 300; r++) {
      // Every leaf is pure here, so that the vote is the share.
      const expected = forest.probabilities(fresh, r)
      for (let c = 0; c < 4; c++) expect(shares[r * 4 + c]!).toBeCloseTo(expected[c]!, 5)
    }
  })

  test('reads back from the file what was written, number by number', () => {
    const trees = onnxTrees(fitForest(madeRows(200, new Random(1)), { trees: 3, seed: 2 }).trees, 4)
    expect(readOnnxFacts(votesGraph(trees, 4)).trees).toEqual(trees)
  })

  test('movedTrees() asks the same of other columns', () => {
    const moved = movedTrees(onnxTrees([byHand], 3), [7, 4])
    expect(Array.from(moved.columns)).toEqual([4, 7])
    expect(Math.max(...moved.columns)).toBe(7)
  })
})

describe('fitForest()', () => {
  test('grows no leaf below leafMin, and nothing below depthMax', () => {
    const rows = madeRows(400, new Random(5))
    const whole = fitForest(rows, { trees: 4, seed: 3 })
    const coarse = fitForest(rows, { trees: 4, seed: 3, leafMin: 40 })
    expect(coarse.nodes).toBeLessThan(Math.min(20, whole.nodes))
    for (const { column } of fitForest(rows, { trees: 4, seed: 3, depthMax: 2 }).trees)
      expect(column.length).toBeLessThanOrEqual(7)
    for (const { column } of fitForest(rows, { trees: 2, seed: 3, leafMin: 201 }).trees)
      expect(Array.from(column)).toEqual([-1])
  })
})

const net: NetShape = { arch: 'bidirectional', width: 4, frames: 3, hidden: 2, classes: 3 }
const recipe = RECIPES['families-quiet']!
/** Two windows of three seconds: one has a silent second, one is silent. */
const sequences = Float32Array.of(
  ...[0.6, 0.8, 0, 1],
  ...[0, 0, 0, 0],
  ...[0, 0.8, 0.6, 0.5],
  ...new Array(12).fill(0),
)

test.each([
  ['families-quiet', [0.18, 0.64, 0.18, 0.625, 2 / 3]],
  ['frequency', [0.3, 0.8, 0.3, 0.75, 2 / 3]],
])(
  'rowsOfWindows() of %s takes the mean over active seconds, and their part of all',
  async (name, expected) => {
    const { nodes, constants } = rowsOfWindows(net, RECIPES[name]!)
    const graph = encodeOnnx({
      name: 'rows',
      inputs: [{ name: 'sequences', type: 'float32', dims: ['n', 3, 4] }],
      outputs: [{ name: 'row', type: 'float32', dims: ['n', 5] }],
      nodes,
      constants,
    })
    const { row } = await run(graph, 'sequences', sequences, [2, 3, 4])
    const values = row!.data as Float32Array
    for (const [i, value] of expected.entries()) expect(values[i]!).toBeCloseTo(value, 6)
    expect(Array.from(values.subarray(5))).toEqual([0, 0, 0, 0, 0])
  },
)

describe('exportNet() with a forest', () => {
  const trees = onnxTrees([byHand, stump], 3)
  const parameters = initialParameters(net, 4)
  const mixed = async (classes: number, known: number, weight: number) => {
    const shape = { ...net, classes }
    const own = initialParameters(shape, 4)
    // A readout that starts at zero says nothing.
    const numbers = Float32Array.from({ length: 4 * classes }, (_, i) => Math.sin(i + 1))
    const parts = { ...own, 'readout.weights': numbers }
    const forest = { trees, known, weight, temperature: 0.5 }
    const whole = exportNet(shape, parts, { forest, recipe })
    const alone = await run(exportNet(shape, parts), 'sequences', sequences, [2, 3, 4])
    const both = await run(whole, 'sequences', sequences, [2, 3, 4])
    const ofNet = (alone.logits!.data as Float32Array).slice()
    softmax(ofNet, 2, classes, 0.5)
    const mixture = (both.logits!.data as Float32Array).map(Math.exp)
    expect(both.state!.data).toEqual(alone.state!.data)
    return { ofNet, mixture, whole, forest }
  }
  // Row 0 has 0.64 in column 1 and 0.18 in column 0; row 1 is zeros.
  const votes = [
    [0.5, 0.5, 0],
    [0, 0.5, 0.5],
  ]

  test('mixes probabilities by the weight, and leaves the state alone', async () => {
    const { ofNet: p, mixture } = await mixed(3, 3, 0.65)
    for (const [r, shares] of votes.entries())
      for (let c = 0; c < 3; c++)
        expect(mixture[r * 3 + c]!).toBeCloseTo(0.65 * shares[c]! + 0.35 * p[r * 3 + c]!, 5)
  })

  test('leaves to classes that the forest does not know all that the net gives them', async () => {
    const { ofNet: p, mixture } = await mixed(5, 3, 0.65)
    for (const [r, shares] of votes.entries()) {
      const row = p.subarray(r * 5, r * 5 + 5)
      const mass = row[0]! + row[1]! + row[2]!
      for (let c = 0; c < 3; c++)
        expect(mixture[r * 5 + c]!).toBeCloseTo(0.65 * mass * shares[c]! + 0.35 * row[c]!, 5)
      for (const c of [3, 4]) expect(mixture[r * 5 + c]!).toBeCloseTo(row[c]!, 5)
      const sum = mixture.subarray(r * 5, r * 5 + 5).reduce((a, b) => a + b, 0)
      expect(sum).toBeCloseTo(1, 5)
    }
  })

  test('never says that something cannot be, so that its logarithm is a number', async () => {
    const certain = { ...parameters, 'readout.bias': Float32Array.of(500, 0, 0) }
    const forest = { trees, known: 3, weight: 0.9, temperature: 1 }
    const onnx = exportNet(net, certain, { forest, recipe })
    const { logits } = await run(onnx, 'sequences', sequences, [2, 3, 4])
    expect((logits!.data as Float32Array)[2]!).toBeCloseTo(Math.log(LEAST_PROBABILITY), 4)
  })

  test('importForest() reads it back, and finds none where there is none', async () => {
    const { whole, forest } = await mixed(5, 3, 0.65)
    expect(importForest(whole)).toEqual({
      ...forest,
      trees: { ...trees, targets: 5 },
      weight: Math.fround(0.65),
    })
    expect(importForest(exportNet(net, parameters))).toBeUndefined()
  })
})
