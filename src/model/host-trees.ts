/**
 * A random forest grown on a host's own windows (train/adapt.ts), as it runs beside the shared net:
 * plain loops over flat arrays, a few hundred nanoseconds a tree and window. A leaf holds the
 * shares of its classes, in steps of 1/255.
 *
 * Written as JSON with base64 columns inside an adaptation; read back with every index checked, as
 * it comes from a disk.
 */
import { FOREST_NODES_MAX, MODEL_CLASSES_MAX } from '../domain/limits.ts'

export interface HostTreeTable {
  /** Classes that leaves vote for. */
  readonly classes: number
  /** Column asked in each node. */
  readonly columns: Uint16Array
  /** Greatest value that goes left. */
  readonly thresholds: Float32Array
  /** Children: a node's number, or −1 − a leaf's. A child stands behind its parent. */
  readonly left: Int32Array
  readonly right: Int32Array
  /** First node of each tree. */
  readonly roots: Int32Array
  /** Leaf l holds shares [leaves[l], leaves[l + 1]) of the two below. */
  readonly leaves: Uint32Array
  readonly leafClasses: Uint16Array
  readonly leafShares: Uint8Array
}

const COLUMNS = {
  columns: Uint16Array,
  thresholds: Float32Array,
  left: Int32Array,
  right: Int32Array,
  roots: Int32Array,
  leaves: Uint32Array,
  leafClasses: Uint16Array,
  leafShares: Uint8Array,
} as const

/** Adds up the trees' votes on a dense row; `out` sums to 1. */
export function vote(table: HostTreeTable, row: Float32Array, out: Float32Array): void {
  const { columns, thresholds, left, right, roots, leaves, leafClasses, leafShares } = table
  out.fill(0)
  const part = 1 / (255 * roots.length)
  // By index: the iterator of a typed array costs more than the walk (measured).
  for (let tree = 0; tree < roots.length; tree++) {
    let at = roots[tree]!
    while (at >= 0) at = row[columns[at]!]! <= thresholds[at]! ? left[at]! : right[at]!
    const leaf = -1 - at
    for (let k = leaves[leaf]!; k < leaves[leaf + 1]!; k++)
      out[leafClasses[k]!]! += leafShares[k]! * part
  }
}

export function writeTrees(table: HostTreeTable): Record<string, unknown> {
  const written: Record<string, unknown> = { classes: table.classes }
  for (const name of Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]) {
    const { buffer, byteOffset, byteLength } = table[name]
    written[name] = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64')
  }
  return written
}

/** Undefined where it is not such a table, for rows of `width` numbers. */
export function readTrees(written: unknown, width: number): HostTreeTable | undefined {
  if (typeof written !== 'object' || written === null) return undefined
  const root = written as Record<string, unknown>
  const { classes } = root
  if (!Number.isInteger(classes) || (classes as number) < 1) return undefined
  if ((classes as number) > MODEL_CLASSES_MAX) return undefined
  const read: Record<string, unknown> = { classes }
  for (const [name, Column] of Object.entries(COLUMNS)) {
    const text = root[name]
    if (typeof text !== 'string' || text.length > 8 * FOREST_NODES_MAX) return undefined
    const bytes = Uint8Array.from(Buffer.from(text, 'base64'))
    if (bytes.length % Column.BYTES_PER_ELEMENT !== 0) return undefined
    read[name] = new Column(bytes.buffer)
  }
  const table = read as unknown as HostTreeTable
  return isWhole(table, width) ? table : undefined
}

function isWhole(table: HostTreeTable, width: number): boolean {
  const { classes, columns, thresholds, left, right, roots, leaves } = table
  const { leafClasses, leafShares } = table
  const nodes = columns.length
  const leafCount = leaves.length - 1
  if (roots.length === 0 || nodes > FOREST_NODES_MAX || leafCount < 1) return false
  if (thresholds.length !== nodes || left.length !== nodes || right.length !== nodes) return false
  const isBehind = (child: number, node: number) =>
    child < 0 ? -1 - child < leafCount : child > node && child < nodes
  for (let node = 0; node < nodes; node++) {
    if (columns[node]! >= width || !Number.isFinite(thresholds[node]!)) return false
    if (!isBehind(left[node]!, node) || !isBehind(right[node]!, node)) return false
  }
  if (!roots.every((root) => isBehind(root, -1))) return false
  if (leaves[0] !== 0 || leaves[leafCount] !== leafClasses.length) return false
  for (let leaf = 0; leaf < leafCount; leaf++) if (leaves[leaf]! > leaves[leaf + 1]!) return false
  return leafShares.length === leafClasses.length && leafClasses.every((c) => c < classes)
}
