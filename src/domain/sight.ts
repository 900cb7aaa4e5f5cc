/**
 * How a source shows calls: those that it never shows, however often they are made, and those that
 * it shows as others. The table is in unseen-calls.json. The agent judges a source's frames
 * accordingly, and `agent evaluate --as-source` does the same to recordings, so that what is
 * measured is what happens live: a source that shows such a call now and then (the last one of a
 * process, say) does not make the same program look different.
 *
 * `recognition` is measured by `bun scripts/recognition-by-source.ts`, on a host that the model was
 * not trained on. It says nothing of what a source loses.
 */
import { defined } from './defined.ts'
import { type Frame, withCallsReadAs } from './frame.ts'
import { SYSCALLS, syscallIndexOf } from './syscalls.ts'
import table from './unseen-calls.json' with { type: 'json' }

export interface Sight {
  readonly note: string
  readonly unseen: readonly string[]
  /** Call → the equal one that the model knows it as. */
  readonly readAs?: Readonly<Record<string, string>>
  readonly recognition: Recognition
}

export interface Recognition {
  /** Macro averages over the classes, of ten seconds of a process. */
  readonly precision: number
  readonly recall: number
  /** The same over a minute of a process. */
  readonly minutePrecision: number
  readonly minuteRecall: number
}

export type SightName = keyof typeof table.sources

export const SIGHTS: Readonly<Record<SightName, Sight>> = table.sources
export const SIGHT_NAMES = Object.keys(SIGHTS) as SightName[]

/**
 * A source whose recall is lower than the kernel source's by more than this says so at its start.
 */
const RECALL_LOST = 0.02

/** sysdig's by its version, `0.29.3`: those before 0.31 do not know newer calls. */
export function sysdigSight(version: string): SightName {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major === 0 && minor < 31 ? 'sysdig-0.29' : 'sysdig'
}

/**
 * Events that sysdig captures for one call: its libraries told both ends until 0.22, which came
 * with sysdig 0.41.
 */
export function sysdigEventsPerCall(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major === 0 && minor < 41 ? 2 : 1
}

export function isPoor(name: SightName): boolean {
  return SIGHTS[name].recognition.recall < SIGHTS.kernel.recognition.recall - RECALL_LOST
}

/** What each syscall is read as, by index; −1: not seen. */
const readings = new Map(
  SIGHT_NAMES.map((name): [SightName, Int16Array] => {
    const { unseen, readAs = {} } = SIGHTS[name]
    const reading = Int16Array.from(SYSCALLS.keys())
    for (const call of unseen) reading[syscallIndexOf(call)!] = -1
    for (const [call, as] of Object.entries(readAs))
      reading[syscallIndexOf(call)!] = syscallIndexOf(as)!
    return [name, reading]
  }),
)

/** What the source shows of this second; what is beside the counts is the kernel source's alone. */
export function seenBy(frame: Frame, name: SightName): Frame {
  const { cpuMs, silent, activity, ...seen } = withCallsReadAs(frame, readings.get(name)!)
  return name === 'kernel' || name === 'kernel-arm64'
    ? { ...seen, ...defined({ cpuMs, silent, activity }) }
    : seen
}
