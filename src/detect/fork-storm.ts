/**
 * Detects fork storms: hundreds of young processes of one program at a time, hundreds more each
 * second.
 *
 * Scripts start hundreds of tools a second, too, one after the other: hardly one of them is there in
 * two seconds. Builds and servers keep as many as there are processors or clients. Counted for
 * whoever is responsible (lineage.ts), so a chain that forks itself is one storm.
 */
import type { Proof } from '../domain/finding.ts'
import type { Frame } from '../domain/frame.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Lineage } from './lineage.ts'
import { FORK_STORM } from './thresholds.ts'

export class ForkStorm {
  readonly #lineage: Lineage
  /** Young ones of the second before. */
  #before = new Set<ProcessKey>()
  /** Seconds in a row, by who is responsible. */
  #stormy = new Map<ProcessKey, number>()

  constructor(lineage: Lineage) {
    this.#lineage = lineage
  }

  /** Frames in ascending order; the lineage has seen this one. Each storm is told once. */
  push(frame: Frame): Proof[] {
    const young = new Set<ProcessKey>()
    const of = new Map<ProcessKey, { process: Process; stayed: number; born: number }>()
    for (const process of frame.processes) {
      const age = frame.index - Math.floor(process.startMs / 1000)
      if (process.pid <= 0 || age < 0 || age >= FORK_STORM.young) continue
      const key = processKey(process)
      young.add(key)
      const responsible = this.#lineage.responsible(process)
      const starter = processKey(responsible)
      const count = of.get(starter) ?? { process: responsible, stayed: 0, born: 0 }
      of.set(starter, count)
      if (this.#before.has(key)) count.stayed++
      else count.born++
    }
    this.#before = young
    const stormy = new Map<ProcessKey, number>()
    const proofs: Proof[] = []
    for (const [starter, { process, stayed, born }] of of) {
      if (stayed < FORK_STORM.stayed || born < FORK_STORM.born) continue
      const seconds = (this.#stormy.get(starter) ?? 0) + 1
      stormy.set(starter, seconds)
      if (seconds !== FORK_STORM.seconds) continue
      const because = `has ${stayed} or more young processes at a time and starts ${born} more a second`
      proofs.push({ process, finding: { question: 'fork-storm', says: 'proves', because } })
    }
    this.#stormy = stormy
    return proofs
  }
}
