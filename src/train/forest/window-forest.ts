/**
 * The forest beside the net. Its features are those of the net without their order: the mean of
 * each share over the active seconds, and the share of active seconds. A net and a forest err on
 * different classes, so together they are better than either
 * (docs/decisions/032-forest-beside-the-net.md).
 *
 * Grown on a bounded number of windows of each class, balanced over its recordings: each window
 * once unchanged and once augmented like those of the net (batches.ts). The rows are computed by
 * the same ONNX nodes that compute them on a host, so that no threshold lies between two roundings
 * of the same number.
 *
 * A tree votes for the most common class of its leaf, which is all that the ONNX operator supports.
 */
import { FOREST_DEPTH_MAX, FOREST_NODES_MAX, FOREST_WINDOWS_MAX } from '../../domain/limits.ts'
import { rowsOfWindows } from '../../model/forest-graph.ts'
import type { Recipe } from '../../model/recipe.ts'
import { collectEvery } from '../../platform/heap.ts'
import { encodeOnnx } from '../../platform/onnx/file.ts'
import { type OnnxRuntime, type OnnxSession, onnxRuntime } from '../../platform/onnx/runtime.ts'
import type { OnnxTrees } from '../../platform/onnx/trees.ts'
import { type Augmentation, Batches } from '../data/batches.ts'
import { drawEpoch, type FitData } from '../net/fit.ts'
import type { NetShape } from '../net/nets.ts'
import { Random } from '../random.ts'
import { growTrees, keptTree, type Tree } from './random-forest.ts'
import type { Rows } from './rows.ts'

export interface WindowForestOptions {
  readonly trees: number
  /** Share of the forest in the mixture with the net. */
  readonly weight: number
  readonly perClass: number
  /** Windows that a leaf stands for at least. */
  readonly leafMin: number
  /** Each window once more, varied so. */
  readonly augmentation: Augmentation | undefined
}

/**
 * Below one half the forest cannot outvote a confident net. Measured on a test host: at 0.6 the
 * forest of one of two seeds predicted up to 46 % of gunicorn's windows as postgres, which the net
 * was confident they were not; at 0.45 and 0.5 recall stays at 0.99.
 */
export const WINDOW_FOREST_DEFAULTS: Omit<WindowForestOptions, 'trees'> = {
  weight: 0.45,
  perClass: 1_000,
  leafMin: 8,
  augmentation: { share: 1, scaleSpread: 0.7, dropCall: 0.03, quietMax: 8 },
}

const PART = 256

/** Undefined if it was stopped before the first tree was grown. */
export async function fitWindowForest(
  net: NetShape,
  recipe: Recipe,
  data: FitData,
  options: WindowForestOptions,
  seed: number,
  signal?: AbortSignal,
): Promise<OnnxTrees | undefined> {
  const random = new Random(seed)
  const perClassMax = Math.min(options.perClass, Math.floor(FOREST_WINDOWS_MAX / net.classes))
  const ids = drawEpoch(data, { perClassMin: 0, perClassMax, repeatMax: 1 }, random)
  const maker = await RowMaker.open(net, recipe, data)
  const rows = await maker.rows(ids, options.augmentation, random).finally(() => maker.close())
  const trees: Tree[] = []
  let nodes = 0
  for (const tree of growTrees(rows, {
    trees: options.trees,
    seed,
    leafMin: options.leafMin,
    depthMax: FOREST_DEPTH_MAX,
  })) {
    nodes += tree.column.length + 2
    if (nodes > FOREST_NODES_MAX) break
    trees.push(keptTree(tree))
    // A tree takes some tenths of a second: yields so that Ctrl-C is handled.
    await new Promise((resolve) => setImmediate(resolve))
    if (signal?.aborted) break
  }
  return signal?.aborted && trees.length === 0 ? undefined : onnxTrees(trees, net.classes)
}

