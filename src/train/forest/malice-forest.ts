/**
 * Grows the trees that ask whether a window is malicious (model/malice-judge.ts), and fits what
 * their votes are worth on programs and implementations that they have not seen: four times on
 * three quarters of all names and implementations, judged on the rest, so that every ordinary
 * window was a stranger's and every malicious one by a tool that was not in the training data.
 *
 * The few windows of each process and of each implementation are taken evenly: no long-lived daemon
 * is what "ordinary" is, and no noisy tool what its behaviour is.
 */
import { FOREST_DEPTH_MAX } from '../../domain/limits.ts'
import { hostRowWidth } from '../../model/host-rows.ts'
import { vote } from '../../model/host-trees.ts'
import type { MaliceTable } from '../../model/malice-judge.ts'
import type { ManifestClass } from '../../model/manifest.ts'
import { type SparseRow, spread } from '../../model/row-set.ts'
import { worthOfVotes } from '../calibrate/votes.ts'
import { HostTableBuilder } from './host-table.ts'
import { growTrees } from './random-forest.ts'
import type { Rows } from './rows.ts'

export interface MaliceOptions {
  readonly trees: number
  readonly leafMin: number
  readonly seed: number
}

export const MALICE_DEFAULTS = { trees: 26, leafMin: 10 } as const

const FOLDS = 4

/**
 * A window: its row, the class of its behaviour or −1 where it is ordinary, and which program or
 * implementation it is of.
 */
export interface MaliceExample {
  readonly row: SparseRow
  readonly label: number
  readonly program: string
}

export interface MaliceFigures {
  /** On programs and implementations that were left out. */
  readonly auc: number
  readonly recall: number
  readonly falseShare: number
  readonly windows: number
}

/**
 * Fewer ordinary programs or malicious implementations than this say nothing of those that were not
 * seen.
 */
const PROGRAMS_LEAST = 20
const IMPLEMENTATIONS_LEAST = 8

/** Undefined where there is too little to learn from. */
export function fitMalice(
  examples: readonly MaliceExample[],
  classes: readonly ManifestClass[],
  width: number,
  options: MaliceOptions,
): { table: MaliceTable; figures: MaliceFigures } | undefined {
  const behaviours = [...classes.keys()].filter(
    (c) => classes[c]!.malicious && examples.some(({ label }) => label === c),
  )
  const programsOf = (bad: boolean) =>
    new Set(examples.flatMap(({ label, program }) => (label >= 0 === bad ? [program] : []))).size
  if (programsOf(false) < PROGRAMS_LEAST || programsOf(true) < IMPLEMENTATIONS_LEAST)
    return undefined
  const column = new Map(behaviours.map((c, k) => [c, k + 1]))
  const grow = (of: readonly MaliceExample[]) => {
    const builder = new HostTableBuilder(behaviours.length + 1)
    const rows = rowsOf(of, column, hostRowWidth(width))
    const { trees, leafMin, seed } = options
    for (const tree of growTrees(rows, { trees, seed, leafMin, depthMax: FOREST_DEPTH_MAX }))
      builder.add(tree)
    return builder.end()
  }
  const against: number[] = []
  const truth: boolean[] = []
  for (let fold = 0; fold < FOLDS; fold++) {
    const isLeftOut = ({ program }: MaliceExample) => foldOf(program) === fold
    const trees = grow(examples.filter((example) => !isLeftOut(example)))
    const dense = new Float32Array(hostRowWidth(width))
    const votes = new Float32Array(trees.classes)
    for (const { row, label } of examples.filter(isLeftOut)) {
      for (const [k, c] of row.columns.entries()) dense[c] = row.values[k]!
      vote(trees, dense, votes)
      for (const c of row.columns) dense[c] = 0
      against.push(1 - votes[0]!)
      truth.push(label >= 0)
    }
  }
  const { slope, shift, figures } = worthOfVotes(against, truth)
  return { table: { trees: grow(examples), classes: behaviours, slope, shift }, figures }
}

/** The same part for the same name, on every machine. */
function foldOf(program: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < program.length; i++)
    hash = Math.imul(hash ^ program.charCodeAt(i), 0x01000193) >>> 0
  return (hash >>> 7) % FOLDS
}

function rowsOf(
  examples: readonly MaliceExample[],
  column: ReadonlyMap<number, number>,
  width: number,
): Rows {
  const offsets = new Uint32Array(examples.length + 1)
  for (const [i, { row }] of examples.entries()) offsets[i + 1] = offsets[i]! + row.columns.length
  const columns = new Uint16Array(offsets[examples.length]!)
  const values = new Float32Array(columns.length)
  for (const [i, { row }] of examples.entries()) {
    columns.set(row.columns, offsets[i]!)
    values.set(row.values, offsets[i]!)
  }
  return {
    size: examples.length,
    width,
    classes: column.size + 1,
    offsets,
    columns,
    values,
    labels: Int32Array.from(examples, ({ label }) => column.get(label) ?? 0),
    weights: new Float32Array(examples.length).fill(1),
  }
}

/** Evenly over groups: at most so many of each. */
export function fewOfEach<T>(items: readonly T[], groupOf: (item: T) => string, most: number): T[] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groupOf(item)
    const list = groups.get(group)
    if (list === undefined) groups.set(group, [item])
    else list.push(item)
  }
  return [...groups.values()].flatMap((list) => spread(list, most))
}
