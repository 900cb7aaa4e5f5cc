/** Assertions are for what cannot happen; what the outside world does is an AgentError or a counted reject. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`)
}
