/** `agent count` and `agent record` as a stranger calls them, good input and bad. */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import { defined } from '../../src/domain/defined.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { fixture, fixturePath } from '../support/fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'callsign-test-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const put = (name: string, bytes: Uint8Array | string) => {
  writeFileSync(join(directory, name), bytes)
  return name
}

function agent(words: string[], stdin?: Uint8Array) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, cli, ...words], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, AGENT_STATE: join(directory, 'state') },
    ...defined({ stdin }),
    timeout: 60_000,
  })
  return { exitCode, out: stdout.toString(), said: stderr.toString() }
}

const own = '1700000010123456789 5 5 read x\n1700000011123456789 5 5 write x\n'
const frames =
  '{"t":1700000010,"pid":5,"start":1700000010,"name":"x","counts":{"read":1}}\n' +
  '{"t":1700000011,"pid":5,"start":1700000010,"name":"x","counts":{"write":1}}\n'

describe('agent count', () => {
  test('writes frames to stdout and the ledger to stderr', () => {
    const { exitCode, out, said } = agent(['count', put('own.txt', own)])
    expect(out).toBe(frames)
    expect(said).toBe('2 calls observed = 2 counted + 0 dropped; 2 frames, 2 vectors\n')
    expect(exitCode).toBe(0)
  })

  test('reads stdin, several files, and what it wrote itself, packed by its name', () => {
    expect(agent(['count', '-'], new TextEncoder().encode(own)).out).toBe(frames)
    put('own.txt', own)
    expect(agent(['count', 'own.txt', 'own.txt']).out).toBe(frames + frames)
    expect(agent(['count', 'own.txt', '--out', 'f.zst']).out).toBe('')
    expect(zstdDecompressSync(readFileSync(join(directory, 'f.zst'))).toString()).toBe(frames)
    expect(agent(['count', 'f.zst']).out).toBe(frames)
  })

  test.each([
    [
      'nothing but lines without a process',
      '1700000010.123456 read(3, "", 1) = 0\n',
      'no-process',
      '--pid',
    ],
    ['times since the start', '5 0.000123 read(3, "", 1) = 0\n', 'no-time', '-ttt'],
    ['lines without a time', 'read(3, "", 1) = 0\n', 'no-time', '-ttt'],
    [
      'times since the last event',
      '1 0.000001562 0 x (5) < read res=0 \n',
      'no-time',
      'sysdig -t a',
    ],
  ])('of %s ends with 1 and says what to do', (_, text, reason, advice) => {
    const { exitCode, out, said } = agent(['count', put('nothing.txt', text)])
    expect(out).toBe('')
    expect(said).toMatch(
      new RegExp(`error: Cannot count "nothing.txt": of 1 calls none.*${reason}`),
    )
    expect(said).toContain(advice)
    expect(exitCode).toBe(1)
  })

  test('a trace of which some lines name no process is counted as far as it can be, and ends with 3', () => {
    const text =
      '1700000010.1234 read(3, "", 1) = 0\n[pid 5] 1700000010.123456 read(3, "", 1) = 0\n'
    const { exitCode, out, said } = agent(['count', put('some.strace', text)])
    expect(out).toContain('"counts":{"read":1}')
    expect(said).toContain('hint: 1 calls name no process.')
    expect(exitCode).toBe(3)
    const told = agent(['count', 'some.strace', '--pid', '7', '--name', 'sh'])
    expect(told.out).toContain('"pid":7,"start":1700000010,"name":"sh"')
    expect(told.exitCode).toBe(0)
    const given = agent([
      'count',
      put('day.strace', '22:13:20 read(3, "", 1) = 0\n'),
      '--pid',
      '7',
      '--date',
      '2023-11-14',
    ])
    expect(given.out).toContain('"t":1700000000')
    expect(agent(['count', 'day.strace', '--date', 'today']).exitCode).toBe(2)
  })

  test('--fail-on-loss ends with 11 for whatever was dropped', () => {
    const flag = '--fail-on-loss'
    expect(agent(['count', put('own.txt', own), flag]).exitCode).toBe(0)
    expect(agent(['count', put('bad.txt', `${own}rubbish\n`), flag]).exitCode).toBe(11)
    expect(
      agent(['count', put('late.txt', `${own}1700000001123456789 5 5 read x\n`), flag]).exitCode,
    ).toBe(11)
    const hosts = ['a', 'b'].map(
      (host) => `{"t":1700000010,"host":"${host}","pid":5,"name":"x","counts":{"read":1}}\n`,
    )
    expect(agent(['count', put('hosts.ndjson', hosts.join('')), flag]).exitCode).toBe(11)
    const one = agent(['count', 'hosts.ndjson', flag, '--only-host', 'b', '--host', 'c'])
    expect(one.out).toContain('"host":"c"')
    expect(one.exitCode).toBe(0)
  })

  test('a file that holds no call at all is no success', () => {
    const { exitCode, said } = agent([
      'count',
      put('idle.ndjson', '{"t":1700000010,"pid":5,"name":"x","counts":{}}\n'),
    ])
    expect(said).toContain('it contains no system calls')
    expect(exitCode).toBe(1)
  })

  test('traces of one process each (strace -ff) are one, in the order of their times', () => {
    put(
      'ff.41',
      '1700000010.100000 execve("/bin/sh", ["sh"], 0x1) = 0\n1700000010.200000 vfork() = 42\n1700000013.000000 wait4(-1) = 42\n',
    )
    put(
      'ff.42',
      '1700000010.300000 getpid() = 42\n1700000012.000000 execve("/bin/ls", ["ls"], 0x1) = 0\n1700000012.5 +++ exited with 0 +++\n',
    )
    const { exitCode, out, said } = agent(['count', 'ff.42', 'ff.41'])
    expect(out.trimEnd().split('\n')).toEqual([
      '{"t":1700000010,"pid":41,"start":1700000010,"name":"sh","counts":{"vfork":1,"execve":1}}',
      '{"t":1700000010,"pid":42,"start":1700000010,"name":"sh","counts":{"getpid":1}}',
      '{"t":1700000012,"pid":42,"start":1700000010,"name":"ls","counts":{"execve":1}}',
      '{"t":1700000013,"pid":41,"start":1700000010,"name":"sh","counts":{"wait4":1}}',
    ])
    expect(said).toContain('5 calls observed = 5 counted')
    expect(exitCode).toBe(0)
  })

  test('--json gives the ledger as an object, on stderr', () => {
    const { said } = agent([
      'count',
      put('na.txt', `${own}1700000011123456789 <NA> <NA> read y\n`),
      '--json',
    ])
    expect(JSON.parse(said)).toMatchObject({
      observed: 3,
      counted: 2,
      dropped: { 'no-process': 1 },
    })
  })

  test('says how many calls were not counted, and shows one of each kind, made safe', () => {
    const { said, exitCode } = agent(['count', put('odd.txt', `${own}\u001b[2Jrubbish here\n`)])
    expect(said).toContain('2 counted + 1 dropped')
    expect(said).toContain('1 malformed, for example "?[2Jrubbish here"')
    expect(exitCode).toBe(0)
  })

  test.each<[string, string[], number, string]>([
    ['a file that is not there', ['none.txt'], 1, 'there is no such file'],
    ['an empty file', [put('empty.txt', '')], 1, 'it is empty'],
    ['a directory', ['.'], 1, 'it is a directory'],
    [
      'rubbish',
      [
        put(
          'rnd.bin',
          new Uint8Array(100_000).map((_, i) => (i * 7919) >> 3),
        ),
      ],
      1,
      'Cannot recognise',
    ],
    ['a line without end', [put('long.txt', 'x'.repeat(1_048_576))], 1, 'Cannot recognise'],
    [
      'a format without time',
      ['own.txt', '--format', '%proc.pid %evt.type'],
      2,
      'no field for a time',
    ],
    [
      'an out that cannot be',
      ['own.txt', '--out', '/proc/nonexistent/x'],
      1,
      'Cannot write "/proc/nonexistent/x"',
    ],
    ['a full disk', ['own.txt', '--out', '/dev/full'], 1, 'ENOSPC'],
  ])('refuses %s with one message and no stack', (_, words, code, message) => {
    put('own.txt', own)
    const { exitCode, said } = agent(['count', ...words])
    expect(said).toContain(message)
    expect(said).not.toMatch(/\.ts:\d+|\$bunfs/)
    expect(exitCode).toBe(code)
  })

  test.skipIf(findProgram('sysdig') === undefined)('takes a cut capture for what is in it', () => {
    const cut = fixture('scap/busy.scap').subarray(0, 1_500_000)
    const { exitCode, out, said } = agent(['count', put('cut.scap', cut)])
    expect(said).toContain('The capture is truncated')
    expect(out.split('\n').length).toBeGreaterThan(100)
    expect(exitCode).toBe(0)
  })

  test('without sysdig a capture is an error that says what to install', () => {
    const { exitCode, stderr } = Bun.spawnSync(
      [process.execPath, cli, 'count', fixturePath('scap/idle.scap')],
      { cwd: directory, env: { PATH: '/nonexistent', HOME: directory } },
    )
    expect(stderr.toString()).toContain('apt install sysdig')
    expect(exitCode).toBe(7)
  })
})

