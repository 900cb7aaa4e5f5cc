/**
 * Whether a window is malicious, asked apart from which program it is of: trees over what a host's
 * own trees see of a window (host-rows.ts), grown on malicious behaviours by many implementations
 * against ordinary programs of every kind. A net that distinguishes a hundred programs puts an
 * unknown ordinary one wherever it fits best, often on something malicious; these trees know
 * "ordinary" as one thing.
 *
 * With v the trees' votes (ordinary, and each behaviour), the probability of malice is the logistic
 * of slope · logit(1 − v(ordinary)) + shift, which was fitted on programs and implementations that
 * the trees had not seen. It replaces the net's: behaviours share it as the trees voted, ordinary
 * classes share the rest as the net said.
 */
import { hostRowWidth, writeHostRow } from './host-rows.ts'
import { type HostTreeTable, readTrees, vote, writeTrees } from './host-trees.ts'

export interface MaliceTable {
  /** Votes: ordinary, then `classes`. */
  readonly trees: HostTreeTable
  /** Index of each behaviour's class in the model. */
  readonly classes: readonly number[]
  readonly slope: number
  readonly shift: number
}

/** Fewer votes than this are none: a logit must be finite. */
const LEAST_VOTES = 0.004

/** Probability of malice for the votes against "ordinary". */
export function maliceOf(
  { slope, shift }: Pick<MaliceTable, 'slope' | 'shift'>,
  against: number,
): number {
  const share = Math.min(1 - LEAST_VOTES, Math.max(LEAST_VOTES, against))
  return 1 / (1 + Math.exp(-(slope * Math.log(share / (1 - share)) + shift)))
}

export class MaliceJudge {
  readonly table: MaliceTable
  readonly #width: number
  readonly #frames: number
  readonly #row: Float32Array
  readonly #votes: Float32Array
  #others: Float32Array | undefined
  readonly #judged: ReadonlySet<number>
  readonly #background: number | undefined

  /** @param model numbers of a row, rows of a window, and the class of other programs */
  constructor(
    table: MaliceTable,
    model: {
      readonly width: number
      readonly frames: number
      readonly background?: number | undefined
    },
  ) {
    this.table = table
    this.#width = model.width
    this.#frames = model.frames
    this.#judged = new Set(table.classes)
    this.#background = model.background
    this.#row = new Float32Array(hostRowWidth(model.width))
    this.#votes = new Float32Array(table.trees.classes)
  }

  /**
   * Rewrites probabilities in place, each row summing to 1 as before.
   * @param rows the net's input, [n × frames × width], and calls of each second, [n × frames]
   */
  apply(
    probabilities: Float32Array,
    n: number,
    classCount: number,
    batch: { readonly rows: Float32Array; readonly calls: Float32Array },
  ): void {
    for (let i = 0; i < n; i++) {
      writeHostRow(batch, i, this.#frames, this.#width, this.#row)
      this.applyTo(probabilities, i * classCount, classCount, this.#row)
    }
  }

  /**
   * The same for one row of probabilities, and its window's row of host-rows.ts.
   * @param others trees for the same classes, whose votes count as much as the judge's own
   */
  applyTo(
    probabilities: Float32Array,
    from: number,
    classCount: number,
    row: Float32Array,
    others?: HostTreeTable,
  ): void {
    const votes = this.#votes
    vote(this.table.trees, row, votes)
    if (others?.classes === votes.length) {
      this.#others ??= new Float32Array(votes.length)
      vote(others, row, this.#others)
      for (let k = 0; k < votes.length; k++) votes[k] = (votes[k]! + this.#others[k]!) / 2
    }
    const against = 1 - votes[0]!
    const malice = maliceOf(this.table, against)
    let ordinary = 0
    for (let c = 0; c < classCount; c++)
      if (this.#judged.has(c)) probabilities[from + c] = 0
      else ordinary += probabilities[from + c]!
    // Where the net saw nothing ordinary, what is left is of no known program.
    if (ordinary < 1e-6) {
      probabilities[from + (this.#background ?? 0)] = 1
      ordinary = 1
    }
    const scale = (1 - malice) / ordinary
    for (let c = 0; c < classCount; c++) probabilities[from + c]! *= scale
    const { classes } = this.table
    for (const [k, c] of classes.entries())
      probabilities[from + c]! +=
        malice * (against > 1e-6 ? votes[k + 1]! / against : 1 / classes.length)
  }
}

/** As stored in the manifest. */
export function writeMalice({ trees, classes, slope, shift }: MaliceTable): unknown {
  return { classes, slope, shift, trees: writeTrees(trees) }
}

/** Undefined where it is no such table for a model of these classes. */
export function readMalice(
  written: unknown,
  width: number,
  malicious: readonly boolean[],
): MaliceTable | undefined {
  if (typeof written !== 'object' || written === null) return undefined
  const { classes, slope, shift, trees: tables } = written as Record<string, unknown>
  if (
    !Array.isArray(classes) ||
    classes.length === 0 ||
    !classes.every((c) => malicious[c as number])
  )
    return undefined
  if (!isNumber(slope) || !isNumber(shift) || slope <= 0) return undefined
  const trees = readTrees(tables, hostRowWidth(width))
  if (trees === undefined || trees.classes !== classes.length + 1) return undefined
  return { trees, classes: classes as number[], slope, shift }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
