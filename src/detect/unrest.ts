/**
 * Host-wide deviation: the share of processes that deviate from the baseline at the same time
 * (common-mode noise).
 *
 * On a host that is starved of CPU, restarted or restored from a snapshot all programs deviate.
 * Masquerade evidence is then discounted, down to zero. Malicious evidence is not discounted, and
 * neither is that of a host with a young baseline: whoever disturbs a host to hide a masquerade
 * must use programs that match no malicious class.
 */

/** Farther than this from all that is usual under its name a process is strange. */
const STRANGE = 1
/** Share of the newest second in the running mean: about the last twenty count. */
const NEWEST = 0.05
/** Fewer processes than this in a second say nothing of their host. */
const ENOUGH = 8
/** Shares of strange processes up to which a host is calm, and from which nothing stands out. */
const CALM_UP_TO = 0.1
const NOTHING_FROM = 0.2

export class Unrest {
  #seen = 0
  #strange = 0
  #mean = 0

  /** A process whose name the memory knows well. @param distance to what is usual under its name */
  see(distance: number): void {
    this.#seen++
    if (distance > STRANGE) this.#strange++
  }

  endSecond(): void {
    if (this.#seen >= ENOUGH) {
      this.#mean += NEWEST * (this.#strange / this.#seen - this.#mean)
    }
    this.#seen = 0
    this.#strange = 0
  }

  /** Running mean of the share of strange processes, 0…1. */
  get share(): number {
    return this.#mean
  }

  /** What evidence of strangeness is worth now, 1…0. */
  get calm(): number {
    return Math.max(0, Math.min(1, (NOTHING_FROM - this.#mean) / (NOTHING_FROM - CALM_UP_TO)))
  }
}
