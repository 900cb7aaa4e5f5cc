/**
 * Rows that travel with a model (model/row-set.ts): windows of each malicious behaviour and a few of each ordinary class, from
 * what trained it, so that a host can tell its own life from them without anyone's recordings.
 */
import { hostRowWidth, writeHostRow } from '../../model/host-rows.ts'
import type { ManifestClass } from '../../model/manifest.ts'
import type { Normaliser } from '../../model/normalise.ts'
import { type RowSet, type SparseRow, sparseRow, spread } from '../../model/row-set.ts'
import type { Batches } from './batches.ts'
import type { Windows } from './dataset.ts'

/** Rows of a class: many where many programs share it. */
const BEHAVIOUR_ROWS = 280
const SHARED_ROWS = 100
const PROGRAM_ROWS = 12

export function referenceRows(
  windows: Windows,
  batches: Batches,
  { width: rowWidth }: Pick<Normaliser, 'width'>,
  ids: Int32Array,
  labels: Int32Array,
  classes: readonly ManifestClass[],
): RowSet {
  const byClass: number[][] = classes.map(() => [])
  for (const id of ids) byClass[labels[id]!]?.push(id)
  const width = hostRowWidth(rowWidth)
  const { frames } = windows
  const dense = new Float32Array(width)
  const sequences = new Float32Array(frames * rowWidth)
  const rowOf = (id: number): SparseRow => {
    batches.sequences([id], sequences)
    writeHostRow({ rows: sequences, calls: callsOf(windows, id) }, 0, frames, rowWidth, dense)
    return sparseRow(dense)
  }
  return {
    width,
    rows: new Map(
      classes.map((entry, c) => [entry.name, spread(byClass[c]!, rowsMax(entry)).map(rowOf)]),
    ),
  }
}

function rowsMax({ malicious, behaviour, background, generic }: ManifestClass): number {
  if (malicious || behaviour !== undefined) return BEHAVIOUR_ROWS
  return background || generic ? SHARED_ROWS : PROGRAM_ROWS
}

/** Calls in each second of a window. */
function callsOf({ rows, list, frames, offsets, counts }: Windows, id: number): Float32Array {
  return Float32Array.from({ length: frames }, (_, t) => {
    const vector = rows[list[id]!.at + t]!
    if (vector < 0) return 0
    let calls = 0
    for (let k = offsets[vector]!; k < offsets[vector + 1]!; k++) calls += counts[k]!
    return calls
  })
}
