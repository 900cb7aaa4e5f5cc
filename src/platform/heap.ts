/**
 * Explicit garbage collection: the engine lets garbage grow until the heap has doubled, 40 MB at
 * 300 processes (measured). A full collection takes 20 to 30 ms of CPU.
 */
import { giveBackPages } from './pages.ts'

export function collectGarbage(): void {
  Bun.gc(true)
}

/**
 * Gives back what only starting took of the engine's heap: 5 MB of the agent (measured). It also
 * drops compiled code, which is compiled again where it is needed: for the end of a start, not for
 * every minute.
 */
export function shrinkHeap(): void {
  Bun.shrink()
}

/**
 * For loops over megabytes of tensors, which are outside the engine's heap and do not trigger a
 * collection (600 MB in three seconds, measured). Call it in each round; it collects in every
 * `every`th.
 */
export function collectEvery(every: number): () => void {
  let rounds = 0
  return () => {
    if (++rounds % every === 0) collectGarbage()
  }
}

/** For a process that runs for days, every GIVE_BACK_EVERY_MS. */
export function giveBack(): void {
  giveBackPages()
  collectGarbage()
}
