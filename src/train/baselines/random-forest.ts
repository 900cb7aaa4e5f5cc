/**
 * Random forest [Paper V-A, 20]: trees on bootstrap draws, √d random columns at each node, Gini impurity,
 * grown until pure. Values are put into at most 64 bins by quantile first, so that a node costs one pass over
 * its rows per column; the vote of the trees is the mean of their leaves' class shares, as in scikit-learn.
 */
import { Random } from '../random.ts'
import type { RowClassifier, Rows } from './rows.ts'

export interface ForestOptions {
  readonly trees: number
  readonly seed: number
}

export const FOREST_DEFAULTS: ForestOptions = { trees: 100, seed: 1 }
const BINS = 64

interface Tree {
  /** Column of each node, −1 in a leaf. */
  readonly column: Int32Array
  /** Greatest value that goes left. */
  readonly threshold: Float32Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** First of the leaf's class shares in `shares`, −1 in a node. */
  readonly leaf: Int32Array
  readonly shares: Float32Array
}

export class RandomForest implements RowClassifier {
  readonly #trees: readonly Tree[]
  readonly #classes: number
  readonly #dense: Float32Array
  readonly #sum: Float64Array

  constructor(trees: readonly Tree[], width: number, classes: number) {
    this.#trees = trees
    this.#classes = classes
    this.#dense = new Float32Array(width)
    this.#sum = new Float64Array(classes)
  }

