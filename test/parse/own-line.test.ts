import { describe, expect, test } from 'bun:test'
import { coreModule } from '../../scripts/wasm.ts'
import { Births } from '../../src/parse/births.ts'
import { FormatLineParser, OLD_OWN_FORMAT, parseFormatString } from '../../src/parse/format-line.ts'
import { byLine, Lines } from '../../src/parse/lines.ts'
import { OwnLineParser } from '../../src/parse/own-line.ts'
import { fixture } from '../support/fixture.ts'
import { parseAll } from '../support/parse.ts'
import { TallyRecorder } from '../support/tally-recorder.ts'

const encoder = new TextEncoder()
const own = (text: string | Uint8Array) => parseAll('sysdig-text', text)

describe('our own line', () => {
  test('is one call of the thread’s process, under the leader’s name', () => {
    const { calls } = own('1700000000123456789 812 812 read nginx\n')
    expect(calls).toEqual({ '1700000000 812 nginx read': 1 })
  })

  test.each([
    [
      'a thread’s name is marked as one',
      '1700000000123456789 812 900 futex worker#3',
      '1700000000 812 [worker#3] futex',
    ],
    [
      'a name with spaces',
      '1700000000123456789 5 5 read tmux: server',
      '1700000000 5 tmux: server read',
    ],
    [
      'a name that looks like fields',
      '1700000000123456789 5 5 read 1 2 write x',
      '1700000000 5 1 2 write x read',
    ],
    [
      'a name of blanks at its end',
      '1700000000123456789 5 5 read ends  ',
      '1700000000 5 ends   read',
    ],
    ['no name', '1700000000123456789 5 5 read ', '1700000000 5  read'],
    [
      'control characters',
      '1700000000123456789 5 5 read a\x1b[31m\x07',
      '1700000000 5 a?[31m? read',
    ],
    ['an alias of sysdig', '1700000000123456789 5 5 pread x', '1700000000 5 x pread64'],
    ['a carriage return at the end', '1700000000123456789 5 5 read x\r', '1700000000 5 x read'],
    [
      'a name longer than the memo',
      `1700000000123456789 5 5 read ${'n'.repeat(60)}`,
      `1700000000 5 ${'n'.repeat(60)} read`,
    ],
  ])('keeps %s', (_, line, want) => {
    expect(own(`${line}\n`).calls).toEqual({ [want]: 1 })
  })

  test.each([
    ['no system call', '1700000000123456789 5 5 <NA> x', {}],
    ['switch', '1700000000123456789 5 5 switch x', {}],
    ['signaldeliver', '1700000000123456789 5 5 signaldeliver x', {}],
    ['a call without pid', '1700000000123456789 <NA> <NA> read <NA>', { 'no-process': 1 }],
    ['pid -1', '1700000000123456789 -1 -1 read x', { 'no-process': 1 }],
    ['pid 0', '1700000000123456789 0 0 read x', { 'no-process': 1 }],
    ['a type that nobody knows', '1700000000123456789 5 5 frobnicate x', { 'unknown-syscall': 1 }],
    ['a pid that is none', '1700000000123456789 five 5 read x', { malformed: 1 }],
    ['a pid too large', '1700000000123456789 99999999999 5 read x', { malformed: 1 }],
    ['letters in the time', '17000000001234x6789 5 5 read x', { 'no-time': 1 }],
    ['a star among the digits', '1700000000123*56789 5 5 read x', { 'no-time': 1 }],
    ['half a line', '1700000000123456789 5', { malformed: 1 }],
    ['words', 'the quick brown fox jumps', { malformed: 1 }],
    ['nothing', '', {}],
  ])('does not count %s', (_, line, drops) => {
    const { calls, drops: got } = own(`${line}\n`)
    expect(calls).toEqual({})
    expect(got).toEqual(drops)
  })

  test('counts the last line without newline', () => {
    expect(own('1700000000123456789 5 5 read x').calls).toEqual({ '1700000000 5 x read': 1 })
  })

  test('takes a time of another length by the slow road', () => {
    const { calls } = own('999999999123456789 5 5 read x\n1700000000123456789 5 5 read x\n')
    expect(calls).toEqual({ '999999999 5 x read': 1, '1700000000 5 x read': 1 })
  })

  test('skips a line over the bound, once, and goes on', () => {
    const long = `1700000000123456789 5 5 read ${'x'.repeat(1_048_576)}`
    const { calls, drops } = own(
      `1700000000123456789 5 5 read a\n${long}\n1700000000123456789 5 5 write a\n`,
    )
    expect(calls).toEqual({ '1700000000 5 a read': 1, '1700000000 5 a write': 1 })
    expect(drops).toEqual({ 'too-long': 1 })
  })

  test('survives binary rubbish', () => {
    const bytes = new Uint8Array(300_000)
    let state = 1
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      bytes[i] = state >>> 16
    }
    const { calls, drops } = own(bytes)
    expect(calls).toEqual({})
    expect(drops.malformed).toBeGreaterThan(500)
  })

  test('counts exits where the direction is told', () => {
    const line = (direction: string) => `1700000000123456789 5 5 ${direction} read x\n`
    const { calls, drops } = own(line('>') + line('<') + line('>') + line('<'))
    expect(calls).toEqual({ '1700000000 5 x read': 2 })
    expect(drops).toEqual({})
  })

  test.each([
    ['without', ''],
    ['with', '< '],
  ])('counts a clone once, for the parent, %s a direction', (_, direction) => {
    const line = (pid: number, type: string) =>
      `1700000000123456789 ${pid} ${pid} ${direction}${type} sh\n`
    const fork = line(10, 'clone') + line(11, 'clone') + line(11, 'getppid')
    const { calls } = own(line(10, 'read') + fork + line(11, 'clone') + line(11, 'clone'))
    expect(calls).toEqual({
      '1700000000 10 sh read': 1,
      '1700000000 10 sh clone': 1,
      '1700000000 11 sh getppid': 1,
      '1700000000 11 sh clone': 2,
    })
  })

  test('counts a clone once in a container, where the child’s line comes twice', () => {
    const line = (pid: number, type: string) => `1700000000123456789 ${pid} ${pid} ${type} sh\n`
    const { calls } = own(
      line(10, 'read') +
        line(10, 'clone') +
        line(11, 'clone') +
        line(11, 'clone') +
        line(11, 'read'),
    )
    expect(calls).toEqual({
      '1700000000 10 sh read': 1,
      '1700000000 10 sh clone': 1,
      '1700000000 11 sh read': 1,
    })
  })

  test('gives names in the order they were presented: A, B, A ends as A', () => {
    const lines = ['a', 'b', 'a'].map((name) => `1700000000123456789 5 5 read ${name}\n`).join('')
    const seen: number[] = []
    class Order extends TallyRecorder {
      override add(...call: Parameters<TallyRecorder['add']>): void {
        seen.push(call[1])
        super.add(...call)
      }
    }
    const sink = new Order()
    const parser = new Lines(new OwnLineParser(sink, { line() {} }, new Births()), sink)
    parser.push(encoder.encode(lines))
    parser.end()
    expect(seen).toEqual([1, 2, 1])
  })
})

