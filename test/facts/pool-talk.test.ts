/** Who speaks the protocol of mining pools, by what stands in memory. */
import { describe, expect, test } from 'bun:test'
import { phraseIn, poolTalkOf } from '../../src/facts/pool-talk.ts'
import { regionsOf } from '../../src/facts/process-memory.ts'
import { isRoot } from '../support/privileges.ts'
import { until } from '../support/until.ts'

test.each<[string, boolean]>([
  ['{"id":1,"method":"mining.subscribe","params":[]}', true],
  ['{"method": "login", "params": {"login": "48edf", "pass": "x"}}', true],
  ['{"method":"job","params":{"blob":"0e0e","target":"b88d0600"}}', true],
  ['pool = stratum+tcp://pool.example:3333', true],
  ['{"method":"eth_submitWork","params":[]}', true],
  ['{"method":"POST","url":"/login","params":{}}', false],
  ['{"jsonrpc":"2.0","method":"initialize","params":{"capabilities":{}}}', false],
  ['{"method":"job","params":{"name":"nightly"}}', false],
])('%p is pool talk: %p', (text, expected) => {
  expect(phraseIn(`\0\0${text}\0`) !== undefined).toBe(expected)
})

test('memory that is written to and the own program are looked at, libraries are not', () => {
  const maps = `00400000-00401000 r--p 00000000 fe:01 77 /opt/w
00600000-00620000 rw-p 00000000 00:00 0 [heap]
7f00000000-7f00100000 r--p 00000000 fe:01 9 /usr/lib/libc.so.6
7f00200000-7f00300000 rw-p 00000000 00:00 0
7f00400000-7f00500000 ---p 00000000 00:00 0
7ff0000000-7ff0021000 rw-p 00000000 00:00 0 [stack]
garbage`
  const from = (program: string | undefined, anonymous: boolean) =>
    regionsOf(maps, { program, anonymous }).map((region) => region.from.toString(16))
  expect(from('/opt/w', true)).toEqual(['7ff0000000', '600000', '400000', '7f00200000'])
  // A program that lies on a user's own file system, and memory that a user may answer for.
  expect(from(undefined, true)).toEqual(['7ff0000000', '600000', '7f00200000'])
  expect(from('/opt/w', false)).toEqual(['400000'])
})

describe.skipIf(!isRoot)('of a process', () => {
  const talkOf = async (text: string) => {
    const script = `import time;s=bytes(reversed(${JSON.stringify([...text].reverse().join(''))}.encode()));print(len(s),flush=True);time.sleep(60)`
    const child = Bun.spawn(['/usr/bin/python3', '-c', script], { stdout: 'pipe' })
    try {
      const out = child.stdout.getReader()
      await until('the message in memory', async () => (await out.read()).value)
      return poolTalkOf(child.pid)
    } finally {
      child.kill('SIGKILL')
    }
  }

  test('it is found where a message was made', async () => {
    expect(await talkOf('{"id":1,"method":"mining.submit","params":[1]}')).toBe('mining.submit')
    expect(await talkOf('{"id":1,"method":"get_status","params":[1]}')).toBeUndefined()
  })

  test('one that is gone says nothing', () => {
    expect(poolTalkOf(2 ** 22 + 1)).toBeUndefined()
  })
})
