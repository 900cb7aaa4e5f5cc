/**
 * The engine's own garbage: left alone it lets seconds that are over pile up until the heap has doubled, 40 MB at 300
 * processes (measured), which the host could use. A full collection takes 20 ms; once a minute that is 0.03 % of a core.
 */
export function collectGarbage(): void {
  Bun.gc(true)
}

/**
 * For loops over megabytes of tensors: those lie outside of the engine's heap, so it sees no reason to collect (600 MB in three seconds,
 * measured). To be called in each round; collects in every `every`th.
 */
export function collectEvery(every: number): () => void {
  let rounds = 0
  return () => {
    if (++rounds % every === 0) collectGarbage()
  }
}
