/** A queue that is kept, as the local store keeps it: what goes in comes out as JSON. */
import type { KeptQueue } from '../../src/outputs/retrying-sender.ts'

export function keptValue(): KeptQueue {
  let value: unknown
  return {
    get: () => value,
    put(next: unknown) {
      value = JSON.parse(JSON.stringify(next))
      return true
    },
  }
}
