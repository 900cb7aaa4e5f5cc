/**
 * Frames in which a process is accused for minutes: the recorded host with its miner, which works on
 * under a name of ours.
 */
import { readFileSync } from 'node:fs'
import { LAB } from './open-agent.ts'

interface Line {
  readonly t: number
  readonly pid: number
  readonly start: number
  readonly name: string
  readonly counts: Record<string, number>
}

export const LONG_MINER = 'prove9'

/** @returns text of a frames file, and its last second */
export function longMiner(): { readonly text: string; readonly last: number } {
  const text = new TextDecoder().decode(Bun.zstdDecompressSync(readFileSync(LAB)))
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const own = lines.filter(({ name }) => name === 'xmrig').slice(2)
  const from = own[0]!.t
  const rest = lines.filter(({ t, name }) => t < from && name !== 'xmrig')
  const long = Array.from({ length: 150 }, (_, second) => ({
    ...{ ...own[second % own.length]!, t: from + second, start: from, name: LONG_MINER },
  }))
  const all = [...rest, ...long]
  return { text: `${all.map((line) => JSON.stringify(line)).join('\n')}\n`, last: from + 149 }
}
