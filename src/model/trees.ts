/**
 * Which trees of a model file may be run. The file may come from anywhere, and ONNX Runtime walks
 * each tree recursively when it loads and without a bound when it predicts. Therefore a child
 * stands after its parent (no cycle), every node and leaf has exactly one parent (nothing is
 * visited twice), depth and sizes are bounded, every number is finite and every index lies in its
 * array.
 *
 * A leaf holds one class and its weight: each tree votes for the class that is most common in its
 * leaf.
 */
import { FOREST_DEPTH_MAX, FOREST_NODES_MAX, FOREST_TREES_MAX } from '../domain/limits.ts'
import type { OnnxTrees } from '../platform/onnx/trees.ts'

/**
 * Why these trees must not be run; undefined where they may. @param columnCount numbers in a row
 */
export function troubleWithTrees(trees: OnnxTrees, columnCount: number): string | undefined {
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
    if (!(columns[node]! >= 0 && columns[node]! < columnCount))
      return `a column ${columns[node]} of ${columnCount}`
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