describe('agent record', () => {
  test('writes what comes through a pipe, with host and label', () => {
    const { exitCode, out } = agent(
      ['record', '--source', '-', '--host', 'h', '--label', 'y'],
      new TextEncoder().encode(own),
    )
    expect(out.split('\n')[0]).toBe(
      '{"t":1700000010,"host":"h","pid":5,"start":1700000010,"name":"x","counts":{"read":1},"label":"y"}',
    )
    expect(exitCode).toBe(0)
  })

  test('--json gives the ledger as the last line of stderr, --tree the names that processes had', () => {
    const { said } = agent(
      ['record', '--source', '-', '--out', 'r.ndjson', '--tree', 'r.tsv', '--json'],
      new TextEncoder().encode(own),
    )
    const ledger = { observed: 2, counted: 2, dropped: {}, frames: 2, vectors: 2, lostSeconds: 0 }
    expect(JSON.parse(said.trimEnd().split('\n').at(-1)!)).toMatchObject(ledger)
    expect(readFileSync(join(directory, 'r.tsv'), 'utf8')).toBe('1700000010\tX\t5\tx\n')
  })

  test('--hosts is for the kernel source alone', () => {
    const { exitCode, said } = agent(['record', '--source', '-', '--hosts', put('hosts.tsv', '')])
    expect(said).toContain('only the kernel source distinguishes hosts')
    expect(exitCode).toBe(2)
  })
})
