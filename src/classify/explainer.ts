/**
 * Explains an alert by occlusion: the syscalls that decided, found by running the net.
 *
 * For an opening alert, each call that its process made in the sequence is removed in turn and the
 * net is run again, all in one batch of at most EXPLAINED_CALLS_MAX + 1 rows: about a millisecond,
 * so it is done for every alert. `detect/explain.ts` interprets the results. Calls that the model
 * merges (open, openat) are removed together and shown under the most frequent one.
 */
import type { DetectionCalibration } from '../detect/calibration.ts'
import type { Detector } from '../detect/detector.ts'
import { logOdds, type Occluded, reasonsOf } from '../detect/explain.ts'
import type { Alert, Reason } from '../domain/alert.ts'
import { callLevels } from '../domain/call-levels.ts'
import { EXPLAINED_CALLS_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { SYSCALLS, syscallIndexOf } from '../domain/syscalls.ts'
import type { Classifier } from '../model/classifier.ts'
import type { Model } from '../model/model.ts'
import type { CountVector, Sequencer } from '../model/sequencer.ts'

export interface ExplainerParts {
  readonly model: Model
  readonly calibration: DetectionCalibration
  readonly sequencer: Sequencer
  readonly classifier: Classifier
  readonly detector: Detector
}

/** Whose sequences ended in the last frame. */
type Judged = { readonly processes: readonly Process[] }

/** One component of the model's rows, as this process used it. */
interface Component {
  readonly index: number
  /** The call of it that was made most. */
  syscall: string
  most: number
  calls: number
  /** Calls in each row of the sequence. */
  readonly rows: number[]
}

export class Explainer {
  readonly #parts: ExplainerParts
  /** Mean share of each component over the classes that are not malicious. */
  #ordinary: ReadonlyMap<number, number> | undefined

  constructor(parts: ExplainerParts) {
    this.#parts = parts
  }

  /**
   * The same alerts; those that open have their reasons, which the detector keeps for their later
   * messages.
   */
  async explain(alerts: readonly Alert[], judged: Judged): Promise<readonly Alert[]> {
    const explained: Alert[] = []
    for (const alert of alerts) {
      const process = alert.state === 'open' ? processOf(alert, judged) : undefined
      if (process === undefined) {
        explained.push(alert)
        continue
      }
      const why = await this.#why(alert, process)
      this.#parts.detector.explain(alert.id, why)
      explained.push({ ...alert, why })
    }
    return explained
  }

  async #why(alert: Alert, process: Process): Promise<Reason[]> {
    const { model, sequencer, classifier } = this.#parts
    const { names } = model.classes
    const vectors = sequencer.vectorsOf(process)
    const components = this.#componentsOf(vectors)
    const total = components.reduce((sum, { calls }) => sum + calls, 0)
    const asked = components.slice(0, EXPLAINED_CALLS_MAX)
    const { logits } = await classifier.run(this.#occluded(vectors, asked), asked.length + 1)
    const question = {
      predicted: indexIn(names, alert.predicted.class),
      claimed: indexIn(names, alert.claimed.class),
    }
    const whole = logOdds(logits, 0, names.length, question)
    const occluded = asked.map(({ syscall, calls, rows }, i): Occluded => {
      const without = logOdds(logits, i + 1, names.length, question)
      const seconds = callLevels(rows)
      return { syscall, seen: calls / total, contribution: whole - without, seconds }
    })
    const { claimed } = question
    const shares = claimed === undefined ? this.#ordinaryShares() : this.#profile([claimed])
    return reasonsOf(occluded, this.#named(shares, components))
  }

  /** What the process called in the sequence, most calls first. */
  #componentsOf(vectors: readonly (CountVector | undefined)[]): Component[] {
    const { componentOf } = this.#parts.model.normaliser
    const bySyscall = new Map<number, number>()
    const rows = new Map<number, number[]>()
    vectors.forEach((vector, t) => {
      vector?.syscalls.forEach((syscall, k) => {
        const count = vector.counts[k]!
        bySyscall.set(syscall, (bySyscall.get(syscall) ?? 0) + count)
        const index = componentOf[syscall]!
        const row = rows.get(index) ?? vectors.map(() => 0)
        row[t]! += count
        rows.set(index, row)
      })
    })
    const components = new Map<number, Component>()
    for (const [syscall, calls] of bySyscall) {
      const index = componentOf[syscall]!
      const known = components.get(index)
      if (known === undefined) {
        const first = { index, syscall: SYSCALLS[syscall]!, most: calls, calls }
        components.set(index, { ...first, rows: rows.get(index)! })
        continue
      }
      known.calls += calls
      if (calls > known.most) Object.assign(known, { syscall: SYSCALLS[syscall]!, most: calls })
    }
    return [...components.values()].sort((a, b) => b.calls - a.calls || a.index - b.index)
  }

  /**
   * The sequence as it is, and once without each component: [1 + components, sequenceFrames,
   * width].
   */
  #occluded(
    vectors: readonly (CountVector | undefined)[],
    components: readonly Component[],
  ): Float32Array {
    const { normaliser } = this.#parts.model
    const { width, componentOf } = normaliser
    const rows = new Float32Array((components.length + 1) * vectors.length * width)
    for (let n = 0; n <= components.length; n++) {
      const left = components[n - 1]?.index
      vectors.forEach((vector, t) => {
        if (vector === undefined) return
        const kept =
          left === undefined ? vector : without(vector, (syscall) => componentOf[syscall] === left)
        const at = (n * vectors.length + t) * width
        normaliser.row(kept.syscalls, kept.counts, 0, kept.syscalls.length, rows, at)
      })
    }
    return rows
  }

  /** Made at the first use: most hosts have no alert. */
  #ordinaryShares(): ReadonlyMap<number, number> {
    const { malicious, names } = this.#parts.model.classes
    this.#ordinary ??= this.#profile(names.map((_, i) => i).filter((i) => !malicious[i]))
    return this.#ordinary
  }

  /** Mean share of each component over these classes. */
  #profile(classes: readonly number[]): Map<number, number> {
    const { calibration, model } = this.#parts
    const shares = new Map<number, number>()
    for (const index of classes)
      for (const [name, share] of calibration.profiles[index] ?? []) {
        const component = model.normaliser.componentOf[syscallIndexOf(name) ?? 0]!
        shares.set(component, (shares.get(component) ?? 0) + share / classes.length)
      }
    return shares
  }

  /** Shares by the name under which this process shows each component. */
  #named(
    shares: ReadonlyMap<number, number>,
    components: readonly Component[],
  ): Map<string, number> {
    const shown = new Map(components.map(({ index, syscall }) => [index, syscall]))
    const names = this.#parts.model.normaliser.components
    return new Map([...shares].map(([index, share]) => [shown.get(index) ?? names[index]!, share]))
  }
}

/** Of a group of short-lived processes an alert names the latest. */
function processOf({ process }: Alert, { processes }: Judged): Process | undefined {
  return processes.find(({ pid, latest }) => (latest ?? Math.abs(pid)) === process.pid)
}

function without(vector: CountVector, leaves: (syscall: number) => boolean): CountVector {
  const kept = [...vector.syscalls.keys()].filter((k) => !leaves(vector.syscalls[k]!))
  return {
    syscalls: Uint16Array.from(kept, (k) => vector.syscalls[k]!),
    counts: Uint32Array.from(kept, (k) => vector.counts[k]!),
  }
}

function indexIn(names: readonly string[], name: string): number | undefined {
  const index = names.indexOf(name)
  return index < 0 ? undefined : index
}
