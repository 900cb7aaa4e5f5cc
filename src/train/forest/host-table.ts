/** Trees of the trainer as an agent runs them (model/host-trees.ts). */
import type { HostTreeTable } from '../../model/host-trees.ts'
import type { Tree } from './random-forest.ts'

/** Shares of a leaf below this are left out: they are one window in 255. */
const STEPS = 255

/** Flattens trees one by one, so that a grown tree's own arrays can go. */
export class HostTableBuilder {
  readonly #classes: number
  readonly #columns: number[] = []
  readonly #thresholds: number[] = []
  readonly #left: number[] = []
  readonly #right: number[] = []
  readonly #roots: number[] = []
  readonly #leaves: number[] = [0]
  readonly #leafClasses: number[] = []
  readonly #leafShares: number[] = []

  constructor(classes: number) {
    this.#classes = classes
  }

  /** Nodes so far. */
  get nodes(): number {
    return this.#columns.length
  }

  add(tree: Tree): void {
    // Node numbers of the table by those of the tree: parents come first, as the trainer numbers
    // them.
    const open: { node: number; hang: (at: number) => void }[] = [
      { node: 0, hang: (at) => this.#roots.push(at) },
    ]
    for (let work = open.pop(); work !== undefined; work = open.pop()) {
      const { node, hang } = work
      if (tree.column[node]! < 0) {
        hang(-1 - this.#leaf(tree, node))
        continue
      }
      const at = this.#columns.length
      this.#columns.push(tree.column[node]!)
      this.#thresholds.push(tree.threshold[node]!)
      this.#left.push(0)
      this.#right.push(0)
      hang(at)
      const left = (child: number) => {
        this.#left[at] = child
      }
      const right = (child: number) => {
        this.#right[at] = child
      }
      open.push({ node: tree.right[node]!, hang: right }, { node: tree.left[node]!, hang: left })
    }
  }

  end(): HostTreeTable {
    return {
      classes: this.#classes,
      columns: Uint16Array.from(this.#columns),
      thresholds: Float32Array.from(this.#thresholds),
      left: Int32Array.from(this.#left),
      right: Int32Array.from(this.#right),
      roots: Int32Array.from(this.#roots),
      leaves: Uint32Array.from(this.#leaves),
      leafClasses: Uint16Array.from(this.#leafClasses),
      leafShares: Uint8Array.from(this.#leafShares),
    }
  }

  #leaf({ leaf, shares }: Tree, node: number): number {
    const from = leaf[node]!
    const cells: { c: number; share: number }[] = []
    let top = { c: 0, share: -1 }
    let left = STEPS
    for (let c = 0; c < this.#classes; c++) {
      const share = Math.round(shares[from + c]! * STEPS)
      if (share === 0) continue
      const cell = { c, share }
      cells.push(cell)
      left -= share
      if (share > top.share) top = cell
    }
    // What rounding took or gave is the largest class's.
    top.share += left
    for (const { c, share } of cells) {
      this.#leafClasses.push(c)
      this.#leafShares.push(share)
    }
    return this.#leaves.push(this.#leafClasses.length) - 2
  }
}
