/** The first bytes of rejected input as text, for `agent status`; the sink sanitises them. */
import { REJECT_SAMPLE_BYTES } from '../domain/limits.ts'

const decoder = new TextDecoder()

export function sampleOf(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, Math.min(to, from + REJECT_SAMPLE_BYTES)))
}
