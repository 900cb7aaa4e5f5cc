/**
 * Tells when this host cannot be seen: windows are not judged because calls were lost, seconds come
 * too late, or so many processes deviate that masquerades are held back. Nothing else would be
 * raised in that time, so this is an alert of its own; it names who is likely to be the cause.
 *
 * One lost call now and then is no blindness: a state is reported from 15 seconds of it within the
 * last minute, and ends when fewer are left. Pure; frames in ascending order.
 */
import type { Finding } from '../domain/finding.ts'
import type { Frame, UnseenProcess } from '../domain/frame.ts'
import { BLINDERS_MAX } from '../domain/limits.ts'
import type { Predictions } from '../domain/prediction.ts'
import { safeName } from '../domain/process.ts'
import { BLINDNESS, UNREST } from './thresholds.ts'
import type { UnrestGroup } from './unrest.ts'

/** Clauses of one cause, the first the most telling. */
const CLAUSES = 3

/** What the agent knows of itself in this second. */
export interface AgentState {
  /** How far behind the clock the second is, ms. */
  readonly lagMs: number
  /** For how long questions about processes have had no answer, ms; absent where none are asked. */
  readonly factsSilentMs?: number
  /** Share of deviating processes, and the user or container with most of them. */
  readonly unrest: number
  readonly deviating?: UnrestGroup | undefined
}

/** Why this host is not seen, and since when. */
export interface Blinded {
  /** Unix second. */
  readonly since: number
  /** Alerts are missing for sure; else some are only held back. */
  readonly isSure: boolean
  readonly reasons: readonly string[]
}

interface Second {
  readonly index: number
  /** 0…1 of its windows were not judged. */
  readonly blind: number
  readonly lagMs: number
  readonly isDeviating: boolean
}

export class Blindness {
  readonly #seconds: Second[] = []
  /** By user: seconds of the last minute in which most of its windows were not judged. */
  readonly #users = new Map<number, number[]>()
  /** Who made most different calls, or else ran most processes, in a second with losses. */
  #cause: { readonly index: number; readonly clause: string; readonly kinds: number } | undefined
  #now: Blinded | undefined

  /** Undefined while the host is seen. */
  get state(): Blinded | undefined {
    return this.#now
  }

  /** @param predictions of the second; undefined where it was not judged at all */
  push(frame: Frame, predictions: Predictions | undefined, agent: AgentState): Finding | undefined {
    const { index } = frame
    // The clock was set back: what was noted lies ahead, and would never be over.
    if (index <= (this.#seconds.at(-1)?.index ?? 0)) {
      this.#seconds.length = 0
      this.#users.clear()
      this.#cause = undefined
    }
    this.#noteGap(frame)
    this.#seconds.push({
      index,
      blind: shareBlind(frame, predictions),
      lagMs: agent.lagMs,
      isDeviating: agent.unrest >= UNREST.nothingFrom,
    })
    while (this.#seconds[0]!.index <= index - BLINDNESS.within) this.#seconds.shift()
    this.#noteUsers(frame, predictions)
    this.#noteCause(frame)
    const found = this.#reasons(index, agent)
    this.#now = found === undefined ? undefined : { since: this.#now?.since ?? index, ...found }
    if (this.#now === undefined) return undefined
    const { isSure, reasons } = this.#now
    return {
      question: 'agent-blinded',
      says: isSure ? 'proves' : 'supports',
      because: reasons.join('; '),
    }
  }

  /** Seconds that were not read from the kernel in time are missing; a counted loss shows it. */
  #noteGap({ index, lost, clockSetSeconds }: Frame): void {
    const last = this.#seconds.at(-1)?.index
    if (last === undefined || lost === 0 || clockSetSeconds !== undefined) return
    for (let missing = Math.max(last + 1, index - BLINDNESS.within); missing < index; missing++)
      this.#seconds.push({ index: missing, blind: 1, lagMs: 0, isDeviating: false })
  }

  #noteUsers({ index, unseen, lost }: Frame, predictions: Predictions | undefined): void {
    for (const [uid, seconds] of this.#users) {
      while (seconds.length > 0 && seconds[0]! <= index - BLINDNESS.within) seconds.shift()
      if (seconds.length === 0) this.#users.delete(uid)
    }
    if (lost > 0) return
    const blind = new Map<number, number>()
    const add = (uid: number, more: number) => blind.set(uid, (blind.get(uid) ?? 0) + more)
    predictions?.processes.forEach(({ uid }, row) => {
      if (uid !== undefined) add(uid, predictions.incomplete[row] === 1 ? 1 : -1)
    })
    for (const { uid } of unseen?.users ?? []) blind.set(uid, 1)
    for (const [uid, balance] of blind) {
      if (balance <= 0) continue
      const seconds = this.#users.get(uid) ?? []
      seconds.push(index)
      this.#users.set(uid, seconds)
      if (this.#users.size > BLINDERS_MAX) this.#users.delete(this.#users.keys().next().value!)
    }
  }

