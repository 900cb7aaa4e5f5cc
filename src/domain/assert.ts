/** Assertions are for programming errors; external failures are AgentErrors or counted rejects. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`)
}
