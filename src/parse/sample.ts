/** The first bytes of refused input as text, for `agent status`; the sink makes them safe. */
import { REJECT_SAMPLE_BYTES } from '../domain/limits.ts'

const decoder = new TextDecoder()

export function sampleOf(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, Math.min(to, from + REJECT_SAMPLE_BYTES)))
}
