/**
 * The trees of a TreeEnsemble (ONNX operator set `ai.onnx.ml` 5) as plain arrays. `model/trees.ts`
 * decides which may be run.
 */
export interface OnnxTrees {
  /** Classes that a leaf may name. */
  readonly targets: number
  /** Of each node: column, the greatest value that goes left, and the left and right child. */
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
