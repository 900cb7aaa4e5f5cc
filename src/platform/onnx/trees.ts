/**
 * The trees of a TreeEnsemble (ONNX operator set `ai.onnx.ml` 5) as plain arrays, as a file holds them. Which of them
 * may be run is the model's rule (`model/trees.ts`).
 */
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