describe('OwnLineParser', () => {
  /** The plain way: each field of each line. */
  const slowly = (bytes: Uint8Array): TallyRecorder => {
    const sink = new TallyRecorder()
    const parser = new Lines(
      byLine(new FormatLineParser(sink, parseFormatString(OLD_OWN_FORMAT)), sink),
      sink,
    )
    parser.push(bytes)
    parser.end()
    return sink
  }

  test('counts what parsing every field of every line counts', () => {
    const bytes = fixture('sysdig/lab.own.041.txt.gz')
    const { ledger } = own(bytes)
    expect(ledger).toEqual(slowly(bytes).ledger)
  })

  test('counts the same when its memo is forgotten again and again', () => {
    const bytes = fixture('sysdig/lab.own.041.txt.gz').subarray(0, 400_000)
    const sink = new TallyRecorder()
    const births = new Births()
    const other = new FormatLineParser(sink, parseFormatString(OLD_OWN_FORMAT), {}, births)
    const parser = new Lines(new OwnLineParser(sink, other, births, 64), sink)
    parser.push(bytes)
    parser.end()
    expect(sink.ledger).toEqual(slowly(bytes).ledger)
  })

  test('gives up its names when the sink has', () => {
    const sink = new TallyRecorder()
    const interned: string[] = []
    const intern = sink.intern.bind(sink)
    sink.intern = (bytes, from, to) => {
      interned.push(new TextDecoder().decode(bytes.subarray(from, to)))
      return intern(bytes, from, to)
    }
    const parser = new Lines(new OwnLineParser(sink, { line() {} }, new Births()), sink)
    const line = encoder.encode('1700000000123456789 5 5 read x\n')
    parser.push(line)
    parser.push(line)
    expect(interned).toEqual(['x'])
    sink.nameEpoch++
    parser.push(line)
    expect(interned).toEqual(['x', 'x'])
  })
})

test('own-line-core.ts is what own-line.wat makes', async () => {
  const made = await coreModule()
  expect(await Bun.file(new URL('../../src/parse/own-line-core.ts', import.meta.url)).text()).toBe(
    made,
  )
})
