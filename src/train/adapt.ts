/**
 * `agent adapt` without its files: a model, what it brings of malicious and ordinary windows
 * elsewhere (references), and a host's buffered seconds in; trees that know this host's own names
 * out, or why they are not better.
 *
 * The first three quarters of the time teach, the last quarter measures: the adaptation is only
 * given where it recognises more of the host's held-out windows than the shared model does, calls
 * no more of them malicious, and still knows the malicious references that it did not see. What is
 * given is then grown on all of the time.
 *
 * A name is a class of this host if its processes last and it has been seen often enough. Names of
 * moments (compilers, `ls`, package scripts) teach the class of other programs together: they are
 * ordinary here, and promise nothing.
 */
import { FOREST_DEPTH_MAX, HOST_NAMES_MAX, HOST_ROWS_PER_NAME_MAX } from '../domain/limits.ts'
import type { ModelClasses } from '../domain/prediction.ts'
import {
  type Adaptation,
  type AdaptationFigures,
  type HostClassDoubt,
  HostJudge,
  type HostMeaning,
} from '../model/adaptation.ts'
import { hostRowWidth } from '../model/host-rows.ts'
import type { HostTreeTable } from '../model/host-trees.ts'
import type { MaliceTable } from '../model/malice-judge.ts'
import type { Model } from '../model/model.ts'
import { type RowSet, type SparseRow, spread } from '../model/row-set.ts'
import { collectEvery, collectGarbage } from '../platform/heap.ts'
import { maliceHere, shiftHere } from './calibrate/votes.ts'
import {
  HELD_OUT_SHARE,
  type HostName,
  type HostSample,
  type HostWindow,
  LASTING_SECONDS,
} from './data/host-sample.ts'
import { HostTableBuilder } from './forest/host-table.ts'
import { type ForestOptions, growTrees } from './forest/random-forest.ts'
import type { Rows } from './forest/rows.ts'

/** Windows of a name that make it a class of this host, if it lasts. */
const CLASS_WINDOWS_MIN = 12
/** Held-out windows without which nothing is said. */
const HELD_OUT_MIN = 100
const TREES = 40
const LEAF_MIN = 2
const WEIGHT = 0.55
/** The class of names of moments has so many times the windows of a name. */
const BACKGROUND_FACTOR = 2
/** A class with fewer windows than this draws them more often, up to so many times. */
const RARE_WINDOWS = 60
const RARE_WEIGHT_MAX = 4
/** Windows of a name from which its word counts in full, and the share at which one is none. */
const MEANING_WINDOWS = 40
const MEANING_MIN = 0.01
/** What speaks for a class of the shared model being itself, in names that it recognises. */
const ITSELF = 0.05
/** Seconds between what teaches and what measures: a window's length. */
const GAP_SECONDS = 10
/** One reference in so many is held out. */
const REFERENCE_HELD_OUT = 5
/** Held-out malicious references that must still be known. */
const REFERENCES_MIN = 0.6
/** Held-out ordinary windows called malicious may be so many more than before. */
const MALICIOUS_SLACK = 0.001
const DOUBT_WINDOWS_MIN = 20
/** Trees that ask for malice, and rows of each name that stand for ordinary life here. */
const MALICE_TREES = 30
const MALICE_LEAF_MIN = 5
const MALICE_ROWS_PER_NAME = 60

export interface AdaptInput {
  readonly model: Model
  readonly references: RowSet
  readonly sample: HostSample
  /** Rows of this host that an earlier adaptation kept, by class name. */
  readonly kept?: RowSet
  /** Unix second. */
  readonly now: number
  readonly seed?: number
}

export interface Adapted {
  /** Undefined where it is no better than the shared model. */
  readonly adaptation: Adaptation | undefined
  /** Why there is none. */
  readonly refused: string | undefined
  readonly figures: AdaptationFigures
  /** To be kept for the next time. */
  readonly rows: RowSet
}

/** A window of the host with its class. */
interface Labelled {
  readonly window: HostWindow
  readonly label: number
  /** Its name is a class, and not one of many. */
  readonly named: boolean
}

