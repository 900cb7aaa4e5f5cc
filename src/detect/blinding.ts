/**
 * Detects blinding: a user whose processes make so many different calls that the kernel's maps, or
 * a process's own quota, are exhausted. Their behaviour is then not classified, so this raises an
 * alert by itself.
 *
 * Ordinary programs make 20 to 60 different calls in a second, 120 at most; a thousand compilers at
 * once fill the maps as well, but each with few. Pure; frames in ascending order.
 */
import type { Proof } from '../domain/finding.ts'
import type { Frame, UnseenProcess } from '../domain/frame.ts'
import { BLINDERS_MAX } from '../domain/limits.ts'
import { BLINDING } from './thresholds.ts'

export class Blinding {
  /**
   * Seconds in which a user's processes (a process, where the source tells no user) made too many
   * different calls, the last BLINDING.seconds. The longest quiet one goes first.
   */
  readonly #blinders = new Map<string, readonly number[]>()

  /** One for each such user and second, for as long as it goes on. */
  push(frame: Frame): Proof[] {
    const worst = new Map<string, UnseenProcess>()
    for (const unseen of frame.unseen?.processes ?? []) {
      if (unseen.kinds < BLINDING.kinds) continue
      const { uid, pid } = unseen.process
      const who = uid === undefined ? `pid ${pid}` : `user ${uid}`
      if ((worst.get(who)?.kinds ?? 0) < unseen.kinds) worst.set(who, unseen)
    }
    const proofs: Proof[] = []
    for (const [who, unseen] of worst) {
      const proof = this.#note(who, unseen, frame.index)
      if (proof !== undefined) proofs.push(proof)
    }
    return proofs
  }

  #note(who: string, { process, kinds, reason }: UnseenProcess, second: number): Proof | undefined {
    const seconds = [...(this.#blinders.get(who) ?? []), second].slice(-BLINDING.seconds)
    this.#blinders.delete(who)
    this.#blinders.set(who, seconds)
    if (this.#blinders.size > BLINDERS_MAX)
      this.#blinders.delete(this.#blinders.keys().next().value!)
    if (seconds.length < BLINDING.seconds || second - seconds[0]! >= BLINDING.within)
      return undefined
    const much = kinds > BLINDING.kinds ? `more than ${BLINDING.kinds}` : `${BLINDING.kinds}`
    const effect =
      reason === 'no-room'
        ? `and leaves no room for other processes of ${who}`
        : 'so what it does cannot be told'
    const because = `makes ${much} different calls a second, ${effect}`
    return { process, finding: { question: 'blinding', says: 'proves', because } }
  }
}
