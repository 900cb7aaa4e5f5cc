/**
 * Training rows of the paper's three baselines: single seconds, normalised, sparse [Paper V-A].
 * Seconds with the same row and class are merged with a weight: idle daemons repeat themselves, and
 * a weighted row gives the same optimum in a fraction of the time.
 */
import type { Normaliser } from '../../model/normalise.ts'
import type { ComponentVectors, Windows } from '../data/dataset.ts'

export interface Rows {
  readonly size: number
  readonly width: number
  readonly classes: number
  /** Row r is [offsets[r], offsets[r + 1]) of the two below. */
  readonly offsets: Uint32Array
  readonly columns: Uint16Array
  readonly values: Float32Array
  readonly labels: Int32Array
  /** Seconds that each row stands for. */
  readonly weights: Float32Array
}

/** A classifier of single seconds. */
export interface RowClassifier {
  /** Class of row r of `rows`. */
  predict(rows: Rows, r: number): number
}

/** The seconds of these windows, each second once. */
export function trainingRows(
  windows: Windows,
  vectors: ComponentVectors,
  normaliser: Normaliser,
  ids: Int32Array,
  labels: Int32Array,
  classes: number,
): Rows {
  const labelOf = new Map<number, number>()
  for (const id of ids)
    for (let t = 0; t < windows.frames; t++) {
      const vector = windows.rows[windows.list[id]!.at + t]!
      if (vector >= 0) labelOf.set(vector, labels[id]!)
    }
  const builder = new RowsBuilder(normaliser, vectors, classes)
  const seen = new Map<string, number>()
  for (const [vector, label] of labelOf) {
    const key = `${label}|${builder.keyOf(vector)}`
    const known = seen.get(key)
    if (known === undefined) seen.set(key, builder.add(vector, label))
    else builder.repeat(known)
  }
  return builder.end()
}

/** The seconds of these windows, unlabelled, and the row of each vector. */
export function testRows(
  windows: Windows,
  vectors: ComponentVectors,
  normaliser: Normaliser,
  ids: Int32Array,
  classes: number,
): { rows: Rows; rowOf: Int32Array } {
  const rowOf = new Int32Array(vectors.offsets.length - 1).fill(-1)
  const builder = new RowsBuilder(normaliser, vectors, classes)
  const seen = new Map<string, number>()
  for (const id of ids)
    for (let t = 0; t < windows.frames; t++) {
      const vector = windows.rows[windows.list[id]!.at + t]!
      if (vector < 0 || rowOf[vector]! >= 0) continue
      const key = builder.keyOf(vector)
      let row = seen.get(key)
      if (row === undefined) {
        row = builder.add(vector, -1)
        seen.set(key, row)
      }
      rowOf[vector] = row
    }
  return { rows: builder.end(), rowOf }
}

/** Majority vote over the active seconds of each window; ties go to the lower class. */
export function vote(
  classifier: RowClassifier,
  windows: Windows,
  ids: Int32Array,
  { rows, rowOf }: { rows: Rows; rowOf: Int32Array },
): Int32Array {
  const predicted = Int32Array.from({ length: rows.size }, (_, r) => classifier.predict(rows, r))
  const votes = new Uint16Array(rows.classes)
  return Int32Array.from(ids, (id) => {
    votes.fill(0)
    for (let t = 0; t < windows.frames; t++) {
      const vector = windows.rows[windows.list[id]!.at + t]!
      if (vector >= 0) votes[predicted[rowOf[vector]!]!]!++
    }
    let top = 0
    for (let c = 1; c < votes.length; c++) if (votes[c]! > votes[top]!) top = c
    return top
  })
}

class RowsBuilder {
  readonly #normaliser: Normaliser
  readonly #vectors: ComponentVectors
  readonly #classes: number
  readonly #dense: Float32Array
  readonly #offsets: number[] = [0]
  readonly #columns: number[] = []
  readonly #values: number[] = []
  readonly #labels: number[] = []
  readonly #weights: number[] = []

  constructor(normaliser: Normaliser, vectors: ComponentVectors, classes: number) {
    this.#normaliser = normaliser
    this.#vectors = vectors
    this.#classes = classes
    this.#dense = new Float32Array(normaliser.width)
  }

  keyOf(vector: number): string {
    const { offsets, components, counts } = this.#vectors
    const from = offsets[vector]!
    const to = offsets[vector + 1]!
    return `${components.subarray(from, to).join()}:${counts.subarray(from, to).join()}`
  }

  add(vector: number, label: number): number {
    const { offsets, components, counts } = this.#vectors
    this.#dense.fill(0)
    this.#normaliser.rowOfComponents(
      components,
      counts,
      offsets[vector]!,
      offsets[vector + 1]!,
      this.#dense,
      0,
    )
    for (const [column, value] of this.#dense.entries())
      if (value !== 0) {
        this.#columns.push(column)
        this.#values.push(value)
      }
    this.#offsets.push(this.#columns.length)
    this.#labels.push(label)
    this.#weights.push(1)
    return this.#labels.length - 1
  }

  repeat(row: number): void {
    this.#weights[row]!++
  }

  end(): Rows {
    return {
      size: this.#labels.length,
      width: this.#normaliser.width,
      classes: this.#classes,
      offsets: Uint32Array.from(this.#offsets),
      columns: Uint16Array.from(this.#columns),
      values: Float32Array.from(this.#values),
      labels: Int32Array.from(this.#labels),
      weights: Float32Array.from(this.#weights),
    }
  }
}
