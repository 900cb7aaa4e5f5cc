import { describe, expect, test } from 'bun:test'
import { isAbreast, latenessOf, mayBeSilent } from '../../src/agent/ingest.ts'
import { RecordWriter } from '../../src/collect/kernel/records.ts'
import { memorySource } from '../../src/collect/memory.ts'
import type { AgentError } from '../../src/domain/error.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { CLOSE_EVERY_MS, FILE_LATENESS_MS, LATENESS_MS } from '../../src/domain/limits.ts'
import type { Source } from '../../src/domain/source.ts'
import { countSource } from '../../src/record/count-source.ts'

const line = (second: number, type = 'read') => `17000000${second}123456789 5 5 ${type} x\n`
const never = new AbortController().signal

function source(text: string, more: Partial<Source> = {}): Source {
  const { format: _, ...memory } = memorySource(new TextEncoder().encode(text), 'sysdig-text', 7)
  return { ...memory, ...more }
}

async function count(given: Source, options = {}) {
  const frames: Frame[] = []
  const result = await countSource(given, options, never, (more) => {
    frames.push(...more)
  })
  return { ...result, frames, error: result.error as AgentError | undefined }
}

describe('countSource()', () => {
  test('recognises the format by the first bytes, in however small pieces they come', async () => {
    const { frames, ledger, bytes, error } = await count(source(line(10) + line(11)))
    expect(error).toBeUndefined()
    expect(frames.map(({ index }) => index)).toEqual([1_700_000_010, 1_700_000_011])
    expect(ledger).toMatchObject({ observed: 2, counted: 2 })
    expect(bytes).toBe(62)
  })

  test('gives the frames of what came before an error', async () => {
    const broken: Source = {
      name: 'file',
      live: false,
      async *read() {
        yield new TextEncoder().encode(`${line(10)}17000000111234`)
        throw new Error('cut')
      },
    }
    const { frames, ledger, error } = await count(broken)
    expect(frames).toHaveLength(1)
    expect(ledger).toMatchObject({ counted: 1, dropped: { malformed: 1 } })
    expect(error?.message).toBe('cut')
  })

  test('says so when nothing is recognised, and when nothing came', async () => {
    const file = { name: 'file', path: 'x.txt' } as const
    const rubbish = await count(source('hello\nworld\n', file))
    expect(rubbish.error?.message).toContain('Cannot recognise "x.txt"')
    const empty = await count(source('', file))
    expect(empty.error?.message).toBe('Cannot read "x.txt": it is empty')
  })

  test('takes lines in another format when told', async () => {
    const { ledger } = await count(source('5 read 1700000010.5\n'), {
      format: '%proc.pid %evt.type %evt.rawtime.s.%evt.rawtime.ns',
    })
    expect(ledger).toMatchObject({ counted: 1, dropped: {} })
  })
})

describe('a pipe whose clock is behind', () => {
  // So late that a stall of a busy machine does not count as silence.
  const latenessMs = 10_000
  test.each([15, 30, 59])(
    'by %d s loses nothing: while bytes come, event time alone closes',
    async (behind) => {
      const from = Math.floor(Date.now() / 1000) - behind
      const { ledger, frames } = await count(
        {
          name: 'pipe',
          live: true,
          async *read() {
            // Slower than the clock's ticks, so that each looks in between; all within one second
            // of its own.
            for (let i = 0; i < 6; i++) {
              const time = `${from + Math.floor(i / 3)}${String(i * 1_000_000).padStart(9, '0')}`
              yield new TextEncoder().encode(`${time} 5 5 read x\n`)
              await Bun.sleep(CLOSE_EVERY_MS / 2)
            }
          },
        },
        { latenessMs },
      )
      expect(ledger).toMatchObject({ observed: 6, counted: 6, dropped: {} })
      expect(frames.map(({ index }) => index - from)).toEqual([0, 1])
    },
  )
})

describe('a source of whole seconds', () => {
  const second = (writer: RecordWriter, t: number, calls: number) => {
    writer.second(t)
    writer.beginCalls(5, new TextEncoder().encode('x'), 1)
    writer.call(0, calls)
    writer.endCalls()
    writer.endOfSecond(1, 1, 1, 0)
  }
  const kernel = (read: Source['read']): Source => ({
    ...{ name: 'kernel', format: 'kernel-records', live: true, wholeSeconds: true },
    read,
  })

  test('closes each second with the word that it is over, the last calls of it included', async () => {
    const now = Math.floor(Date.now() / 1000)
    const given: number[] = []
    const told: number[][] = []
    const { ledger } = await countSource(
      kernel(async function* () {
        const writer = new RecordWriter()
        writer.hello(1)
        for (let t = now; t < now + 4; t++) {
          second(writer, t, t - now + 1)
          yield writer.take().slice()
          told.push([...given])
        }
      }),
      {},
      never,
      (frames) => void given.push(...frames.map(({ index }) => index - now)),
    )
    expect(told).toEqual([[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]])
    expect(ledger).toMatchObject({ observed: 10, counted: 10, dropped: {} })
  })

  test('is never closed by the clock, however long it is silent', () => {
    const source = kernel(async function* () {})
    expect(latenessOf(source)).toBe(0)
    expect(mayBeSilent(source, 1_000_000, 1_002_000)).toBe(false)
    expect(isAbreast(source, 1_000_000, 1_002_000)).toBe(true)
    const { wholeSeconds: _, ...other } = source
    expect(latenessOf(other)).toBe(LATENESS_MS)
    expect(latenessOf({ ...other, live: false })).toBe(FILE_LATENESS_MS)
    expect(mayBeSilent(other, 1_000_000, 1_002_000)).toBe(true)
  })
})

test('isAbreast() asks whether the stream is live and told of now', () => {
  const live = source('', { live: true })
  expect(isAbreast(live, 1_000_000, 1_002_000)).toBe(true)
  expect(isAbreast(live, 1_000_000, 1_200_000)).toBe(false)
  expect(isAbreast(source(''), 1_000_000, 1_000_000)).toBe(false)
  expect(isAbreast(live, Number.NaN, 1_000_000)).toBe(false)
})
