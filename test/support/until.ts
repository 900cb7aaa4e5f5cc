/**
 * Waiting of tests for what real processes do. TEST_PATIENCE=10 waits ten times as long, for a
 * machine that does much else.
 */
const PATIENCE = Number(process.env.TEST_PATIENCE ?? 1)

/**
 * Looks again and again until something is there; the only waiting that tests with real processes
 * do.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 15_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + PATIENCE * timeoutMs
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > deadline)
      throw new Error(`Waited ${PATIENCE * timeoutMs} ms for ${what}`)
    await Bun.sleep(5)
  }
}
