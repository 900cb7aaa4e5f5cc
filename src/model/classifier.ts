/**
 * One batch a second through the net: sequences in, calibrated class probabilities and states out.
 *
 * Runs on the calling thread. Measured: 300 processes take 4–5 ms; a worker would need a copy of
 * the batch and tens of megabytes. Larger batches are run in parts of INFERENCE_ROWS_MAX.
 */
import { assert } from '../domain/assert.ts'
import { INFERENCE_ROWS_MAX } from '../domain/limits.ts'
import type { Predictions } from '../domain/prediction.ts'
import { onnxRuntime } from '../platform/onnx/runtime.ts'
import type { Model } from './model.ts'
import type { SequenceBatch } from './sequencer.ts'

export class Classifier {
  readonly #model: Model

  constructor(model: Model) {
    this.#model = model
  }

  /** One prediction per sequence of the batch, in its order. */
  async predict(batch: SequenceBatch): Promise<Predictions> {
    const { manifest, malice } = this.#model
    const n = batch.processes.length
    const classCount = manifest.classes.length
    const { logits, states } = await this.run(batch.rows, n)
    softmax(logits, n, classCount, manifest.calibration.temperature)
    malice?.apply(logits, n, classCount, batch)
    return {
      frameIndex: batch.frameIndex,
      processes: batch.processes,
      probabilities: logits,
      states,
      classCount,
      stateSize: manifest.stateSize,
      activeFrames: batch.activeFrames,
      waiting: batch.waiting,
      incomplete: batch.incomplete,
    }
  }

  /** Net and forest, without malice and temperature. @param rows [n, sequenceFrames, width] */
  async run(
    rows: Float32Array,
    n: number,
  ): Promise<{ logits: Float32Array; states: Float32Array }> {
    const { manifest, session, forest } = this.#model
    const length = manifest.sequenceFrames * manifest.width
    assert(rows.length === n * length, 'a batch is as wide as the model')
    const logits = new Float32Array(n * manifest.classes.length)
    const states = new Float32Array(n * manifest.stateSize)
    const runtime = await onnxRuntime()
    for (let from = 0; from < n; from += INFERENCE_ROWS_MAX) {
      const part = Math.min(INFERENCE_ROWS_MAX, n - from)
      const sequences = runtime.tensor(rows.subarray(from * length, (from + part) * length), [
        part,
        manifest.sequenceFrames,
        manifest.width,
      ])
      const outputs = await session.run({ sequences })
      logits.set(outputs.logits!.data as Float32Array, from * manifest.classes.length)
      states.set(outputs.state!.data as Float32Array, from * manifest.stateSize)
    }
    forest?.mix(rows, n, logits)
    return { logits, states }
  }
}

/** In place, row by row: exp(x / temperature), divided by its sum. */
export function softmax(
  values: Float32Array,
  rows: number,
  columns: number,
  temperature: number,
): void {
  for (let row = 0; row < rows; row++) {
    const from = row * columns
    let max = Number.NEGATIVE_INFINITY
    for (let i = from; i < from + columns; i++) if (values[i]! > max) max = values[i]!
    let sum = 0
    for (let i = from; i < from + columns; i++) {
      const value = Math.exp((values[i]! - max) / temperature)
      values[i] = value
      sum += value
    }
    for (let i = from; i < from + columns; i++) values[i]! /= sum
  }
}