/** Trees in ONNX's layout: separate lists of nodes and leaves, children after their parents. */
export function onnxTrees(trees: readonly Tree[], classes: number): OnnxTrees {
  const columns: number[] = []
  const splits: number[] = []
  const below: [number[], number[]] = [[], []]
  const isLeaf: [number[], number[]] = [[], []]
  const leafTargets: number[] = []
  const roots: number[] = []
  for (const tree of trees) {
    const split = (column: number, threshold: number) => {
      splits.push(threshold)
      for (const lists of [below, isLeaf]) for (const list of lists) list.push(0)
      return columns.push(column) - 1
    }
    const leaf = (node: number) => leafTargets.push(mostCommon(tree, node, classes)) - 1
    const hang = (parent: number, side: 0 | 1, child: number, leafward: boolean) => {
      below[side][parent] = child
      isLeaf[side][parent] = leafward ? 1 : 0
    }
    const place = (node: number) => split(tree.column[node]!, tree.threshold[node]!)
    if (tree.column[0]! < 0) {
      // A tree of one leaf gets a node with the leaf on both sides.
      const root = split(0, 0)
      roots.push(root)
      for (const side of [0, 1] as const) hang(root, side, leaf(0), true)
      continue
    }
    const open = [{ node: 0, at: place(0) }]
    roots.push(open[0]!.at)
    for (let work = open.pop(); work !== undefined; work = open.pop())
      for (const side of [0, 1] as const) {
        const child = (side === 0 ? tree.left : tree.right)[work.node]!
        if (tree.column[child]! < 0) hang(work.at, side, leaf(child), true)
        else {
          const at = place(child)
          hang(work.at, side, at, false)
          open.push({ node: child, at })
        }
      }
  }
  return {
    targets: classes,
    columns: Int32Array.from(columns),
    splits: Float32Array.from(splits),
    left: Int32Array.from(below[0]),
    right: Int32Array.from(below[1]),
    leftLeaf: Uint8Array.from(isLeaf[0]),
    rightLeaf: Uint8Array.from(isLeaf[1]),
    leafTargets: Int32Array.from(leafTargets),
    leafWeights: new Float32Array(leafTargets.length).fill(1 / trees.length),
    roots: Int32Array.from(roots),
  }
}

/** Ties go to the lower class. */
function mostCommon({ leaf, shares }: Tree, node: number, classes: number): number {
  const at = leaf[node]!
  let top = 0
  for (let c = 1; c < classes; c++) if (shares[at + c]! > shares[at + top]!) top = c
  return top
}

/** The same trees over other columns: `to[c]` is where column c stands now. */
export function movedTrees(trees: OnnxTrees, to: ArrayLike<number>): OnnxTrees {
  return { ...trees, columns: trees.columns.map((column) => to[column]!) }
}

/** Computes rows of windows by the same nodes as on a host. */
class RowMaker {
  readonly #net: NetShape
  readonly #data: FitData
  readonly #batches: Batches
  readonly #runtime: OnnxRuntime
  readonly #session: OnnxSession
  readonly #offsets: number[] = [0]
  /** In parts: a hundred thousand windows at once would need many times their size. */
  readonly #columns: Uint16Array[] = []
  readonly #values: Float32Array[] = []
  #length = 0

  private constructor(net: NetShape, data: FitData, runtime: OnnxRuntime, session: OnnxSession) {
    this.#net = net
    this.#data = data
    this.#batches = new Batches(data.windows, data.vectors, data.normaliser)
    this.#runtime = runtime
    this.#session = session
  }

  static async open(net: NetShape, recipe: Recipe, data: FitData): Promise<RowMaker> {
    const { nodes, constants } = rowsOfWindows(net, recipe)
    const runtime = await onnxRuntime()
    const session = await runtime.open(
      encodeOnnx({
        name: 'rows',
        inputs: [{ name: 'sequences', type: 'float32', dims: ['n', net.frames, net.width] }],
        outputs: [{ name: 'row', type: 'float32', dims: ['n', net.width + 1] }],
        nodes,
        constants,
      }),
    )
    return new RowMaker(net, data, runtime, session)
  }

  async rows(ids: Int32Array, vary: Augmentation | undefined, random: Random): Promise<Rows> {
    await this.#add(ids)
    if (vary !== undefined) await this.#add(ids, vary, random)
    const size = this.#offsets.length - 1
    return {
      size,
      width: this.#net.width + 1,
      classes: this.#net.classes,
      offsets: Uint32Array.from(this.#offsets),
      columns: joined(new Uint16Array(this.#length), this.#columns),
      values: joined(new Float32Array(this.#length), this.#values),
      labels: Int32Array.from({ length: size }, (_, i) => this.#data.labels[ids[i % ids.length]!]!),
      weights: new Float32Array(size).fill(1),
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  async #add(ids: Int32Array, vary?: Augmentation, random?: Random): Promise<void> {
    const { frames, width } = this.#net
    const buffer = new Float32Array(PART * frames * width)
    const collect = collectEvery(24)
    for (let from = 0; from < ids.length; from += PART) {
      const part = ids.subarray(from, from + PART)
      const dense = buffer.subarray(0, part.length * frames * width)
      this.#batches.sequences(part, dense, vary, random)
      const sequences = this.#runtime.tensor(dense, [part.length, frames, width])
      const { row } = await this.#session.run({ sequences })
      const made = row!.data as Float32Array
      const columns = new Uint16Array(made.length)
      const values = new Float32Array(made.length)
      let length = 0
      for (let at = 0; at < made.length; at += width + 1) {
        for (let c = 0; c <= width; c++)
          if (made[at + c] !== 0) {
            columns[length] = c
            values[length++] = made[at + c]!
          }
        this.#offsets.push(this.#length + length)
      }
      this.#columns.push(columns.slice(0, length))
      this.#values.push(values.slice(0, length))
      this.#length += length
      collect()
    }
  }
}

function joined<T extends Uint16Array | Float32Array>(whole: T, parts: readonly T[]): T {
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
