/**
 * Windows as rows of model/host-rows.ts: what the trees that ask for malice are grown on, and the
 * few that travel with a model (`references.bin`), so that a host can tell its own life from
 * malicious behaviours and from ordinary programs elsewhere without anyone's recordings.
 */
import { hostRowWidth, writeHostRow } from '../../model/host-rows.ts'
import type { ManifestClass } from '../../model/manifest.ts'
import type { Normaliser } from '../../model/normalise.ts'
import { type RowSet, type SparseRow, sparseRow, spread } from '../../model/row-set.ts'
import { fewOfEach, type MaliceExample } from '../forest/malice-forest.ts'
import type { Batches } from './batches.ts'
import { callsOf, type Windows } from './dataset.ts'

/** Rows of a class in `references.bin`: many where many programs share it. */
const BEHAVIOUR_ROWS = 200
const BACKGROUND_ROWS = 1_000
const GENERIC_ROWS = 120
const PROGRAM_ROWS = 10

/**
 * Windows of one process, and of one implementation in one recording, that the trees of malice are
 * grown on.
 */
const OF_PROCESS = 6
const OF_IMPLEMENTATION = 30
const ORDINARY_MOST = 20_000

/** Makes rows of windows, one after the other. */
export class RowMaker {
  readonly #windows: Windows
  readonly #batches: Batches
  readonly #width: number
  readonly #sequences: Float32Array
  readonly #dense: Float32Array

  constructor(windows: Windows, batches: Batches, { width }: Pick<Normaliser, 'width'>) {
    this.#windows = windows
    this.#batches = batches
    this.#width = width
    this.#sequences = new Float32Array(windows.frames * width)
    this.#dense = new Float32Array(hostRowWidth(width))
  }

  row(id: number): SparseRow {
    this.#batches.sequences([id], this.#sequences)
    const batch = { rows: this.#sequences, calls: callsOf(this.#windows, id) }
    writeHostRow(batch, 0, this.#windows.frames, this.#width, this.#dense)
    return sparseRow(this.#dense)
  }
}

/** @param labels class of each window */
export function referenceRows(
  maker: RowMaker,
  { width }: Pick<Normaliser, 'width'>,
  windows: Windows,
  ids: Int32Array,
  labels: Int32Array,
  classes: readonly ManifestClass[],
): RowSet {
  const byClass: number[][] = classes.map(() => [])
  for (const id of ids) byClass[labels[id]!]?.push(id)
  const ofProcess = (id: number) => `${windows.list[id]!.recording} ${windows.list[id]!.pid}`
  return {
    width: hostRowWidth(width),
    rows: new Map(
      classes.map((entry, c) => {
        const few = fewOfEach(byClass[c]!, ofProcess, entry.malicious ? OF_IMPLEMENTATION : 2)
        return [entry.name, spread(few, rowsMax(entry)).map((id) => maker.row(id))]
      }),
    ),
  }
}

function rowsMax({ malicious, behaviour, background, generic }: ManifestClass): number {
  if (malicious || behaviour !== undefined) return BEHAVIOUR_ROWS
  if (background) return BACKGROUND_ROWS
  return generic ? GENERIC_ROWS : PROGRAM_ROWS
}

/** What the trees of malice learn from: dual-use tools are neither. */
export function maliceExamples(
  maker: RowMaker,
  windows: Windows,
  ids: Int32Array,
  labels: Int32Array,
  classes: readonly ManifestClass[],
): MaliceExample[] {
  const of = (id: number) => windows.list[id]!
  const bad = [...ids].filter((id) => classes[labels[id]!]!.malicious)
  const good = [...ids].filter((id) => !of(id).malicious)
  const chosen = [
    ...fewOfEach(bad, (id) => `${of(id).recording} ${of(id).scenario}`, OF_IMPLEMENTATION),
    ...spread(
      fewOfEach(good, (id) => `${of(id).recording} ${of(id).pid}`, OF_PROCESS),
      ORDINARY_MOST,
    ),
  ]
  return chosen.map((id) => ({
    row: maker.row(id),
    label: of(id).malicious ? labels[id]! : -1,
    program: of(id).scenario ?? of(id).name,
  }))
}
