import { afterAll, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { LINE_BYTES_MAX } from '../../../src/domain/limits.ts'
import { syscallIndexOf } from '../../../src/domain/syscalls.ts'
import { readRecordings } from '../../../src/train/data/recording.ts'

const directory = await mkdtemp(join(tmpdir(), 'recording-'))
afterAll(() => rm(directory, { recursive: true }))

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

const line = (t: number, pid: number, name: string, counts: unknown, more: object = {}) =>
  `${JSON.stringify({ t, host: 'a', pid, name, counts, ...more })}\n`

test('readRecordings() reads the same from plain, .gz and .zst, one recording per host', async () => {
  const text =
    line(5, 1, 'nginx', { read: 2 }) +
    line(5, 2, 'cron', { openat: 1 }, { host: 'b' }) +
    line(6, 1, 'nginx', { read: 1, pread: 4 }, { label: 'really' })
  const paths = [
    await write('f.ndjson', text),
    await write('f.ndjson.gz', gzipSync(text)),
    await write('f.ndjson.zst', zstdCompressSync(text)),
  ]
  for (const path of paths) {
    const [a, b] = await readRecordings([path])
    expect([a!.host, b!.host, a!.vectors, b!.vectors]).toEqual(['a', 'b', 2, 1])
    expect(a!.frames.map(({ index }) => index)).toEqual([5, 6])
    expect([...a!.frames[1]!.syscalls]).toEqual([
      syscallIndexOf('read')!,
      syscallIndexOf('pread64')!,
    ])
    expect([...a!.frames[1]!.counts]).toEqual([1, 4])
    expect(a!.frames[1]!.labels).toEqual(['really'])
    expect(a!.frames[0]!.processes[0]).toBe(a!.frames[1]!.processes[0]!)
  }
})

test('readRecordings() makes one vector of a pid with several names in a second, under the last', async () => {
  const [recording] = await readRecordings([
    await write(
      'names.ndjson',
      line(5, 1, 'sh', { execve: 1, read: 1 }) +
        line(5, 1, 'ls', { read: 2, exit_group: 1 }) +
        line(5, 2, 'find', { read: 2 }) +
        line(5, 2, 'sh', { execve: 1 }),
    ),
  ])
  expect(recording!.frames[0]!.processes.map(({ name }) => name)).toEqual(['ls', 'find'])
  expect([...recording!.frames[0]!.counts].reduce((a, b) => a + b)).toBe(8)
})

test('readRecordings() takes a pid after its exit_group, after long silence, or with another start for a new process', async () => {
  const startOf = async (name: string, ...lines: string[]) => {
    const [recording] = await readRecordings([await write(name, lines.join(''))])
    return recording!.frames.map(({ processes }) => processes[0]!.startMs / 1000)
  }
  const call = { read: 1 }
  expect(await startOf('exit', line(5, 1, 'a', { exit_group: 1 }), line(6, 1, 'b', call))).toEqual([
    5, 6,
  ])
  expect(
    await startOf(
      'silent',
      line(5, 1, 'a', call),
      line(605, 1, 'a', call),
      line(1206, 1, 'a', call),
    ),
  ).toEqual([5, 5, 1206])
  expect(
    await startOf(
      'start',
      line(5, 1, 'a', call, { start: 3 }),
      line(6, 1, 'a', call, { start: 6 }),
    ),
  ).toEqual([3, 6])
})

test('readRecordings() counts what is no line and keeps seconds with losses', async () => {
  const path = await write(
    'bad.ndjson',
    [
      line(5, 1, 'a', { read: 1 }),
      'no json\n',
      '{"t":"5"}\n',
      line(5, -1, 'a', { read: 1 }),
      line(5, 2, 'a', { read: -1 }),
      line(5, 2, 'a', { read: 1.5 }),
      line(5, 3, 'a', {}),
      line(4, 1, 'a', { read: 1 }), // back in time
      `{"t":6,"host":"a","loss":{"sysdig":12}}\n`,
      `{"x":"${'y'.repeat(LINE_BYTES_MAX)}"}\n`,
      line(7, 1, 'a', { no_such_call: 3, NaN: null }),
      line(7, 1, 'a', { no_such_call: 3 }).trimEnd(),
    ].join(''),
  )
  const [recording] = await readRecordings([path])
  expect(recording!.refusedLines).toBe(9)
  expect(recording!.frames.map(({ index, lost }) => [index, lost])).toEqual([
    [5, 0],
    [6, 12],
    [7, 0],
  ])
  expect([...recording!.frames[2]!.syscalls]).toEqual([0]) // unknown to us: other
  expect(recording!.unknownCalls).toEqual(['no_such_call'])
})

test.each([
  ['{"t":5,', 'it is no JSON'],
  ['{"t":5,"pid":1,"name":"a","counts":{"read":NaN}}', 'it is no JSON'],
  ['{"t":5.5,"pid":1,"name":"a","counts":{"read":1}}', '"t" is no whole second'],
  ['{"t":5,"pid":0,"name":"a","counts":{"read":1}}', '"pid" is no whole number above 0'],
  ['{"t":5,"pid":1,"counts":{"read":1}}', '"name" is no text'],
  ['{"t":5,"pid":1,"name":"a","counts":7}', '"counts" is no object'],
  [
    '{"t":5,"pid":1,"name":"a","counts":{"read":-1}}',
    'the count of "read" is -1, no whole number from 0',
  ],
  ['{"t":5,"pid":1,"name":"a","counts":{"read":1e999}}', 'the count of "read" is Infinity'],
  ['{"t":5,"pid":1,"name":"a","counts":{"read\\u001b[2J":"x"}}', 'the count of "read'],
  ['{"t":5,"pid":1,"name":"a","counts":{"read":0}}', 'it counts nothing'],
  [
    '{"t":3,"host":"a","pid":1,"name":"a","counts":{"read":1}}',
    'its second 3 is before the last one',
  ],
])('readRecordings() says what is wrong with %s', async (bad, wrong) => {
  const [recording] = await readRecordings([
    await write(
      'wrong.ndjson',
      `${line(4, 1, 'a', { read: 1 })}${bad}\n${line(6, 1, 'a', { read: 1 })}no line`,
    ),
  ])
  expect(recording!.refusedLines).toBe(2)
  expect(recording!.refusedFirst).toStartWith(`line 2: ${wrong}`)
  expect(recording!.refusedFirst).not.toContain('\u001b')
})

test.each([
  ['empty.ndjson', '', 'none of its 0 lines is a vector'],
  ['text.ndjson', 'hello\nworld\n', 'none of its 2 lines is a vector'],
  ['broken.zst', 'not compressed', 'Cannot read frames file'],
])('readRecordings() refuses %s with what to do', async (name, content, message) => {
  await expect(readRecordings([await write(name, content)])).rejects.toThrow(message)
})

test('readRecordings() refuses a file that is not there', async () => {
  await expect(readRecordings(['/nowhere/x.ndjson'])).rejects.toMatchObject({ code: 'ERR_INPUT' })
})

test('readRecordings() reads CPU times, and processes that made no call', async () => {
  const text =
    line(5, 1, 'nginx', { read: 2 }, { cpu: 7 }) +
    line(5, 2, 'cron', { read: 1 }) +
    line(5, 3, 'miner', {}, { cpu: 998 }) +
    line(6, 1, 'nginx', { read: 1 })
  const [recording] = await readRecordings([await write('cpu.ndjson', text)])
  const [first, second] = recording!.frames
  expect([...first!.cpuMs!]).toEqual([7, 0])
  // As many vectors as processes: a silent one has none.
  expect(first!.offsets).toHaveLength(first!.processes.length + 1)
  expect(first!.silent!.map(({ process, cpuMs }) => [process.name, cpuMs])).toEqual([
    ['miner', 998],
  ])
  expect(recording!.vectors).toBe(3)
  expect(second).not.toHaveProperty('cpuMs')
})
