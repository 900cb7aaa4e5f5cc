/**
 * What a source cannot see: system calls that it never shows, however often they are made. The
 * table lies in unseen-calls.json, so that training and evaluation can leave out the same
 * (`maskOf`).
 *
 * `recognition` is the shipped model's macro precision and recall on ordinary seconds of a host
 * that it was not trained on (laboratory E, 17,700 windows), with only the calls that the source
 * sees. It says nothing of what a source loses.
 */
import { syscallIndexOf } from './syscalls.ts'
import table from './unseen-calls.json' with { type: 'json' }

export interface Sight {
  readonly note: string
  readonly unseen: readonly string[]
  readonly recognition: { readonly precision: number; readonly recall: number }
}

export type SightName = keyof typeof table

export const SIGHTS: Readonly<Record<SightName, Sight>> = table

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

/** Syscall indexes that the source cannot see. */
export function maskOf(name: SightName): ReadonlySet<number> {
  return new Set(SIGHTS[name].unseen.map((call) => syscallIndexOf(call)!))
}
