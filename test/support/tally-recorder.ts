/** A TallySink that adds up what it is told, in a form that reads well in a failing test. */
import type { Activity } from '../../src/domain/frame.ts'
import { safeName } from '../../src/domain/process.ts'
import { SYSCALLS } from '../../src/domain/syscalls.ts'
import type {
  DropReason,
  NameId,
  ProcessFacts,
  TallySink,
  UnseenCalls,
} from '../../src/domain/tally.ts'

export class TallyRecorder implements TallySink {
  nameEpoch = 0
  /** `second pid name syscall` → calls; another thread's name stands in brackets. */
  readonly calls: Record<string, number> = {}
  readonly drops: Record<string, number> = {}
  readonly samples: Record<string, string> = {}
  readonly losses: Record<string, number> = {}
  readonly cpuMs: Record<string, number> = {}
  readonly unseen: Record<string, string> = {}
  readonly activities: Record<string, Activity> = {}
  readonly exits: string[] = []
  readonly facts: Record<number, ProcessFacts> = {}
  lastMs = 0
  readonly #names: string[] = ['']

  intern(bytes: Uint8Array, from: number, to: number): NameId {
    const name = safeName(new TextDecoder().decode(bytes.subarray(from, to)))
    const at = this.#names.indexOf(name, 1)
    return at > 0 ? at : this.#names.push(name) - 1
  }

  add(pid: number, name: NameId, syscall: number, count: number, timeMs: number): void {
    const text = name < 0 ? `[${this.#names[-name]}]` : this.#names[name]!
    const key = `${Math.floor(timeMs / 1000)} ${pid} ${text} ${SYSCALLS[syscall]}`
    this.calls[key] = (this.calls[key] ?? 0) + count
    this.lastMs = Math.max(this.lastMs, timeMs)
  }

  cpu(pid: number, name: NameId, cpuMs: number, timeMs: number): void {
    const key = `${Math.floor(timeMs / 1000)} ${pid} ${this.#names[Math.abs(name)]}`
    this.cpuMs[key] = (this.cpuMs[key] ?? 0) + cpuMs
  }

  unseenProcess(pid: number, name: NameId, unseen: UnseenCalls, timeMs: number): void {
    const who = `${Math.floor(timeMs / 1000)} ${pid} ${this.#names[Math.abs(name)]}`
    this.unseen[who] = `${unseen.reason} ${unseen.kinds} ${unseen.lost}`
  }

  unseenUser(uid: number, lost: number, timeMs: number): void {
    this.unseen[`${Math.floor(timeMs / 1000)} user ${uid}`] = `${lost}`
  }

  describe(pid: number, _name: NameId, facts: ProcessFacts): void {
    this.facts[pid] = { ...this.facts[pid], ...facts }
  }

  activity(pid: number, name: NameId, activity: Activity, timeMs: number): void {
    this.activities[`${Math.floor(timeMs / 1000)} ${pid} ${this.#names[Math.abs(name)]}`] = activity
  }

  exit(pid: number, timeMs: number): void {
    this.exits.push(`${Math.floor(timeMs / 1000)} ${pid}`)
  }

  drop(reason: DropReason, count: number, sample?: string): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + count
    if (sample !== undefined) this.samples[reason] ??= sample
  }

  lost(reason: DropReason, count: number, timeMs: number): void {
    const key = `${Math.floor(timeMs / 1000)} ${reason}`
    this.losses[key] = (this.losses[key] ?? 0) + count
  }

  advance(timeMs: number): void {
    this.lastMs = Math.max(this.lastMs, timeMs)
  }

  /** What two ways of reading the same must agree on: everything but samples. */
  get ledger(): unknown {
    const { calls, cpuMs, drops, losses, unseen, exits, facts } = this
    return { calls, cpuMs, drops, losses, unseen, exits, facts }
  }
}
