import { describe, expect, test } from 'bun:test'
import { defined } from '../../src/domain/defined.ts'
import { AgentError } from '../../src/domain/error.ts'
import { fixture } from '../support/fixture.ts'
import { parseAll } from '../support/parse.ts'

/** 2023-11-15 00:00:00 UTC, a minute past which the streams below end. */
const MIDNIGHT = 1_700_006_400
const text = (lines: string, format?: string, endS = MIDNIGHT + 36_000) =>
  parseAll('sysdig-text', lines, {
    endMs: endS * 1000,
    ...defined({ format }),
  })
const TEN = MIDNIGHT + 36_000 - 60

describe("sysdig's default line", () => {
  test('is one call, in the day that the stream ended', () => {
    const { calls } = text('312 09:59:00.317698892 0 bash (545) < newfstatat res=0 path=/x \n')
    expect(calls).toEqual({ [`${TEN} 545 bash newfstatat`]: 1 })
  })

  test.each([
    ['a name with blanks', '1 09:59:00.000000000 0 a b (545) < read res=1 ', 'a b'],
    ['a name with brackets', '1 09:59:00.000000000 0 (deleted)  (545) < read res=1 ', '(deleted) '],
    ['an empty name', '1 09:59:00.000000000 0  (545) < read res=1 ', ''],
    [
      'a name that forges a line',
      '1 09:59:00.000000000 0 a (1) < read (545) < read res=1 ',
      'a (1) < read',
    ],
    [
      'info that looks like a name',
      '1 09:59:00.000000000 0 bash (545) < read data=x (1) < read ',
      'bash',
    ],
  ])('keeps %s', (_, line, name) => {
    expect(text(`${line}\n`).calls).toEqual({ [`${TEN} 545 ${name} read`]: 1 })
  })

  test('counts exits, not enters: 0.29 prints both', () => {
    const { calls } = text(
      '1 09:59:00.1 0 x (5) > read fd=3 \n2 09:59:00.2 0 x (5) < read res=1 \n3 09:59:00.3 0 x (5) > switch next=0 \n',
    )
    expect(calls).toEqual({ [`${TEN} 5 x read`]: 1 })
  })

  test('tells an exit by procexit, of the leader only', () => {
    const clone =
      '1 09:59:00.1 0 x (6) < clone res=0 exe=./x args=NULL tid=6(x) pid=5(x) ptid=1(init) cwd=<NA> \n'
    // The child's end of a clone: the call was its parent's.
    const { exits, calls } = text(
      `${clone}2 09:59:00.2 0 x (6) > procexit status=0 \n3 09:59:00.3 0 x (5) > procexit status=0 \n`,
    )
    expect(exits).toEqual([`${TEN} 5`])
    expect(calls).toEqual({})
  })

  test('of a clone is counted once, for the parent', () => {
    const { calls } = text(
      `1 09:59:00.1 0 sh (10) > clone 
2 09:59:00.1 0 sh (10) < clone res=11(sh) exe=sh args= tid=10(sh) pid=10(sh) ptid=1(init) 
3 09:59:00.1 0 sh (11) < clone res=0 exe=sh args= tid=11(sh) pid=11(sh) ptid=10(sh) 
4 09:59:00.1 0 sh (11) < clone res=-11(EAGAIN) exe=sh 
5 09:59:00.1 0 sh (11) < read res=0 
`,
    )
    expect(calls).toEqual({
      [`${TEN} 10 sh clone`]: 1,
      [`${TEN} 11 sh clone`]: 1,
      [`${TEN} 11 sh read`]: 1,
    })
  })

  test.each([
    ['-pc', '21 09:59:00.9 1 web (9dbcbd0c435f) nginx (843:7) < read res=10 data=x '],
    ['-pc, of the host', '21 09:59:00.9 1 host (host) nginx (843:7) < read res=10 data=x '],
    ['-pk', '21 09:59:00.9 1 <NA> (host) nginx (843:7) < read res=10 data=x '],
    ['-t a', `21 ${TEN}.900000000 1 nginx (843) < read res=10 data=x `],
    ['-t a -pc', `21 ${TEN}.900000000 1 web (9dbcbd0c435f) nginx (843:7) < read res=10 `],
  ])('is read as %s prints it', (_, line) => {
    expect(text(`${line}\n`).calls).toEqual({ [`${TEN} 843 nginx read`]: 1 })
  })

  test('with times since the start or the last event has none that can be read', () => {
    const { calls, drops } = text('21 2.582187589 1 nginx (843) < read res=10 data=x \n')
    expect(calls).toEqual({})
    expect(drops).toEqual({ 'no-time': 1 })
  })

  test('goes on over midnight, also where a CPU is late', () => {
    const at = (time: string) => `1 ${time} 0 x (5) < read res=1 \n`
    const { calls } = text(
      at('23:59:59.5') + at('00:00:00.1') + at('23:59:59.9') + at('00:00:01.0'),
      undefined,
      MIDNIGHT + 2,
    )
    expect(calls).toEqual({
      [`${MIDNIGHT - 1} 5 x read`]: 2,
      [`${MIDNIGHT} 5 x read`]: 1,
      [`${MIDNIGHT + 1} 5 x read`]: 1,
    })
  })

  test('a newline in a name gives rejects and no forged count', () => {
    const { calls, drops } = text('1 10:00:00.0 0 a\nb (12) < read res=0\n')
    expect(calls).toEqual({})
    expect(drops).toEqual({ malformed: 2 })
  })
})

