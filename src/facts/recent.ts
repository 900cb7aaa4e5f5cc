/**
 * Keeps for a moment what is expensive to read and shared by many questions: tables of the kernel,
 * of mounts, of all processes. /proc/net/tcp walks the whole hash table of connections: 3 ms on an
 * idle host, 10 ms on a busy one (measured), and a build asks about dozens of shells a second.
 */
export class Recent<Value> {
  readonly #kept = new Map<string, { readonly value: Value; readonly readMs: number }>()
  readonly #keepMs: number
  readonly #most: number

  /** @param most keys; all are forgotten when there are more */
  constructor(keepMs: number, most = 1) {
    this.#keepMs = keepMs
    this.#most = most
  }

  get(key: string, read: () => Value): Value {
    const now = performance.now()
    const kept = this.#kept.get(key)
    if (kept !== undefined && now - kept.readMs < this.#keepMs) return kept.value
    const value = read()
    if (kept === undefined && this.#kept.size >= this.#most) this.#kept.clear()
    this.#kept.set(key, { value, readMs: performance.now() })
    return value
  }
}
