import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { canGoBack, mappings, payloadOf } from '../../src/platform/pages.ts'
import { agentBinary } from '../support/agent-binary.ts'

const part = (line: string, anonymous: number) => `${line}
Size:                  8 kB
Rss:                   8 kB
Anonymous:             ${anonymous} kB
LazyFree:              0 kB
VmFlags: rd mr mw me sd
`
const PAYLOAD = { start: 0x30000, bytes: 0x10000 }
const givenBack = (line: string, anonymous = 0) =>
  mappings(part(line, anonymous)).map((mapping) => canGoBack(mapping, PAYLOAD))

test('clean private mappings of files go back', () => {
  expect(givenBack('00010000-00012000 r-xp 00000000 fe:00 12  /usr/bin/agent')).toEqual([true])
  expect(givenBack('00010000-00012000 r--p 00000000 fe:00 12  /a dir/lib.so (deleted)')).toEqual([
    true,
  ])
})

test('what is written, shared, or of no file stays', () => {
  expect(givenBack('00010000-00012000 r-xp 00000000 fe:00 12  /usr/bin/agent', 4)).toEqual([false])
  expect(givenBack('00010000-00012000 rw-p 00000000 fe:00 12  /usr/bin/agent')).toEqual([false])
  expect(givenBack('00010000-00012000 r--s 00000000 fe:00 12  /var/lib/a.db-shm')).toEqual([false])
  expect(givenBack('00010000-00012000 rw-p 00000000 00:00 0 ')).toEqual([false])
  expect(givenBack('00010000-00012000 r-xp 00000000 00:00 0   [vdso]')).toEqual([false])
})

test('of writable mappings only those within the payload, unwritten', () => {
  expect(givenBack('00030000-00040000 rw-p 00000000 fe:00 12  /usr/bin/agent')).toEqual([true])
  expect(givenBack('00030000-00040000 rw-p 00000000 fe:00 12  /usr/bin/agent', 4)).toEqual([false])
  expect(givenBack('00020000-00040000 rw-p 00000000 fe:00 12  /usr/bin/agent')).toEqual([false])
})

test('every mapping of a real process is read', () => {
  const smaps = readFileSync('/proc/self/smaps', 'utf8')
  const found = mappings(smaps)
  expect(found.length).toBe(smaps.match(/^Rss:/gm)!.length)
  expect(found.some(({ path }) => path === process.execPath)).toBe(true)
})

test('the payload of a built binary is found, and lies within one of its segments', () => {
  const range = payloadOf(agentBinary())!
  // Libraries and model alone are more.
  expect(range.bytes).toBeGreaterThan(40_000_000)
  expect(range.start % 65_536).toBe(0)
})

test('a file that is no program has no payload', () => {
  expect(payloadOf(import.meta.path)).toBeUndefined()
})
