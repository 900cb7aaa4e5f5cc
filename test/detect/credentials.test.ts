/** Who gathers secrets, and who only reads their own. */
import { expect, test } from 'bun:test'
import { Credentials } from '../../src/detect/credentials.ts'
import { Lineage } from '../../src/detect/lineage.ts'
import { SECRET_KINDS } from '../../src/domain/secrets.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

const bits = (...names: (typeof SECRET_KINDS)[number]['name'][]) =>
  SECRET_KINDS.reduce((all, { name }, i) => (names.includes(name) ? all | (1 << i) : all), 0)
const KEYS = bits('SSH keys')
const HASHES = bits('password hashes')
const CLOUD = bits('cloud and Git credentials')

/** @param opened in one second each */
function gather(
  exe: string,
  opened: readonly number[],
  {
    every = 1,
    tool,
    opens = 400,
    secretOpens = 2,
  }: { every?: number; tool?: string; opens?: number; secretOpens?: number } = {},
) {
  const lineage = new Lineage()
  const credentials = new Credentials(lineage)
  return opened.flatMap((secrets, i) => {
    const second = 1_000 + i * every
    const above: Calls = { pid: 7, exe, startMs: 1_000, counts: { read: 1, openat: opens } }
    const activity = { secrets, secretOpens }
    const frame = frameOf(
      second,
      tool === undefined
        ? [{ ...above, activity }]
        : [
            above,
            { ...above, ...{ pid: 100 + i, ppid: 7, exe: tool, startMs: second * 1000, activity } },
          ],
    )
    lineage.push(frame)
    return credentials.push(frame).map(({ process, kinds }) => `${process.pid} ${kinds.length}`)
  })
}

test('tar of nothing but secrets gathers them', () => {
  expect(gather('/usr/bin/tar', [KEYS | HASHES | CLOUD, KEYS], { opens: 26 })).toEqual(['7 3'])
})

test.each<[string, string, number[], string[]]>([
  [
    'an interpreter that opens three kinds',
    '/usr/bin/python3.11',
    [KEYS, HASHES, CLOUD, KEYS],
    ['7 3'],
  ],
  ['all in one second', '/opt/x/crawl', [KEYS | HASHES | CLOUD, KEYS], ['7 3']],
  ['one that opens two', '/usr/bin/python3.11', [KEYS, CLOUD, KEYS, CLOUD], []],
  ['ssh with three keys', '/usr/bin/ssh', [KEYS, KEYS, KEYS], []],
  ['a backup', '/usr/bin/restic', [KEYS | HASHES | CLOUD, KEYS], []],
  ['tar of a whole home', '/usr/bin/tar', [KEYS | HASHES | CLOUD, KEYS], []],
])('%s', (_, exe, opened, expected) => {
  expect(gather(exe, opened)).toEqual(expected)
})

test('the tools of a script count together, and for the script', () => {
  expect(gather('/usr/bin/bash', [KEYS, HASHES, CLOUD], { tool: '/usr/bin/cat' })).toEqual(['7 3'])
})

test.each([
  ['of 27 files that tar opens two secrets', '/usr/bin/tar', { opens: 27 }, ['7 3']],
  ['of 29 files two', '/usr/bin/tar', { opens: 29 }, []],
  ['four openings', '/opt/x/crawl', { secretOpens: 4 }, ['7 3']],
  ['three openings', '/opt/x/crawl', { secretOpens: 3 }, []],
])('all kinds in one second, %s', (_, exe, more, expected) => {
  const kinds = KEYS | HASHES | CLOUD
  expect(gather(exe, 'secretOpens' in more ? [kinds] : [kinds, kinds], more)).toEqual(expected)
})

test.each([
  [28, ['7 3']],
  [31, []],
])('three kinds, one every %d seconds', (every, expected) => {
  expect(gather('/usr/bin/python3.11', [KEYS, HASHES, CLOUD], { every })).toEqual(expected)
})

test('what was opened minutes ago does not count', () => {
  expect(gather('/usr/bin/python3.11', [KEYS, HASHES, CLOUD], { every: 61 })).toEqual([])
})

test('what was opened before the clock was set back does not count', () => {
  expect(gather('/usr/bin/python3.11', [KEYS, HASHES, CLOUD], { every: -61 })).toEqual([])
})