describe('parseFormatString()', () => {
  const line = (format: string, line: string) => text(`${line}\n`, format).calls

  test.each([
    ['%evt.rawtime %proc.pid %syscall.type', '1700000000123456789 5 read', '1700000000 5  read'],
    [
      '%evt.rawtime.s.%evt.rawtime.ns|%proc.pid|%evt.type',
      '1700000000.5|5|read',
      '1700000000 5  read',
    ],
    [
      '%evt.datetime %proc.pid %evt.dir %evt.type %proc.name',
      '2023-11-14 22:13:20.123456789 5 < read a b',
      '1700000000 5 a b read',
    ],
    [
      '%evt.time.iso8601 %proc.pid %evt.type',
      '2023-11-14T23:13:20.123456789+0100 5 read',
      '1700000000 5  read',
    ],
    [
      '%proc.name[%proc.pid/%thread.tid] %evt.rawtime %syscall.type',
      'a [1/1] b[5/5] 1700000000123456789 read',
      '1700000000 5 a [1/1] b read',
    ],
    [
      '%fd.name %evt.rawtime %proc.pid %syscall.type',
      '/a b 1700000000123456789 5 read',
      '1700000000 5  read',
    ],
    [
      '%12evt.rawtime %proc.pid %syscall.type %proc.cmdline',
      '1700000000123456789 5 read a b c',
      '1700000000 5  read',
    ],
  ])('understands %s', (format, text, want) => {
    expect(line(format, text)).toEqual({ [want]: 1 })
  })

  test('takes fields in any order for what they are', () => {
    const { calls, drops } = text(
      'x 5 read 1700000000123456789\n',
      '%proc.name %proc.pid %evt.type %evt.rawtime',
    )
    expect(calls).toEqual({ '1700000000 5 x read': 1 })
    expect(drops).toEqual({})
  })

  test.each([
    ['a time', '%proc.pid %syscall.type'],
    ['a pid', '%evt.rawtime %syscall.type'],
    ['a system call', '%evt.rawtime %proc.pid'],
    ['a time', ''],
  ])('refuses a format without %s', (what, format) => {
    const refused = () => text('x\n', format)
    expect(refused).toThrow(AgentError)
    expect(refused).toThrow(what)
  })
})

describe.each(['029', '041'])('a recorded capture printed by sysdig 0.%s', (version) => {
  test('gives the same calls as default line, own line and JSON', () => {
    const own = parseAll('sysdig-text', fixture(`sysdig/idle.own.${version}.txt.gz`))
    const json = parseAll('sysdig-json', fixture(`sysdig/idle.${version}.jsonl.gz`))
    const usual = parseAll('sysdig-text', fixture(`sysdig/idle.default.${version}.txt.gz`), {
      endMs: 1_795_426_700_000,
    })
    expect(Object.keys(own.calls).length).toBeGreaterThan(20)
    expect(json.calls).toEqual(own.calls)
    // The default line shows other events as well, so of the first 1,500 lines fewer are calls.
    for (const [key, count] of Object.entries(usual.calls)) {
      expect(own.calls[key] ?? 0).toBeGreaterThanOrEqual(count)
    }
    expect([own.drops, json.drops, usual.drops]).toEqual([{}, {}, {}])
  })
})
