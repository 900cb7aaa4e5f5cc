/**
 * Figures per window: argmax, precision and recall per class, and their macro means [Paper V-A].
 */
export interface ClassFigures {
  readonly name: string
  readonly windows: number
  readonly precision: number
  readonly recall: number
}

export interface Figures {
  readonly accuracy: number
  /** Means over the classes of the test data; a class that is never predicted has precision 0. */
  readonly macroPrecision: number
  readonly macroRecall: number
  readonly classes: readonly ClassFigures[]
  /** confusion[true][predicted]. */
  readonly confusion: readonly (readonly number[])[]
}

export function figuresOf(
  names: readonly string[],
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
): Figures {
  const size = names.length
  const confusion = names.map(() => new Array<number>(size).fill(0))
  let right = 0
  for (let n = 0; n < truth.length; n++) {
    confusion[truth[n]!]![predicted[n]!]!++
    if (truth[n] === predicted[n]) right++
  }
  const classes: ClassFigures[] = []
  for (const [c, name] of names.entries()) {
    const windows = confusion[c]!.reduce((sum, count) => sum + count, 0)
    if (windows === 0) continue
    const claims = confusion.reduce((sum, row) => sum + row[c]!, 0)
    const hits = confusion[c]![c]!
    classes.push({
      name,
      windows,
      precision: claims === 0 ? 0 : hits / claims,
      recall: hits / windows,
    })
  }
  const mean = (of: (figures: ClassFigures) => number) =>
    classes.reduce((sum, figures) => sum + of(figures), 0) / Math.max(1, classes.length)
  return {
    accuracy: right / Math.max(1, truth.length),
    macroPrecision: mean(({ precision }) => precision),
    macroRecall: mean(({ recall }) => recall),
    classes,
    confusion,
  }
}

/** Index of the largest number of each row. */
export function argmaxRows(values: Float32Array, columns: number): Int32Array {
  const top = new Int32Array(values.length / columns)
  for (let n = 0; n < top.length; n++) {
    let best = n * columns
    for (let i = best + 1; i < (n + 1) * columns; i++) if (values[i]! > values[best]!) best = i
    top[n] = best - n * columns
  }
  return top
}

/** Expected calibration error over ten bins of confidence. */
export function calibrationError(confidence: ArrayLike<number>, right: ArrayLike<boolean>): number {
  const bins = Array.from({ length: 10 }, () => ({ count: 0, confidence: 0, right: 0 }))
  for (let n = 0; n < confidence.length; n++) {
    const bin = bins[Math.min(9, Math.floor(confidence[n]! * 10))]!
    bin.count++
    bin.confidence += confidence[n]!
    if (right[n]) bin.right++
  }
  const total = Math.max(1, confidence.length)
  return bins.reduce((sum, bin) => sum + Math.abs(bin.confidence - bin.right) / total, 0)
}

/** AUROC: the probability that one of `high` scores above one of `low`; ties count half. */
export function auroc(high: readonly number[], low: readonly number[]): number {
  const sorted = low.toSorted((a, b) => a - b)
  const below = (value: number, orEqual: boolean): number => {
    let from = 0
    let to = sorted.length
    while (from < to) {
      const middle = (from + to) >> 1
      if (sorted[middle]! < value || (orEqual && sorted[middle] === value)) from = middle + 1
      else to = middle
    }
    return from
  }
  const wins = high.reduce((sum, value) => sum + (below(value, false) + below(value, true)) / 2, 0)
  return wins / (high.length * low.length)
}