interface HeldOut extends Labelled {
  /** What the shared model says of it. */
  readonly shared: Float32Array
}

function heldOutOf(windows: readonly Labelled[], from: number, classes: number): HeldOut[] {
  return windows
    .filter(({ window }) => window.second >= from)
    .map((labelled) => {
      const { columns, values } = labelled.window.shared
      const shared = new Float32Array(classes)
      for (const [k, c] of columns.entries()) shared[c] = values[k]!
      return { ...labelled, shared }
    })
}

export function adapt(input: AdaptInput): Adapted {
  const { model, sample } = input
  const classes = hostClassesOf(input)
  const span = sample.to - sample.from + 1
  const trainTo = sample.from + Math.floor((1 - HELD_OUT_SHARE) * span)
  const training = classes.windows.filter(({ window }) => window.second < trainTo)
  const heldOut = heldOutOf(classes.windows, trainTo + GAP_SECONDS, model.classes.names.length)
  const references = referencesOf(input)
  const trial = growAll(input, classes, training, references.training)
  const measuredBy = (shift: number) => ({
    shift,
    ...measure(input, classes, shifted(trial, shift), heldOut, references.heldOut),
  })
  const malice = maliceHere(
    model,
    trial.malice,
    heldOut.map(({ window }) => window.row),
  )
  const here = measuredBy(shiftHere(malice))
  // Reading votes anew is no reason to refuse the rest.
  const measured = here.shift > 0 && isTooMalicious(here.figures) ? measuredBy(0) : here
  const figures: AdaptationFigures = {
    seconds: span,
    names: sample.names.length,
    windows: heldOut.length,
    ...measured.figures,
    quarantined: sample.quarantined,
  }
  const refused = whyNot(figures)
  const rows = keptRows(input, classes)
  if (refused !== undefined) return { adaptation: undefined, refused, figures, rows }
  const adaptation: Adaptation = {
    model: model.manifest.id,
    baseClasses: model.manifest.classes.length,
    made: input.now,
    added: classes.added.map(({ name }) => name),
    ...shifted(
      growAll(input, classes, classes.windows, [...references.training, ...references.heldOut]),
      measured.shift,
    ),
    weight: WEIGHT,
    doubts: measured.doubts,
    taught: taughtOf(classes),
    profiles: classes.added.map(({ profile }) => profile),
    figures,
  }
  return { adaptation, refused, figures, rows }
}

function isTooMalicious({ malicious }: Pick<AdaptationFigures, 'malicious'>): boolean {
  return malicious[1] > malicious[0] + MALICIOUS_SLACK
}