  predict(rows: Rows, r: number): number {
    const sum = this.probabilities(rows, r)
    let top = 0
    for (let c = 1; c < this.#classes; c++) if (sum[c]! > sum[top]!) top = c
    return top
  }

  /** Sums to 1; valid until the next call. */
  probabilities(rows: Rows, r: number): Float64Array {
    const from = rows.offsets[r]!
    const to = rows.offsets[r + 1]!
    for (let k = from; k < to; k++) this.#dense[rows.columns[k]!] = rows.values[k]!
    this.#sum.fill(0)
    for (const { column, threshold, left, right, leaf, shares } of this.#trees) {
      let node = 0
      while (column[node]! >= 0)
        node = this.#dense[column[node]!]! <= threshold[node]! ? left[node]! : right[node]!
      const at = leaf[node]!
      for (let c = 0; c < this.#classes; c++) this.#sum[c]! += shares[at + c]! / this.#trees.length
    }
    for (let k = from; k < to; k++) this.#dense[rows.columns[k]!] = 0
    return this.#sum
  }
}

export function fitForest(rows: Rows, options: ForestOptions = FOREST_DEFAULTS): RandomForest {
  const random = new Random(options.seed)
  const { bins, cuts } = binned(rows)
  const cumulative = new Float64Array(rows.size)
  let total = 0
  for (let r = 0; r < rows.size; r++) {
    total += rows.weights[r]!
    cumulative[r] = total
  }
  const trees = Array.from({ length: options.trees }, () => {
    const draws = new Float32Array(rows.size)
    for (let i = 0; i < total; i++) draws[find(cumulative, random.next() * total)]!++
    return new TreeBuilder(rows, bins, cuts, draws, random).build()
  })
  return new RandomForest(trees, rows.width, rows.classes)
}

/** Each value as the number of its bin, and the upper ends of the bins of each column. */
function binned(rows: Rows): { bins: Uint8Array; cuts: Float32Array[] } {
  const values: number[][] = Array.from({ length: rows.width }, () => [0])
  for (let k = 0; k < rows.columns.length; k++) values[rows.columns[k]!]!.push(rows.values[k]!)
  const cuts = values.map((list) => {
    const different = Float32Array.from(new Set(list)).sort()
    if (different.length <= BINS) return different
    const sorted = Float32Array.from(list).sort()
    const ends = Array.from(
      { length: BINS },
      (_, b) => sorted[Math.floor(((b + 1) * (sorted.length - 1)) / BINS)]!,
    )
    ends.unshift(0)
    return Float32Array.from(new Set(ends.slice(0, BINS - 1).concat(sorted.at(-1)!))).sort()
  })
  const bins = new Uint8Array(rows.size * rows.width)
  for (let r = 0; r < rows.size; r++)
    for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) {
      const column = rows.columns[k]!
      bins[r * rows.width + column] = find(cuts[column]!, rows.values[k]!)
    }
  return { bins, cuts }
}

/** Index of the first number that is not below `value`. */
function find(sorted: Float32Array | Float64Array, value: number): number {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

class TreeBuilder {
  readonly #rows: Rows
  readonly #bins: Uint8Array
  readonly #cuts: readonly Float32Array[]
  readonly #draws: Float32Array
  readonly #random: Random
  readonly #order: Int32Array
  readonly #columns: Int32Array
  readonly #tried: number
  readonly #histogram: Float64Array
  readonly #left: Float64Array
  readonly #column: number[] = []
  readonly #threshold: number[] = []
  readonly #leftOf: number[] = []
  readonly #rightOf: number[] = []
  readonly #leaf: number[] = []
  readonly #shares: number[] = []

  constructor(
    rows: Rows,
    bins: Uint8Array,
    cuts: readonly Float32Array[],
    draws: Float32Array,
    random: Random,
  ) {
    this.#rows = rows
    this.#bins = bins
    this.#cuts = cuts
    this.#draws = draws
    this.#random = random
    this.#order = Int32Array.from(draws.keys()).filter((r) => draws[r]! > 0)
    this.#columns = Int32Array.from({ length: rows.width }, (_, column) => column)
    this.#tried = Math.max(1, Math.floor(Math.sqrt(rows.width)))
    this.#histogram = new Float64Array(BINS * rows.classes)
    this.#left = new Float64Array(rows.classes)
  }

  build(): Tree {
    // A stack of its own: a tree may be deeper than the engine's.
    const open = [{ node: this.#node(), from: 0, to: this.#order.length }]
    for (let work = open.pop(); work !== undefined; work = open.pop()) {
      const { node, from, to } = work
      const totals = this.#totals(from, to)
      const split = this.#bestSplit(from, to, totals)
      if (split === undefined) {
        this.#makeLeaf(node, totals)
        continue
      }
      const middle = this.#partition(from, to, split)
      this.#column[node] = split.column
      this.#threshold[node] = this.#cuts[split.column]![split.bin]!
      this.#leftOf[node] = this.#node()
      this.#rightOf[node] = this.#node()
      open.push(
        { node: this.#leftOf[node]!, from, to: middle },
        { node: this.#rightOf[node]!, from: middle, to },
      )
    }
    return {
      column: Int32Array.from(this.#column),
      threshold: Float32Array.from(this.#threshold),
      left: Int32Array.from(this.#leftOf),
      right: Int32Array.from(this.#rightOf),
      leaf: Int32Array.from(this.#leaf),
      shares: Float32Array.from(this.#shares),
    }
  }

  #node(): number {
    this.#threshold.push(0)
    this.#leftOf.push(-1)
    this.#rightOf.push(-1)
    this.#leaf.push(-1)
    return this.#column.push(-1) - 1
  }

  #makeLeaf(node: number, totals: Float64Array): void {
    const sum = totals.reduce((a, b) => a + b, 0)
    this.#leaf[node] = this.#shares.length
    for (const total of totals) this.#shares.push(total / sum)
  }

  #totals(from: number, to: number): Float64Array {
    const totals = new Float64Array(this.#rows.classes)
    for (let i = from; i < to; i++)
      totals[this.#rows.labels[this.#order[i]!]!]! += this.#draws[this.#order[i]!]!
    return totals
  }

  /** The best of √d columns that vary here; more are looked at until one does. */
  #bestSplit(
    from: number,
    to: number,
    totals: Float64Array,
  ): { column: number; bin: number } | undefined {
    if (to - from < 2 || totals.filter((total) => total > 0).length < 2) return undefined
    let best: { column: number; bin: number } | undefined
    let bestScore = Number.NEGATIVE_INFINITY
    for (let i = 0; i < this.#columns.length && (i < this.#tried || best === undefined); i++) {
      const j = i + this.#random.below(this.#columns.length - i)
      const column = this.#columns[j]!
      this.#columns[j] = this.#columns[i]!
      this.#columns[i] = column
      const found = this.#bestBin(column, from, to, totals)
      if (found !== undefined && found.score > bestScore) {
        bestScore = found.score
        best = { column, bin: found.bin }
      }
    }
    return best
  }

  #bestBin(
    column: number,
    from: number,
    to: number,
    totals: Float64Array,
  ): { bin: number; score: number } | undefined {
    const { classes, width, labels } = this.#rows
    const bins = this.#cuts[column]!.length
    if (bins < 2) return undefined
    const histogram = this.#histogram.fill(0, 0, bins * classes)
    let low = bins
    let high = 0
    for (let i = from; i < to; i++) {
      const r = this.#order[i]!
      const bin = this.#bins[r * width + column]!
      if (bin < low) low = bin
      if (bin > high) high = bin
      histogram[bin * classes + labels[r]!]! += this.#draws[r]!
    }
    if (low === high) return undefined
    const left = this.#left.fill(0)
    let leftSum = 0
    let all = 0
    for (const total of totals) all += total
    let best: { bin: number; score: number } | undefined
    // Gini: the larger the sum of squares of both sides, each by its size, the purer they are.
    for (let bin = low; bin < high; bin++) {
      let changed = false
      for (let c = 0; c < classes; c++) {
        const count = histogram[bin * classes + c]!
        if (count === 0) continue
        left[c]! += count
        leftSum += count
        changed = true
      }
      if (!changed) continue
      let leftSquares = 0
      let rightSquares = 0
      for (let c = 0; c < classes; c++) {
        leftSquares += left[c]! ** 2
        rightSquares += (totals[c]! - left[c]!) ** 2
      }
      const score = leftSquares / leftSum + rightSquares / (all - leftSum)
      if (best === undefined || score > best.score) best = { bin, score }
    }
    return best
  }

  #partition(from: number, to: number, { column, bin }: { column: number; bin: number }): number {
    let end = to
    let at = from
    while (at < end) {
      const r = this.#order[at]!
      if (this.#bins[r * this.#rows.width + column]! <= bin) at++
      else {
        end--
        this.#order[at] = this.#order[end]!
        this.#order[end] = r
      }
    }
    return end
  }
}
