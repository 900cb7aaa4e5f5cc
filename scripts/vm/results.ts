/**
 * What the checks found, as a file: one result for each machine and check, the latest. It is what
 * docs/reference/platforms.md is made from.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Result {
  readonly machine: string
  readonly check: string
  /** Release of the kernel, as `uname -r` says it. */
  readonly kernel: string
  readonly architecture: string
  readonly source: string
  /** Day on which it ran, and version and commit of the agent. */
  readonly date: string
  readonly agent: string
  /** Calls that were made, and those of them that were counted. */
  readonly made?: number
  readonly counted?: number
  /** Alert about the masquerade. */
  readonly alert?: string
  readonly notes: readonly string[]
  /** Expectations that were met, and those that were not. */
  readonly met: number
  readonly unmet: readonly string[]
  /** This host's seconds: until the script began, and in all. */
  readonly bootSeconds: number
  readonly seconds: number
}

const FILE = process.env.VM_RESULTS ?? join(import.meta.dir, 'results.json')

export function readResults(): Result[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Result[]) : []
}

export function keepResult(result: Result): void {
  writeFileSync(FILE, `${JSON.stringify(replaceResult(readResults(), result), undefined, 2)}\n`)
}

/** The result takes the place of an earlier one of the same machine and check. */
export function replaceResult(results: readonly Result[], result: Result): Result[] {
  const others = results.filter(
    ({ machine, check }) => machine !== result.machine || check !== result.check,
  )
  return [...others, result].sort(
    (a, b) => compare(a.machine, b.machine) || compare(a.check, b.check),
  )
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Facts that the guest wrote: `NAME VALUE`, a line each. */
export function factsIn(text: string): Map<string, string[]> {
  const facts = new Map<string, string[]>()
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const space = line.indexOf(' ')
    const [name, value] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)]
    facts.set(name, [...(facts.get(name) ?? []), value])
  }
  return facts
}

export function passed({ met, unmet }: Result): boolean {
  return met > 0 && unmet.length === 0
}