function whyNot(figures: AdaptationFigures): string | undefined {
  const { windows, recall, malicious, references } = figures
  if (windows < HELD_OUT_MIN)
    return `only ${windows} windows are left to measure it on, at least ${HELD_OUT_MIN} are needed`
  if (recall[1] <= recall[0])
    return `it recognises ${percent(recall[1])} of this host's windows, the shared model ${percent(recall[0])}`
  if (isTooMalicious(figures))
    return `it calls ${percent(malicious[1])} of this host's ordinary windows malicious, the shared model ${percent(malicious[0])}`
  if (references < REFERENCES_MIN)
    return `it knows only ${percent(references)} of the malicious windows that came with the model`
  return undefined
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

interface HostClassList {
  /** Names that become classes, behind those of the model. */
  readonly added: readonly HostName[]
  readonly windows: readonly Labelled[]
  /** Class by the label that rows are kept under. */
  readonly ofLabel: ReadonlyMap<string, number>
  readonly count: number
}

function hostClassesOf({ model, sample }: AdaptInput): HostClassList {
  const { names, background } = model.classes
  const taken = new Set(names)
  const isClass = (host: HostName) =>
    host.claimed === undefined &&
    !host.generic &&
    !taken.has(host.name) &&
    host.windows.length >= CLASS_WINDOWS_MIN &&
    host.life >= LASTING_SECONDS
  const added = sample.names.filter(isClass).slice(0, HOST_NAMES_MAX)
  const ofLabel = new Map(names.map((name, c) => [name, c]))
  for (const [i, { name }] of added.entries()) ofLabel.set(name, names.length + i)
  const own = new Set(added.map(({ name }) => name))
  const windows = sample.names.flatMap((host): Labelled[] => {
    // An interpreter teaches its generic class where the model has one.
    const named = host.claimed !== undefined || own.has(host.name)
    const generic = host.generic ? model.classes.claimedBy(host.name) : undefined
    const label = named ? ofLabel.get(host.name) : (generic ?? background)
    if (label === undefined) return []
    return host.windows.map((window) => ({ window, label, named }))
  })
  return { added, windows, ofLabel, count: names.length + added.length }
}

/** Classes with enough windows of their names to be taken at their word. */
function taughtOf({ windows }: HostClassList): number[] {
  const counts = new Map<number, number>()
  for (const { label, named } of windows) if (named) counts.set(label, (counts.get(label) ?? 0) + 1)
  return [...counts].flatMap(([c, count]) => (count >= CLASS_WINDOWS_MIN ? [c] : []))
}

interface Reference {
  readonly label: number
  readonly row: SparseRow
  /** How often it is drawn, compared with others; 1 where absent. */
  readonly weight?: number
}

function referencesOf({ model, references }: AdaptInput) {
  const training: Reference[] = []
  const heldOut: Reference[] = []
  for (const [label, list] of references.rows) {
    const c = model.classes.names.indexOf(label)
    if (c < 0) continue
    for (const [i, row] of list.entries())
      (i % REFERENCE_HELD_OUT === 0 ? heldOut : training).push({ label: c, row })
  }
  return { training, heldOut }
}

type Grown = Pick<Adaptation, 'trees' | 'malice' | 'meanings'>

function growAll(
  input: AdaptInput,
  classes: HostClassList,
  windows: readonly Labelled[],
  references: readonly Reference[],
): Grown {
  const { malicious } = input.model.classes
  const table = input.model.malice?.table
  // Without trees of malice in the model, its malicious rows stand beside the host's names.
  const beside = table ? references.filter(({ label }) => !malicious[label]) : references
  const trees = grow(input, classes, windows, beside)
  const meanings = meaningsOf(input.model.classes, windows)
  return {
    ...{ trees, meanings },
    ...(table && { malice: growMalice(input, table, windows, references) }),
  }
}

/**
 * What is behind each of the shared model's classes here. A model from elsewhere puts programs that
 * it does not know where they fit best: on a host where "etcd" has always been prometheus, its
 * "etcd" is a word for prometheus.
 */
function meaningsOf(
  { names, malicious }: ModelClasses,
  windows: readonly Labelled[],
): HostMeaning[] {
  const labels = new Map<number, { windows: number; said: Map<number, number> }>()
  for (const { window, label } of windows) {
    let of = labels.get(label)
    if (of === undefined) {
      of = { windows: 0, said: new Map() }
      labels.set(label, of)
    }
    of.windows++
    const { columns, values } = window.shared
    for (const [k, c] of columns.entries()) of.said.set(c, (of.said.get(c) ?? 0) + values[k]!)
  }
  return [...names.keys()].flatMap((c): HostMeaning[] => {
    if (malicious[c]) return []
    const shares = [...labels].flatMap(([label, { windows, said }]) => {
      const sum = said.get(c) ?? 0
      return sum === 0 ? [] : [[label, sum / Math.max(windows, MEANING_WINDOWS)] as const]
    })
    const total = shares.reduce((sum, [, share]) => sum + share, ITSELF)
    const kept = shares
      .map(([label, share]) => [label, round(share / total)] as const)
      .filter(([label, share]) => share >= MEANING_MIN && label !== c)
    return kept.length === 0 ? [] : [[c, kept]]
  })
}

/** The model's question of malice, asked again with this host's ordinary life among the answers. */
function growMalice(
  { model, kept, seed = 1 }: AdaptInput,
  { classes, slope, shift }: MaliceTable,
  windows: readonly Labelled[],
  references: readonly Reference[],
): MaliceTable {
  const column = new Map(classes.map((c, k) => [c, k + 1]))
  const byName = new Map<number, SparseRow[]>()
  for (const { window, label } of windows) {
    const list = byName.get(label)
    if (list === undefined) byName.set(label, [window.row])
    else list.push(window.row)
  }
  const ordinary = [...byName.values(), ...(kept?.rows.values() ?? [])].flatMap((list) =>
    spread(list, MALICE_ROWS_PER_NAME),
  )
  const rows = [
    ...references.map(({ label, row }) => ({ row, label: column.get(label) ?? 0 })),
    ...ordinary.map((row) => ({ row, label: 0 })),
  ]
  const width = hostRowWidth(model.manifest.width)
  const builder = new HostTableBuilder(classes.length + 1)
  const options = {
    trees: MALICE_TREES,
    seed,
    leafMin: MALICE_LEAF_MIN,
    depthMax: FOREST_DEPTH_MAX,
  }
  growInto(builder, rowsOf(rows, width, classes.length + 1), options)
  return { trees: builder.end(), classes, slope, shift }
}

function shifted(grown: Grown, by: number): Grown {
  const { malice } = grown
  return malice === undefined
    ? grown
    : { ...grown, malice: { ...malice, shift: malice.shift + by } }
}

/** What growing leaves behind, tree by tree, is collected before it adds up. */
function growInto(table: HostTableBuilder, rows: Rows, options: ForestOptions): void {
  collectGarbage()
  const collect = collectEvery(4)
  for (const tree of growTrees(rows, options)) {
    table.add(tree)
    collect()
  }
}

/**
 * Moments share one class: of each as few windows as leave the class no larger than the others
 * together.
 */
function grow(
  { model, kept, seed = 1 }: AdaptInput,
  { ofLabel, count }: HostClassList,
  windows: readonly Labelled[],
  references: readonly Reference[],
): HostTreeTable {
  const byLabel = new Map<number, SparseRow[]>()
  const put = (label: number, row: SparseRow) => {
    const list = byLabel.get(label)
    if (list === undefined) byLabel.set(label, [row])
    else list.push(row)
  }
  for (const [label, list] of kept?.rows ?? []) {
    const c = ofLabel.get(label) ?? model.classes.background
    if (c !== undefined) for (const row of list) put(c, row)
  }
  for (const { window, label } of windows) put(label, window.row)
  const { background } = model.classes
  const rows: Reference[] = [...references]
  for (const [label, list] of byLabel) {
    const most = HOST_ROWS_PER_NAME_MAX * (label === background ? BACKGROUND_FACTOR : 1)
    const weight = Math.max(1, Math.min(RARE_WEIGHT_MAX, Math.floor(RARE_WINDOWS / list.length)))
    for (const row of spread(list, most)) rows.push({ label, row, weight })
  }
  const table = new HostTableBuilder(count)
  const options = { trees: TREES, seed, leafMin: LEAF_MIN, depthMax: FOREST_DEPTH_MAX }
  growInto(table, rowsOf(rows, hostRowWidth(model.manifest.width), count), options)
  return table.end()
}

function rowsOf(list: readonly Reference[], width: number, classes: number): Rows {
  const offsets = new Uint32Array(list.length + 1)
  for (const [i, { row }] of list.entries()) offsets[i + 1] = offsets[i]! + row.columns.length
  const columns = new Uint16Array(offsets[list.length]!)
  const values = new Float32Array(columns.length)
  for (const [i, { row }] of list.entries()) {
    columns.set(row.columns, offsets[i]!)
    values.set(row.values, offsets[i]!)
  }
  return {
    size: list.length,
    width,
    classes,
    offsets,
    columns,
    values,
    labels: Int32Array.from(list, ({ label }) => label),
    weights: Float32Array.from(list, ({ weight = 1 }) => weight),
  }
}

/** The trees beside the shared model, on windows and references that they did not see. */
function measure(
  { model }: AdaptInput,
  { count }: HostClassList,
  grown: Grown,
  heldOut: readonly HeldOut[],
  references: readonly Reference[],
): {
  figures: Pick<AdaptationFigures, 'recall' | 'malicious' | 'references'>
  doubts: Map<number, HostClassDoubt>
} {
  const { malicious } = model.classes
  const judge = new HostJudge({ ...grown, weight: WEIGHT }, model)
  const dense = new Float32Array(hostRowWidth(model.manifest.width))
  const mixed = new Float32Array(count)
  const mix = (shared: Float32Array, { columns, values }: SparseRow) => {
    for (let k = 0; k < columns.length; k++) dense[columns[k]!] = values[k]!
    judge.mixRow(shared, dense, mixed, 0)
    for (const column of columns) dense[column] = 0
  }
  const tallies = Array.from({ length: count }, () => ({
    windows: 0,
    taken: new Map<number, number>(),
    malicious: 0,
  }))
  let named = 0
  const right: [number, number] = [0, 0]
  const bad: [number, number] = [0, 0]
  const isBad = (of: Float32Array) =>
    malicious.reduce((sum, flag, c) => sum + (flag ? of[c]! : 0), 0) >= 0.5
  for (const { window, shared, label, named: isNamed } of heldOut) {
    mix(shared, window.row)
    const top = largest(mixed)
    if (isNamed) {
      named++
      if (largest(shared) === label) right[0]++
      if (top === label) right[1]++
    }
    if (isBad(shared)) bad[0]++
    if (isBad(mixed)) bad[1]++
    const tally = tallies[label]!
    tally.windows++
    if (top !== label) tally.taken.set(top, (tally.taken.get(top) ?? 1) + 1)
    if (malicious[top]) tally.malicious++
  }
  const malignant = references.filter(({ label }) => malicious[label])
  // The shared model's sequences do not travel with its rows: it is taken to be undecided about
  // them.
  const undecided = new Float32Array(model.classes.names.length).fill(
    1 / model.classes.names.length,
  )
  const known = malignant.filter(({ row }) => {
    mix(undecided, row)
    return isBad(mixed)
  }).length
  const share = (part: number, of: number) => round(part / Math.max(1, of))
  const doubts = new Map<number, HostClassDoubt>()
  const shared = model.classes.names.length
  for (const [c, { windows, taken, malicious: bad }] of tallies.entries()) {
    // An added class has no other measurement, however few its windows are.
    if (windows < DOUBT_WINDOWS_MIN && c < shared) continue
    const of = (n: number) => round(n / (windows + 2))
    doubts.set(c, {
      confusions: [...taken].map(([other, n]) => [other, of(n)]),
      unsure: of(1),
      suspect: of(bad + 1),
    })
  }
  return {
    figures: {
      recall: [share(right[0], named), share(right[1], named)],
      malicious: [share(bad[0], heldOut.length), share(bad[1], heldOut.length)],
      references: share(known, malignant.length),
    },
    doubts,
  }
}

function largest(values: Float32Array): number {
  let top = 0
  for (let c = 1; c < values.length; c++) if (values[c]! > values[top]!) top = c
  return top
}

/** The host's rows by class name: old and new ones mixed evenly, as many as are kept of each. */
function keptRows({ model, kept }: AdaptInput, { added, windows }: HostClassList): RowSet {
  const names = [...model.classes.names, ...added.map(({ name }) => name)]
  const rows = new Map<string, SparseRow[]>()
  for (const [label, list] of kept?.rows ?? []) rows.set(label, [...list])
  for (const { window, label } of windows) {
    const name = names[label]!
    const list = rows.get(name)
    if (list === undefined) rows.set(name, [window.row])
    else list.push(window.row)
  }
  const bounded = [...rows].map(
    ([name, list]) => [name, spread(list, HOST_ROWS_PER_NAME_MAX)] as const,
  )
  return { width: hostRowWidth(model.manifest.width), rows: new Map(bounded) }
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
