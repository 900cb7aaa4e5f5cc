/**
 * How often something happened within the last seconds, by key, and whether it may happen once
 * more. Pure; frames in ascending order.
 */
export class Quotas {
  readonly #spanSeconds: number
  /** Frames by key, ascending; a key without any within the span is forgotten. */
  readonly #at = new Map<string, number[]>()

  constructor(spanSeconds: number) {
    this.#spanSeconds = spanSeconds
  }

  /**
   * Takes a place under each of the keys, or under none.
   * @param places keys with the most that the span may hold under each
   */
  take(frameIndex: number, places: readonly (readonly [key: string, most: number])[]): boolean {
    this.#forget(frameIndex)
    if (places.some(([key, most]) => (this.#at.get(key)?.length ?? 0) >= most)) return false
    for (const [key] of places) {
      const frames = this.#at.get(key)
      if (frames === undefined) this.#at.set(key, [frameIndex])
      else frames.push(frameIndex)
    }
    return true
  }

  clear(): void {
    this.#at.clear()
  }

  #forget(frameIndex: number): void {
    for (const [key, frames] of this.#at) {
      while (frames.length > 0 && frameIndex - frames[0]! >= this.#spanSeconds) frames.shift()
      if (frames.length === 0) this.#at.delete(key)
    }
  }
}
