/**
 * What an aggregator needs of a summary to store it, to receipt it and to add up what its agent
 * costs, without decoding the rows of its processes; those are decoded when somebody looks
 * (`summary-message.ts`).
 */

import { defined } from '../domain/defined.ts'
import {
  PAYLOAD_BYTES_MAX,
  SUMMARY_REASONS_READ_MAX,
  TOPIC_PART_CHARS_MAX,
} from '../domain/limits.ts'
import type { Guarantee, Summary } from '../domain/summary.ts'
import { type Decoded, reading, refuse, toText } from '../domain/untrusted.ts'
import { CborWalk } from './cbor-walk.ts'
import type { Origin } from './origin.ts'
import { GUARANTEE_NUMBERS, toGuarantee } from './summary-message.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface SummaryHead
  extends Origin,
    Pick<
      Summary,
      | 'from'
      | 'to'
      | 'calls'
      | 'dropped'
      | 'alertsOpen'
      | 'unjudged'
      | 'missed'
      | 'guarantee'
      | 'agent'
    > {}

const NUMBERS = ['v', 'boot', 'seq', 'from', 'to', 'calls', 'alertsOpen'] as const
const AGENT_NUMBERS = 8

/** Top-level fields in any order, each at most once; unknown ones are stepped over. */
export function readSummaryHead(payload: Uint8Array): Decoded<SummaryHead> {
  return reading(() => {
    if (payload.byteLength > PAYLOAD_BYTES_MAX) refuse('too-long')
    const walk = new CborWalk(payload)
    const seen = new Set<string>()
    const numbers = new Map<string, number>()
    let site = ''
    let host = ''
    let dropped: Record<string, number> = {}
    let unjudged: Record<string, number> | undefined
    let missed: Record<string, number> | undefined
    let guarantee: Guarantee | undefined
    let agent: number[] = []
    const fields = walk.map()
    for (let i = 0; i < fields; i++) {
      const key = walk.text()
      if (seen.has(key)) refuse('not-cbor')
      seen.add(key)
      if (key === 'site') site = text(walk.text(), key)
      else if (key === 'host') host = text(walk.text(), key)
      else if (key === 'dropped') dropped = readCounts(walk)
      else if (key === 'unjudged') unjudged = readCounts(walk)
      else if (key === 'missed') missed = readCounts(walk)
      else if (key === 'guarantee')
        guarantee = toGuarantee(readNumbers(walk, 2, GUARANTEE_NUMBERS, key))
      else if (key === 'agent') agent = readNumbers(walk, 4, AGENT_NUMBERS, key)
      else if ((NUMBERS as readonly string[]).includes(key)) numbers.set(key, walk.count())
      else walk.skip()
    }
    if (!walk.done) refuse('not-cbor')
    const number = (name: string, min = 0): number => {
      const value = numbers.get(name)
      return value === undefined || value < min ? refuse(`bad-field(${name})`) : value
    }
    if (numbers.get('v') !== 1) refuse('unknown-version')
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    for (const name of ['strings', 'syscalls', 'processes'])
      if (!seen.has(name)) refuse(`bad-field(${name})`)
    const from = number('from')
    const to = number('to')
    if (from > to) refuse('bad-field(to)')
    return {
      site,
      host,
      boot: number('boot'),
      seq: number('seq', 1),
      from,
      to,
      calls: number('calls'),
      alertsOpen: number('alertsOpen'),
      dropped,
      ...defined({ unjudged, missed, guarantee }),
      agent: toAgent(agent),
    } satisfies SummaryHead
  })
}

function text(value: string, name: string): string {
  return toText(value, TOPIC_PART_CHARS_MAX, false) ?? refuse(`bad-field(${name})`)
}

function readCounts(walk: CborWalk): Record<string, number> {
  const entries = walk.map()
  if (entries > SUMMARY_REASONS_READ_MAX) refuse('bad-field(dropped)')
  const counts: [string, number][] = []
  for (let i = 0; i < entries; i++) {
    const reason = toText(walk.text(), 64, false) ?? refuse('bad-field(dropped)')
    counts.push([reason, walk.count()])
  }
  return Object.fromEntries(counts)
}

function readNumbers(walk: CborWalk, least: number, most: number, name: string): number[] {
  const length = walk.list()
  if (length < least || length > most) refuse(`bad-field(${name})`)
  return Array.from({ length }, () => walk.count())
}

/** The same four to eight numbers that summary-message.ts writes. */
function toAgent(numbers: readonly number[]): Summary['agent'] {
  const [cpuMs, rssBytes, lagMs, outboxRows, one, two, three, windows] = numbers
  if (outboxRows === undefined) return refuse('bad-field(agent)')
  const agent = { cpuSeconds: cpuMs! / 1000, rssBytes: rssBytes!, lagMs: lagMs!, outboxRows }
  if (one === undefined) return agent
  if (windows === undefined) return refuse('bad-field(agent)')
  return { ...agent, reduced: { seconds: [one, two!, three!], windows } }
}
