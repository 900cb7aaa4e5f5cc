/**
 * The trees of a TreeEnsemble (ONNX operator set `ai.onnx.ml` 5) as plain arrays, and the one place that says which
 * of them may be run. A file may come from anywhere, and ONNX Runtime walks down from each root by recursion when it
 * loads and without a bound when it predicts, so: a child stands after its parent (no walk goes round), every
 * node and leaf has exactly one parent (nothing is visited twice), depth and numbers are bounded, every number is
 * finite, every index lies in its array.
 *
 * A leaf holds one class and its weight, which is all that the operator knows: each tree votes for the class that is most
 * common in its leaf.
 */
import { FOREST_DEPTH_MAX, FOREST_NODES_MAX, FOREST_TREES_MAX } from '../../domain/limits.ts'

export interface OnnxTrees {
  /** Classes that a leaf may name. */
  readonly targets: number
  /** Of each node: column, the greatest value that goes left, and where left and right lead. */
  readonly columns: Int32Array
  readonly splits: Float32Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** 1 where left or right leads to a leaf. */
  readonly leftLeaf: Uint8Array
  readonly rightLeaf: Uint8Array
  readonly leafTargets: Int32Array
  readonly leafWeights: Float32Array
  /** The first node of each tree. */
  readonly roots: Int32Array
}

/** Why these are no trees that may be run; undefined where they are. */
export function troubleWithTrees(trees: OnnxTrees): string | undefined {
  const { columns, splits, left, right, leftLeaf, rightLeaf, leafTargets, leafWeights } = trees
  const nodes = columns.length
  const leaves = leafTargets.length
  if (trees.roots.length === 0 || trees.roots.length > FOREST_TREES_MAX)
    return `${trees.roots.length} trees, 1 to ${FOREST_TREES_MAX} are allowed`
  if (nodes + leaves > FOREST_NODES_MAX)
    return `${nodes + leaves} nodes and leaves, at most ${FOREST_NODES_MAX} are allowed`
  for (const list of [splits, left, right, leftLeaf, rightLeaf])
    if (list.length !== nodes) return `lists of ${nodes} and ${list.length} nodes`
  if (leafWeights.length !== leaves) return `lists of ${leaves} and ${leafWeights.length} leaves`
  const depth = new Uint16Array(nodes)
  const leafSeen = new Uint8Array(leaves)
  const below = (node: number, side: Int32Array, marks: Uint8Array): string | undefined => {
    const child = side[node]!
    if (marks[node]! > 1) return `a mark of leaves that is ${marks[node]}`
    if (marks[node] === 1) {
      if (!(child >= 0 && child < leaves)) return `a leaf ${child} of ${leaves}`
      if (leafSeen[child] === 1) return 'a leaf with two parents'
      leafSeen[child] = 1
      return undefined
    }
    if (!(child > node && child < nodes)) return `a node ${child} below node ${node} of ${nodes}`
    if (depth[child] !== 0) return 'a node with two parents'
    if (depth[node]! >= FOREST_DEPTH_MAX) return `a tree deeper than ${FOREST_DEPTH_MAX} nodes`
    depth[child] = depth[node]! + 1
    return undefined
  }
  for (const root of trees.roots) {
    if (!(root >= 0 && root < nodes)) return `a tree that begins at node ${root} of ${nodes}`
    if (depth[root] !== 0) return 'a node with two parents'
    depth[root] = 1
  }
  for (let node = 0; node < nodes; node++) {
    if (depth[node] === 0) return 'a node that comes before its parent or has none'
    if (columns[node]! < 0) return `a column ${columns[node]}`
    if (!Number.isFinite(splits[node])) return 'a split that is no finite number'
    const trouble = below(node, left, leftLeaf) ?? below(node, right, rightLeaf)
    if (trouble !== undefined) return trouble
  }
  for (let leaf = 0; leaf < leaves; leaf++) {
    if (leafSeen[leaf] === 0) return 'a leaf without a parent'
    if (!(leafTargets[leaf]! >= 0 && leafTargets[leaf]! < trees.targets))
      return `a class ${leafTargets[leaf]} of ${trees.targets}`
    if (!Number.isFinite(leafWeights[leaf])) return 'a weight that is no finite number'
  }
  return undefined
}

/** The greatest column that any node asks for. */
export function columnMax({ columns }: OnnxTrees): number {
  let max = -1
  for (const column of columns) if (column > max) max = column
  return max
}
