/**
 * A task that is done every so often, one at a time: who asks for it while it runs waits for that
 * run. A failure ends one run and not the next ones.
 */
export class Periodic {
  readonly #task: () => Promise<void>
  readonly #onFailure: (cause: unknown, isFirst: boolean) => void
  readonly #timer: ReturnType<typeof setInterval>
  #running: Promise<void> | undefined
  #isFailing = false

  /**
   * The first run comes after `everyMs`.
   * @param onFailure called for each run that fails, with and whether the run before it did not
   */
  constructor(
    task: () => Promise<void>,
    everyMs: number,
    onFailure: (cause: unknown, isFirst: boolean) => void,
  ) {
    this.#task = task
    this.#onFailure = onFailure
    this.#timer = setInterval(() => void this.run(), everyMs)
  }

  /** Resolves at the end of the run, also of one that fails. */
  run(): Promise<void> {
    this.#running ??= this.#task()
      .then(
        () => {
          this.#isFailing = false
        },
        (cause) => {
          this.#onFailure(cause, !this.#isFailing)
          this.#isFailing = true
        },
      )
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }

  /** No further run; waits for the one that goes on. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }
}
