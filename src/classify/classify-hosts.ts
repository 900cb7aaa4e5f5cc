/**
 * One second of many hosts through the net in one batch, and back to each host's judgement.
 *
 * A batch is begun when the next host's windows would make it longer than BATCH_ROWS; between two
 * the event loop gets its turn, for the thread that classifies may serve connections as well.
 */
import type { Alert } from '../domain/alert.ts'
import type { Frame } from '../domain/frame.ts'
import { INFERENCE_ROWS_MAX } from '../domain/limits.ts'
import type { Predictions } from '../domain/prediction.ts'
import type { Classifier } from '../model/classifier.ts'
import type { Model } from '../model/model.ts'
import type { JudgedProcesses } from '../model/sequencer.ts'
import type { HostPipeline } from './host-pipeline.ts'

/** A host's next second. */
export interface HostSecond {
  readonly pipeline: HostPipeline
  readonly frame: Frame
  readonly onAlerts: (alerts: readonly Alert[]) => void
  /** Its second could not be judged. */
  readonly onError: (error: unknown) => void
}

interface Part {
  readonly second: HostSecond
  readonly judged: JudgedProcesses
}

export class HostsClassifier {
  readonly #model: Model
  readonly #classifier: Classifier
  /** Reused: the rows of one batch. */
  #rows = new Float32Array(0)
  #calls = new Float32Array(0)

  constructor(model: Model, classifier: Classifier) {
    this.#model = model
    this.#classifier = classifier
  }

  /** @param seconds each host at most once */
  async classify(seconds: readonly HostSecond[]): Promise<void> {
    let parts: Part[] = []
    let windows = 0
    for (const second of seconds) {
      let judged: JudgedProcesses
      try {
        judged = second.pipeline.advance(second.frame)
      } catch (error) {
        second.pipeline.restart()
        second.onError(error)
        continue
      }
      if (parts.length > 0 && windows + judged.processes.length > INFERENCE_ROWS_MAX) {
        await this.#run(parts, windows)
        parts = []
        windows = 0
      }
      parts.push({ second, judged })
      windows += judged.processes.length
    }
    await this.#run(parts, windows)
  }

  async #run(parts: readonly Part[], windows: number): Promise<void> {
    let predictions: Predictions
    try {
      predictions = await this.#predict(parts, windows)
    } catch (error) {
      for (const { second, judged } of parts) {
        second.pipeline.hold(judged)
        second.onError(error)
      }
      return
    }
    let row = 0
    for (const { second, judged } of parts) {
      const from = row
      row += judged.processes.length
      try {
        second.onAlerts(await second.pipeline.judge(partOf(predictions, judged, from, row)))
      } catch (error) {
        second.onError(error)
      }
    }
    await new Promise((resolve) => setImmediate(resolve))
  }

  #predict(parts: readonly Part[], windows: number): Promise<Predictions> {
    const { sequenceFrames, width } = this.#model.manifest
    const cells = windows * sequenceFrames
    if (this.#calls.length < cells) {
      this.#rows = new Float32Array(cells * width)
      this.#calls = new Float32Array(cells)
    }
    const rows = this.#rows.subarray(0, cells * width)
    const calls = this.#calls.subarray(0, cells)
    let at = 0
    for (const { second, judged } of parts) {
      const end = at + judged.processes.length * sequenceFrames
      second.pipeline.write(judged, rows.subarray(at * width, end * width), calls.subarray(at, end))
      at = end
    }
    return this.#classifier.predict({
      frameIndex: 0,
      processes: parts.flatMap(({ judged }) => judged.processes),
      ...{ rows, calls },
      activeFrames: new Uint8Array(0),
      waiting: new Uint8Array(0),
      incomplete: new Uint8Array(0),
    })
  }
}

/** One host's rows of a batch. */
function partOf(all: Predictions, judged: JudgedProcesses, from: number, to: number): Predictions {
  const { classCount, stateSize } = all
  return {
    ...judged,
    probabilities: all.probabilities.subarray(from * classCount, to * classCount),
    states: all.states.subarray(from * stateSize, to * stateSize),
    ...{ classCount, stateSize },
  }
}
