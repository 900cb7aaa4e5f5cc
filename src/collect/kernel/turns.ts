/**
 * Which second each slot of the ring takes. The programs in the kernel add to a slot only in its
 * own second, so a collector that comes late finds whole seconds, unmixed; what happened meanwhile
 * and found its slot still taken was counted as late.
 */
import { nativeBytes } from '../../platform/linux/libc.ts'
import { update } from './bpf.ts'
import { SLOTS } from './layout.ts'

export class Turns {
  readonly #map: number
  readonly #key = nativeBytes(4)
  readonly #value = nativeBytes(SLOTS * 8)
  readonly #seconds = new BigInt64Array(this.#value.buffer)

  /** The ring begins with its first seconds, whichever process records them. */
  constructor(map: number) {
    this.#map = map
    for (let slot = 0; slot < SLOTS; slot++) this.#seconds[slot] = BigInt(slot)
  }

  begin(): void {
    update(this.#map, this.#key, this.#value)
  }

  /** From now on the slot takes this second. */
  give(slot: number, second: number): void {
    this.#seconds[slot] = BigInt(second)
    update(this.#map, this.#key, this.#value)
  }
}
