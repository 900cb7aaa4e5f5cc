/** Waiting of the publisher's loop: for time, for an event, or for the end. */
export class WakeUp {
  #wake: () => void = () => {}
  #woken = false
  #hurry: () => void = () => {}

  /** Something is to be done: ends `pause`, now or when it is called next. */
  wake(): void {
    this.#woken = true
    this.#wake()
  }

  /** Ends `beforeRetry`. */
  hurry(): void {
    this.#hurry()
  }

  /** New rows do not end this wait, or each would cause an attempt; `hurry` does. */
  async beforeRetry(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#hurry = () => {}
  }

  /** Waits for an event or for the time, whichever is first. */
  async pause(ms: number): Promise<void> {
    if (!this.#woken && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = ms === Infinity ? undefined : setTimeout(resolve, Math.min(ms, 2 ** 30))
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#wake = () => {}
    this.#woken = false
  }
}
