/**
 * Windows as dense rows for the net, and data augmentation: counts are scaled as on a host with
 * another load, redrawn (Poisson), and a few calls are dropped as in another configuration.
 * Time-major for the training graph, sequence by sequence for the exported model.
 */
import type { Normaliser } from '../../model/normalise.ts'
import type { Random } from '../random.ts'
import type { ComponentVectors, Windows } from './dataset.ts'

export interface Augmentation {
  /** Share of windows that are augmented. */
  readonly share: number
  /** Spread of ln(scale) of all counts of a window. */
  readonly scaleSpread: number
  /** Probability that a call is dropped in an augmented window. */
  readonly dropCall: number
  /**
   * Seconds with at most this many calls keep their counts: periodic timers do not depend on the
   * load.
   */
  readonly quietMax: number
}

export class Batches {
  readonly #windows: Windows
  readonly #vectors: ComponentVectors
  readonly #normaliser: Normaliser
  readonly #varied: Float32Array
  readonly #off: Uint8Array

  constructor(windows: Windows, vectors: ComponentVectors, normaliser: Normaliser) {
    this.#windows = windows
    this.#vectors = vectors
    this.#normaliser = normaliser
    this.#varied = new Float32Array(normaliser.components.length)
    this.#off = new Uint8Array(normaliser.components.length)
  }

  /** [n, frames, width]. */
  sequences(ids: ArrayLike<number>, out: Float32Array, vary?: Augmentation, random?: Random): void {
    const { frames } = this.#windows
    out.fill(0)
    for (let n = 0; n < ids.length; n++) this.#rows(ids[n]!, n * frames, 1, out, vary, random)
  }

  /** [frames × batch, width]; ids may be fewer than the batch. */
  timeMajor(
    ids: ArrayLike<number>,
    batch: number,
    out: Float32Array,
    vary?: Augmentation,
    random?: Random,
  ): void {
    out.fill(0)
    for (let n = 0; n < ids.length; n++) this.#rows(ids[n]!, n, batch, out, vary, random)
  }

  /** A window's rows: the first at row `at` of `out`, each next one `step` rows further on. */
  #rows(
    window: number,
    at: number,
    step: number,
    out: Float32Array,
    vary?: Augmentation,
    random?: Random,
  ): void {
    if (vary !== undefined && random !== undefined && random.next() < vary.share)
      this.#variedRows(window, at, step, out, vary, random)
    else for (let t = 0; t < this.#windows.frames; t++) this.#row(window, t, out, at + t * step)
  }

  #row(window: number, t: number, out: Float32Array, row: number): void {
    const vector = this.#windows.rows[this.#windows.list[window]!.at + t]!
    if (vector < 0) return
    const { offsets, components, counts } = this.#vectors
    this.#normaliser.rowOfComponents(
      components,
      counts,
      offsets[vector]!,
      offsets[vector + 1]!,
      out,
      row * this.#normaliser.width,
    )
  }

  #variedRows(
    window: number,
    at: number,
    step: number,
    out: Float32Array,
    vary: Augmentation,
    random: Random,
  ): void {
    const { offsets, components, counts } = this.#vectors
    const { frames } = this.#windows
    const scale = Math.exp(vary.scaleSpread * random.normal())
    for (let i = 0; i < this.#off.length; i++) this.#off[i] = random.next() < vary.dropCall ? 1 : 0
    for (let t = 0; t < frames; t++) {
      const vector = this.#windows.rows[this.#windows.list[window]!.at + t]!
      if (vector < 0) continue
      const from = offsets[vector]!
      const to = offsets[vector + 1]!
      let calls = 0
      for (let k = from; k < to; k++) calls += counts[k]!
      const quiet = calls <= vary.quietMax
      let total = 0
      for (let k = from; k < to; k++) {
        const drawn = quiet ? counts[k]! : random.poisson(counts[k]! * scale)
        const count = this.#off[components[k]!]! === 1 ? 0 : drawn
        this.#varied[k - from] = count
        total += count
      }
      // A second that would become empty stays unchanged: activity is not augmented.
      if (total === 0) this.#row(window, t, out, at + t * step)
      else
        this.#normaliser.rowOfComponents(
          components.subarray(from, to),
          this.#varied,
          0,
          to - from,
          out,
          (at + t * step) * this.#normaliser.width,
        )
    }
  }
}
