/**
 * Whether a process speaks the protocol of mining pools (Stratum and its kin), by what stands in
 * its memory: the messages are JSON with a few method names, whatever language they are sent from.
 *
 * Asked only about processes that compute and ask the kernel for next to nothing. Bounded by
 * POOL_TALK_BYTES_MAX.
 */
import { POOL_TALK_BYTES_MAX } from '../domain/limits.ts'
import { searchMemory } from './process-memory.ts'

const PHRASES: readonly RegExp[] = [
  /mining\.(subscribe|authorize|notify|submit|set_difficulty)/,
  /stratum\+(tcp|ssl|tls):\/\//,
  /"method"\s*:\s*"(submit|login)"[^\0]{0,80}"params"/,
  /"method"\s*:\s*"job"\s*,\s*"params"\s*:\s*\{\s*"(blob|job_id)"/,
  /eth_submit(Work|Hashrate|Login)|eth_getWork/,
]

/** @returns the phrase, undefined where there is none */
export function poolTalkOf(pid: number): string | undefined {
  let phrase: string | undefined
  const isFound = (text: string) => {
    phrase = phraseIn(text)
    return phrase !== undefined
  }
  searchMemory(pid, POOL_TALK_BYTES_MAX, isFound, { program: true })
  return phrase
}

export function phraseIn(text: string): string | undefined {
  for (const phrase of PHRASES) {
    const found = phrase.exec(text)?.[0]
    if (found !== undefined) return found.slice(0, 40)
  }
  return undefined
}
