/**
 * Random forest [Paper V-A, 20]: trees on bootstrap draws, √d random columns at each node, Gini
 * impurity, grown until pure. Values are first put into at most 64 quantile bins, so that a node
 * sorts its rows by counting and costs two passes over them per column, however many classes there
 * are; a column that is constant in a node is not tried again below it. A threshold is the midpoint
 * between the two values it separates. The vote of the trees is the mean of their leaves' class
 * shares, as in scikit-learn.
 */
import { Random } from '../random.ts'
import type { RowClassifier, Rows } from './rows.ts'

export interface ForestOptions {
  readonly trees: number
  readonly seed: number
  /** Draws that a leaf holds at least; 1 grows until pure. */
  readonly leafMin?: number
  /** Nodes from the root to the farthest leaf. */
  readonly depthMax?: number
}

export const FOREST_DEFAULTS: ForestOptions = { trees: 100, seed: 1 }
const BINS = 64

export interface Tree {
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
  readonly trees: readonly Tree[]
  readonly #classes: number
  readonly #dense: Float32Array
  readonly #sum: Float64Array

  constructor(trees: readonly Tree[], width: number, classes: number) {
    this.trees = trees
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

  /** Nodes and leaves of a tree, in the mean: poorer splits need more of them. */
  get nodes(): number {
    return this.trees.reduce((sum, { column }) => sum + column.length, 0) / this.trees.length
  }

  /** Sums to 1; valid until the next call. */
  probabilities(rows: Rows, r: number): Float64Array {
    const from = rows.offsets[r]!
    const to = rows.offsets[r + 1]!
    for (let k = from; k < to; k++) this.#dense[rows.columns[k]!] = rows.values[k]!
    this.#sum.fill(0)
    for (const { column, threshold, left, right, leaf, shares } of this.trees) {
      let node = 0
      while (column[node]! >= 0)
        node = this.#dense[column[node]!]! <= threshold[node]! ? left[node]! : right[node]!
      const at = leaf[node]!
      for (let c = 0; c < this.#classes; c++) this.#sum[c]! += shares[at + c]! / this.trees.length
    }
    for (let k = from; k < to; k++) this.#dense[rows.columns[k]!] = 0
    return this.#sum
  }
}

export function fitForest(rows: Rows, options: ForestOptions = FOREST_DEFAULTS): RandomForest {
  const trees = Array.from(growTrees(rows, options), keptTree)
  return new RandomForest(trees, rows.width, rows.classes)
}

/** A tree of `growTrees` that stays as it is while the next ones grow. */
export function keptTree(tree: Tree): Tree {
  return { ...tree, shares: tree.shares.slice() }
}

/**
 * The trees of `fitForest` one by one, so that the caller can stop early. A tree's shares are valid
 * until the next one is asked for: `keptTree` copies them.
 */
export function* growTrees(rows: Rows, options: ForestOptions): Generator<Tree> {
  const random = new Random(options.seed)
  const binned = binsOf(rows)
  const rowOfSecond = secondsOf(rows)
  const room: Room = { shares: new Float32Array(1 << 14) }
  for (let tree = 0; tree < options.trees; tree++) {
    const draws = new Float64Array(rows.size)
    for (let i = 0; i < rowOfSecond.length; i++)
      draws[rowOfSecond[random.below(rowOfSecond.length)]!]!++
    yield new TreeBuilder(rows, binned, draws, random, room, options).build()
  }
}

/** Rows that were drawn at least once. */
function drawn(draws: Float64Array): Int32Array {
  const rows = new Int32Array(draws.length)
  let count = 0
  for (let r = 0; r < draws.length; r++) if (draws[r]! > 0) rows[count++] = r
  return rows.subarray(0, count)
}

/** The row of each second, so that a draw of one is a draw of the other. */
function secondsOf({ size, weights }: Rows): Uint32Array {
  const seconds: number[] = []
  for (let r = 0; r < size; r++) for (let k = 0; k < weights[r]!; k++) seconds.push(r)
  return Uint32Array.from(seconds)
}

/** Values put into bins by column. */
interface Binned {
  /** The bin of each value, column by column. */
  readonly bins: Uint8Array
  /** Greatest and least value in each bin of each column. */
  readonly highs: readonly Float32Array[]
  readonly lows: readonly Float32Array[]
}

/** The values of each column, with one zero. */
function columnsOf({ width, columns, values }: Rows): Float32Array[] {
  const sizes = new Uint32Array(width).fill(1)
  for (let k = 0; k < columns.length; k++) sizes[columns[k]!]!++
  const lists = Array.from(sizes, (size) => new Float32Array(size))
  for (let k = 0; k < columns.length; k++) {
    const column = columns[k]!
    lists[column]![--sizes[column]!] = values[k]!
  }
  return lists
}

function binsOf(rows: Rows): Binned {
  const highs = columnsOf(rows).map((sorted) => {
    sorted.sort()
    const different = sorted.filter((value, i) => i === 0 || value !== sorted[i - 1])
    if (different.length <= BINS) return different
    const ends = Array.from(
      { length: BINS },
      (_, b) => sorted[Math.floor(((b + 1) * (sorted.length - 1)) / BINS)]!,
    )
    ends.unshift(0)
    return Float32Array.from(new Set(ends.slice(0, BINS - 1).concat(sorted.at(-1)!))).sort()
  })
  // A row without a value in a column has a zero there, which belongs to the first bin.
  const lows = highs.map((high) => high.slice().fill(Number.POSITIVE_INFINITY).fill(0, 0, 1))
  const bins = new Uint8Array(rows.size * rows.width)
  for (let r = 0; r < rows.size; r++)
    for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) {
      const column = rows.columns[k]!
      const bin = find(highs[column]!, rows.values[k]!)
      bins[column * rows.size + r] = bin
      lows[column]![bin] = Math.min(lows[column]![bin]!, rows.values[k]!)
    }
  return { bins, highs, lows }
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

interface SplitAt {
  readonly column: number
  /** The last bin that goes left. */
  readonly bin: number
  readonly threshold: number
}

/** A node that is not split yet: its rows are [from, to) of the order. */
interface Work {
  readonly node: number
  readonly from: number
  readonly to: number
  readonly depth: number
}

/**
 * Where the shares of leaves are written, the same for all trees of a forest: a new one for each
 * tree left eight megabytes behind (150 classes).
 */
interface Room {
  shares: Float32Array
}

class TreeBuilder {
  readonly #rows: Rows
  readonly #binned: Binned
  readonly #draws: Float64Array
  readonly #random: Random
  readonly #leafMin: number
  readonly #depthMax: number
  readonly #order: Int32Array
  readonly #columns: Int32Array
  readonly #tried: number
  /**
   * What the columns tried at one node share: class, draws and bin of each of its rows, and its
   * class sums, both by the class's number in the node.
   */
  readonly #labelAt: Int32Array
  readonly #drawsAt: Float64Array
  readonly #binAt: Uint8Array
  readonly #totals: Float64Array
  /**
   * Classes that occur in the node, numbered from 0 in `#labelAt` and the sums: most nodes hold a
   * few of hundreds. `#numberOf` is −1 for the others.
   */
  readonly #numberOf: Int32Array
  readonly #classOf: Int32Array
  #present = 0
  /** Positions in the node, by bin; `#binEnd` is where each bin ends. */
  readonly #sorted: Int32Array
  readonly #binEnd = new Int32Array(BINS + 1)
  readonly #left: Float64Array
  readonly #right: Float64Array
  /** Columns that are constant here, and how deep the node stands that found it. */
  readonly #constant: Uint8Array
  readonly #constants: { column: number; depth: number }[] = []
  readonly #column: number[] = []
  readonly #threshold: number[] = []
  readonly #leftOf: number[] = []
  readonly #rightOf: number[] = []
  readonly #leaf: number[] = []
  readonly #room: Room
  #shareCount = 0

  constructor(
    rows: Rows,
    binned: Binned,
    draws: Float64Array,
    random: Random,
    room: Room,
    { leafMin = 1, depthMax = Number.POSITIVE_INFINITY }: ForestOptions,
  ) {
    this.#rows = rows
    this.#binned = binned
    this.#draws = draws
    this.#random = random
    this.#room = room
    this.#leafMin = leafMin
    this.#depthMax = depthMax
    this.#order = drawn(draws)
    this.#columns = Int32Array.from({ length: rows.width }, (_, column) => column)
    this.#tried = Math.max(1, Math.floor(Math.sqrt(rows.width)))
    this.#labelAt = new Int32Array(this.#order.length)
    this.#drawsAt = new Float64Array(this.#order.length)
    this.#binAt = new Uint8Array(this.#order.length)
    this.#sorted = new Int32Array(this.#order.length)
    this.#totals = new Float64Array(rows.classes)
    this.#numberOf = new Int32Array(rows.classes).fill(-1)
    this.#classOf = new Int32Array(rows.classes)
    this.#left = new Float64Array(rows.classes)
    this.#right = new Float64Array(rows.classes)
    this.#constant = new Uint8Array(rows.width)
  }

  build(): Tree {
    // An explicit stack: a tree may be deeper than the engine's call stack.
    const open: Work[] = [{ node: this.#node(), from: 0, to: this.#order.length, depth: 0 }]
    for (let work = open.pop(); work !== undefined; work = open.pop()) {
      const { node, from, to, depth } = work
      this.#forgetConstants(depth)
      const pure = this.#gather(from, to)
      const split = pure || depth >= this.#depthMax ? undefined : this.#bestSplit(from, to, depth)
      if (split === undefined) {
        this.#makeLeaf(node)
        continue
      }
      const middle = this.#partition(from, to, split)
      this.#column[node] = split.column
      this.#threshold[node] = split.threshold
      this.#leftOf[node] = this.#node()
      this.#rightOf[node] = this.#node()
      open.push(
        { node: this.#leftOf[node]!, from, to: middle, depth: depth + 1 },
        { node: this.#rightOf[node]!, from: middle, to, depth: depth + 1 },
      )
    }
    return {
      column: Int32Array.from(this.#column),
      threshold: Float32Array.from(this.#threshold),
      left: Int32Array.from(this.#leftOf),
      right: Int32Array.from(this.#rightOf),
      leaf: Int32Array.from(this.#leaf),
      shares: this.#room.shares.subarray(0, this.#shareCount),
    }
  }

  #node(): number {
    this.#threshold.push(0)
    this.#leftOf.push(-1)
    this.#rightOf.push(-1)
    this.#leaf.push(-1)
    return this.#column.push(-1) - 1
  }

  #makeLeaf(node: number): void {
    const totals = this.#totals
    const classes = totals.length
    let sum = 0
    for (let k = 0; k < this.#present; k++) sum += totals[k]!
    const end = this.#shareCount + classes
    if (end > this.#room.shares.length) {
      const grown = new Float32Array(2 * end)
      grown.set(this.#room.shares)
      this.#room.shares = grown
    }
    const { shares } = this.#room
    this.#leaf[node] = this.#shareCount
    shares.fill(0, this.#shareCount, end)
    for (let k = 0; k < this.#present; k++)
      shares[this.#shareCount + this.#classOf[k]!] = totals[k]! / sum
    this.#shareCount = end
  }

  /**
   * Constant columns found beside or below this depth apply to other rows; those found above it
   * apply here.
   */
  #forgetConstants(depth: number): void {
    for (let last = this.#constants.at(-1); last !== undefined; last = this.#constants.at(-1)) {
      if (last.depth < depth) return
      this.#constant[last.column] = 0
      this.#constants.pop()
    }
  }

  /** @returns whether all rows are of one class */
  #gather(from: number, to: number): boolean {
    const totals = this.#totals
    const numberOf = this.#numberOf
    let present = 0
    for (let i = from; i < to; i++) {
      const r = this.#order[i]!
      const label = this.#rows.labels[r]!
      let number = numberOf[label]!
      if (number < 0) {
        number = present++
        numberOf[label] = number
        this.#classOf[number] = label
        totals[number] = 0
      }
      this.#labelAt[i - from] = number
      this.#drawsAt[i - from] = this.#draws[r]!
      totals[number]! += this.#draws[r]!
    }
    for (let k = 0; k < present; k++) numberOf[this.#classOf[k]!] = -1
    this.#present = present
    return present < 2
  }

  /** The best of √d columns that vary here; more are looked at until one does. */
  #bestSplit(from: number, to: number, depth: number): SplitAt | undefined {
    let best: SplitAt | undefined
    let bestScore = Number.NEGATIVE_INFINITY
    for (let i = 0; i < this.#columns.length && (i < this.#tried || best === undefined); i++) {
      const j = i + this.#random.below(this.#columns.length - i)
      const column = this.#columns[j]!
      this.#columns[j] = this.#columns[i]!
      this.#columns[i] = column
      if (this.#constant[column] === 1) continue
      const found = this.#bestBin(column, from, to)
      if (found === undefined) {
        this.#constant[column] = 1
        this.#constants.push({ column, depth })
      } else if (found.score > bestScore) {
        bestScore = found.score
        best = found
      }
    }
    return best
  }

  /**
   * Undefined if the column is constant here, or every split would make a leaf that is too small.
   */
  #bestBin(column: number, from: number, to: number): (SplitAt & { score: number }) | undefined {
    const count = to - from
    const binAt = this.#binAt
    const base = column * this.#rows.size
    let low = BINS
    let high = 0
    for (let i = 0; i < count; i++) {
      const bin = this.#binned.bins[base + this.#order[from + i]!]!
      binAt[i] = bin
      if (bin < low) low = bin
      if (bin > high) high = bin
    }
    if (low === high) return undefined
    this.#sortByBin(count, low, high)
    const present = this.#present
    const left = this.#left.fill(0, 0, present)
    const right = this.#right
    let leftSum = 0
    let rightSum = 0
    let leftSquares = 0
    let rightSquares = 0
    for (let k = 0; k < present; k++) {
      const total = this.#totals[k]!
      right[k] = total
      rightSum += total
      rightSquares += total * total
    }
    let bestBin = -1
    let bestScore = Number.NEGATIVE_INFINITY
    let at = 0
    // Gini: the larger the sum of squares of both sides, each by its size, the purer they are.
    for (let bin = low; bin < high; bin++) {
      const end = this.#binEnd[bin]!
      if (at === end) continue
      for (; at < end; at++) {
        const i = this.#sorted[at]!
        const draws = this.#drawsAt[i]!
        const c = this.#labelAt[i]!
        leftSquares += draws * (2 * left[c]! + draws)
        rightSquares -= draws * (2 * right[c]! - draws)
        left[c]! += draws
        right[c]! -= draws
        leftSum += draws
        rightSum -= draws
      }
      if (leftSum < this.#leafMin || rightSum < this.#leafMin) continue
      const score = leftSquares / leftSum + rightSquares / rightSum
      if (score > bestScore) {
        bestScore = score
        bestBin = bin
      }
    }
    if (bestBin < 0) return undefined
    const threshold = this.#middle(column, bestBin)
    return { column, bin: bestBin, threshold, score: bestScore }
  }

  /** The middle between the greatest value that goes left and the least one here that does not. */
  #middle(column: number, bin: number): number {
    const left = this.#binned.highs[column]![bin]!
    let next = bin + 1
    while (this.#binEnd[next] === this.#binEnd[bin]) next++
    const right = this.#binned.lows[column]![next]!
    const middle = Math.fround((left + right) / 2)
    return middle < right ? middle : left
  }

  /**
   * Counting sort of the node's positions; leaves in `#binEnd` where each bin from `low` to `high`
   * ends.
   */
  #sortByBin(count: number, low: number, high: number): void {
    const binAt = this.#binAt
    const ends = this.#binEnd.fill(0, low, high + 1)
    for (let i = 0; i < count; i++) ends[binAt[i]!]!++
    let begin = 0
    for (let bin = low; bin <= high; bin++) {
      const size = ends[bin]!
      ends[bin] = begin
      begin += size
    }
    for (let i = 0; i < count; i++) this.#sorted[ends[binAt[i]!]!++] = i
  }

  #partition(from: number, to: number, { column, bin }: SplitAt): number {
    const base = column * this.#rows.size
    let end = to
    let at = from
    while (at < end) {
      const r = this.#order[at]!
      if (this.#binned.bins[base + r]! <= bin) at++
      else {
        end--
        this.#order[at] = this.#order[end]!
        this.#order[end] = r
      }
    }
    return end
  }
}
