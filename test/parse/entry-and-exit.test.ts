import { describe, expect, test } from 'bun:test'
import { ingest } from '../../src/agent/ingest.ts'
import { memorySource } from '../../src/collect/memory.ts'
import { Counter } from '../../src/count/counter.ts'
import { AgentError } from '../../src/domain/error.ts'
import { EntryAndExit, refuseEntryAndExit } from '../../src/parse/entry-and-exit.ts'
import { fixture } from '../support/fixture.ts'

/**
 * Lines of ends as sysdig 0.29 with its own driver prints them: each call also as it begins, after
 * the thread's last.
 */
function bothEnds(ends: string): string {
  const events: { time: bigint; line: string }[] = []
  const last = new Map<string, bigint>()
  for (const line of ends.split('\n')) {
    const [text, , tid] = line.split(' ')
    if (!/^\d{19}$/.test(text!)) continue
    const time = BigInt(text!)
    const before = (last.get(tid!) ?? time - 1_000n) + 500n
    const begin = before < time ? before : time - 1n
    last.set(tid!, time)
    events.push({ time: begin, line: line.replace(text!, String(begin)) }, { time, line })
  }
  events.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
  return events.map(({ line }) => `${line}\n`).join('')
}

const head = (text: string) => new TextEncoder().encode(text).subarray(0, 262_144)
const isRefused = (text: string, format: 'sysdig-text' | 'sysdig-json', given?: string) => {
  try {
    refuseEntryAndExit(head(text), format, '"x"', given === undefined ? {} : { format: given })
    return false
  } catch (error) {
    expect(error).toBeInstanceOf(AgentError)
    expect((error as AgentError).hint).toContain('evt.dir=<')
    return true
  }
}
const textOf = (name: string) => new TextDecoder().decode(fixture(name))

describe('refuseEntryAndExit()', () => {
  const captures = [
    'sysdig/lab.own.041.txt.gz',
    'sysdig/idle.own.029.txt.gz',
    'sysdig/idle.own.041.txt.gz',
  ]

  test.each(captures)('%s holds ends alone, wherever it is cut into', (name) => {
    const lines = textOf(name).split('\n')
    for (let from = 0; from < lines.length - 400; from += 3_000)
      expect(isRefused(lines.slice(from, from + 5_500).join('\n'), 'sysdig-text')).toBe(false)
  })

  test.each(captures)('%s with both ends is refused, wherever it is cut into', (name) => {
    const lines = bothEnds(textOf(name)).split('\n')
    for (let from = 0; from < lines.length - 2_000; from += 3_000)
      expect(isRefused(lines.slice(from, from + 5_500).join('\n'), 'sysdig-text')).toBe(true)
  })

  test('a format that tells the direction is taken, with both ends in it', () => {
    const text = bothEnds(textOf('sysdig/idle.own.041.txt.gz'))
    const format = '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name'
    expect(isRefused(text, 'sysdig-text', format)).toBe(false)
  })

  test('another format without it, and JSON, are looked at as well', () => {
    const lines = bothEnds(textOf('sysdig/idle.own.041.txt.gz')).trim().split('\n')
    const fields = lines.map((line) => /^(\S+) (\S+) (\S+) (\S+) (.*)$/.exec(line)!.slice(1))
    const other = fields.map(([time, pid, , type]) => `${pid} ${time} ${type}\n`).join('')
    expect(isRefused(other, 'sysdig-text', '*%proc.pid %evt.rawtime %syscall.type')).toBe(true)
    const json = fields
      .map(
        ([time, pid, tid, type, name]) =>
          `{"evt.rawtime":${time},"proc.name":"${name}","proc.pid":${pid},"syscall.type":"${type}","thread.tid":${tid}}\n`,
      )
      .join('')
    expect(isRefused(json, 'sysdig-json')).toBe(true)
    expect(isRefused(textOf('sysdig/idle.029.jsonl.gz'), 'sysdig-json')).toBe(false)
  })

  test('few lines tell nothing', () => {
    const line = (type: string) => `1700000000123456789 5 5 ${type} x\n`
    expect(
      isRefused(line('read') + line('read') + line('write') + line('write'), 'sysdig-text'),
    ).toBe(false)
  })
})

describe('EntryAndExit.push(), a few lines at a time', () => {
  /** @returns after how many bytes it was known, and what */
  const lookedAt = (text: string): { bytes: number; isTwice: boolean } => {
    const bytes = new TextEncoder().encode(text)
    const look = new EntryAndExit('sysdig-text', 'x', {})
    for (let from = 0; from < bytes.length; from += 4_096) {
      try {
        if (look.push(bytes.subarray(from, from + 4_096)))
          return { bytes: from + 4_096, isTwice: false }
      } catch {
        return { bytes: from + 4_096, isTwice: true }
      }
    }
    return { bytes: Number.POSITIVE_INFINITY, isTwice: false }
  }

  test('sooner than by all that may be looked at, and never wrong', () => {
    const name = 'sysdig/lab.own.041.txt.gz'
    const lines = textOf(name).split('\n')
    const twice = bothEnds(textOf(name)).split('\n')
    const after: number[] = []
    for (let from = 0; from < lines.length - 6_000; from += 3_000) {
      const once = lookedAt(lines.slice(from, from + 6_000).join('\n'))
      expect(once.isTwice).toBe(false)
      const both = lookedAt(twice.slice(2 * from, 2 * from + 12_000).join('\n'))
      expect(both.isTwice).toBe(true)
      after.push(both.bytes)
    }
    after.sort((a, b) => a - b)
    expect(after[after.length >> 1]).toBeLessThan(65_536)
  })

  test('nothing is counted of what is refused', async () => {
    const bytes = new TextEncoder().encode(bothEnds(textOf('sysdig/idle.own.041.txt.gz')))
    const counter = new Counter()
    const { format: _, ...source } = {
      ...memorySource(bytes, 'sysdig-text'),
      async *read() {
        for (let from = 0; from < bytes.length; from += 1_000)
          yield bytes.subarray(from, from + 1_000)
      },
    }
    const reading = ingest(source, counter, {}, new AbortController().signal)
    await expect(reading).rejects.toThrow('at entry and exit')
    expect(counter.ledger().observed).toBe(0)
  })
})