  #noteCause(frame: Frame): void {
    const { index, unseen, lost } = frame
    if (this.#cause !== undefined && this.#cause.index <= index - BLINDNESS.within)
      this.#cause = undefined
    const most = unseen?.processes.reduce<UnseenProcess | undefined>(
      (a, b) => (a === undefined || b.kinds > a.kinds ? b : a),
      undefined,
    )
    if (most !== undefined && most.kinds >= (this.#cause?.kinds ?? 0)) {
      const { pid, name, uid } = most.process
      const by = `"${safeName(name)}" (pid ${pid}${uid === undefined ? '' : `, user ${uid}`})`
      const clause = `most different calls, ${most.kinds} in a second, by ${by}`
      this.#cause = { index, clause, kinds: most.kinds }
    } else if (most === undefined && lost > 0 && (this.#cause?.kinds ?? 0) === 0) {
      const clause = crowdOf(frame)
      if (clause !== undefined) this.#cause = { index, clause, kinds: 0 }
    }
  }

  #reasons(index: number, agent: AgentState): Omit<Blinded, 'since'> | undefined {
    const blind = this.#seconds.reduce((sum, second) => sum + second.blind, 0)
    const late = this.#seconds.filter(({ lagMs }) => lagMs > BLINDNESS.lateMs)
    const sure: string[] = []
    if (blind >= BLINDNESS.blindSeconds)
      sure.push(
        `${percent(blind / BLINDNESS.within)} of the last minute's windows not judged, as calls were lost`,
      )
    if (late.length >= BLINDNESS.lateSeconds)
      sure.push(`seconds are judged ${Math.round((late.at(-1)?.lagMs ?? 0) / 1000)} s late`)
    const { factsSilentMs = 0 } = agent
    if (factsSilentMs >= BLINDNESS.factsSilentMs)
      sure.push(
        `questions about processes have had no answer for ${Math.round(factsSilentMs / 1000)} s`,
      )
    if (blind < BLINDNESS.blindSeconds)
      for (const [uid, { length }] of this.#users)
        if (length >= BLINDNESS.userSeconds)
          sure.push(`processes of user ${uid} are not seen whole`)
    if (sure.length > 0) {
      const cause = this.#cause === undefined ? [] : [this.#cause.clause]
      return { isSure: true, reasons: [...sure.slice(0, CLAUSES - 1), ...cause] }
    }
    const deviating = this.#seconds.filter(({ isDeviating }) => isDeviating).length
    if (deviating < BLINDNESS.deviatingSeconds || this.#seconds.at(-1)!.index !== index)
      return undefined
    return { isSure: false, reasons: unrestReasons(agent) }
  }
}

function unrestReasons({ unrest, deviating }: AgentState): string[] {
  const held = `${percent(unrest)} of the processes deviate from the baseline, so masquerade alerts are held back`
  if (deviating === undefined) return [held]
  const { uid, container, strange, seen } = deviating
  const of =
    container !== undefined
      ? `container ${safeName(container).slice(0, 12)}`
      : uid !== undefined
        ? `user ${uid}`
        : undefined
  return of === undefined ? [held] : [held, `most of ${of}: ${strange} of ${seen}`]
}

function shareBlind({ lost }: Frame, predictions: Predictions | undefined): number {
  if (predictions === undefined) return 1
  const { length } = predictions.incomplete
  if (length === 0) return lost > 0 ? 1 : 0
  return predictions.incomplete.reduce((sum, incomplete) => sum + incomplete, 0) / length
}

/** Where it is not known whose calls were lost: who ran most processes meanwhile. */
function crowdOf({ processes }: Frame): string | undefined {
  const byUser = new Map<number, number>()
  for (const { uid } of processes)
    if (uid !== undefined) byUser.set(uid, (byUser.get(uid) ?? 0) + 1)
  const [most] = [...byUser].sort((a, b) => b[1] - a[1])
  if (most === undefined) return undefined
  return `meanwhile user ${most[0]} ran ${most[1]} of ${processes.length} processes`
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}
