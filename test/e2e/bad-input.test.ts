/**
 * What comes in is bad, through the real binary: each has a message with the next step, the right
 * exit code, no stack, and the ledger still close. What single rooms do with the same is in their
 * own tests; sysdig's files are in test/commands/count.test.ts, refusing brokers in
 * pipeline.test.ts.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { agentBinary, type Ran, runAgent, runProgram } from '../support/agent-binary.ts'
import { fixturePath } from '../support/fixture.ts'
import { refusal } from '../support/kernel.ts'
import { ownLines } from '../support/lines.ts'
import { canMount, smallDisks } from '../support/small-disk.ts'

const SHIPPED = join(import.meta.dir, '../../models/default')
const RECORDING = fixturePath('frames/lab-98s.frames.ndjson.zst')

// A busy machine may take its time to start a binary of this size.
setDefaultTimeout(60_000)

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bad-input-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, bytes: Uint8Array | string) => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

/** No byte that a terminal would obey. */
function expectPlain(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
}

/** One error, one hint, nothing of our insides, nothing that moves a cursor. */
function expectRefusal({ code, stderr }: Ran, exitCode: number, message: string): void {
  expect(stderr).toContain(message)
  expect(stderr).toMatch(/^error: .*\nhint: .*$/m)
  expect(stderr).not.toMatch(/Unexpected|\.ts:\d+|\$bunfs/)
  expectPlain(stderr)
  expect(code).toBe(exitCode)
}

interface Ledger {
  readonly observed: number
  readonly counted: number
  readonly dropped: Record<string, number>
}

/** `agent count` of bytes, and its ledger, which must close. */
async function counted(
  name: string,
  bytes: Uint8Array | string,
): Promise<Ran & { ledger: Ledger }> {
  const ran = await runAgent(['count', put(name, bytes), '--json'])
  const line = ran.stderr.split('\n').find((text) => text.startsWith('{"observed"'))
  const ledger = JSON.parse(line ?? '{}') as Ledger
  const dropped = Object.values(ledger.dropped).reduce((sum, n) => sum + n, 0)
  expect(ledger.observed).toBe(ledger.counted + dropped)
  return { ...ran, ledger }
}

describe('captures', () => {
  test('one that was made with a filter on calls is not judged, says so once and ends with 3', async () => {
    const kept = ['read', 'write', 'writev', 'accept4', 'execve', 'clone', 'sendmsg', 'recvmsg']
    const lines = new TextDecoder().decode(Bun.zstdDecompressSync(readFileSync(RECORDING)))
    const filtered = lines.replaceAll(/"counts":\{([^}]*)\}/g, (_, counts: string) => {
      const cells = counts.split(',').filter((cell) => kept.includes(/\w+/.exec(cell)?.[0] ?? ''))
      return `"counts":{${cells.join(',')}}`
    })
    const { code, stdout, stderr } = await runAgent(['replay', put('filtered.ndjson', filtered)])
    expect(stdout).toBe('')
    expect(stderr.match(/made with a filter on calls/g)).toHaveLength(1)
    expect(stderr).toContain('0 windows judged, 0 alerts')
    expect(code).toBe(3)
  })

  test('agent replay of nothing and of rubbish says what it is not, and ends with 1', async () => {
    expectRefusal(await runAgent(['replay', put('empty', '')]), 1, 'it is empty')
    const rubbish = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) >> 3)
    expectRefusal(await runAgent(['replay', put('rubbish', rubbish)]), 1, 'Cannot recognise')
  })

  test.each([
    ['gz', (text: string) => gzipSync(text)],
    ['zst', () => readFileSync(RECORDING)],
    ['xz', (text: string) => Bun.spawnSync(['xz', '-1'], { stdin: Buffer.from(text) }).stdout],
  ])('a .%s that is cut gives what came before, and ends with 1', async (ending, pack) => {
    const whole = pack(ownLines(400))
    const cut = whole.subarray(0, whole.length / 2)
    const { ledger, code, stderr } = await counted(`cut.${ending}`, cut)
    expect(ledger.counted).toBeGreaterThan(0)
    expect(stderr).toContain('to its end')
    expect(code).toBe(1)
  })

  test('a line of 1 MiB is one dropped line; what is around it counts', async () => {
    const { ledger, code } = await counted(
      'long',
      `${ownLines(2)}${'x'.repeat(1_048_576)}\n${ownLines(2, 1_700_000_002)}`,
    )
    expect(ledger.counted).toBe(160)
    expect(Object.values(ledger.dropped)).toEqual([1])
    expect(code).toBe(0)
  })

  test('names with spaces, escapes, brackets and broken UTF-8 count, and come out safe', async () => {
    const head = ownLines(1)
    const line = (name: Uint8Array) =>
      Buffer.concat([Buffer.from('1700000000500000000 77 77 read '), name, Buffer.from('\n')])
    const names = ['a b  c', '\u001b]0;x\u0007', '(x) [y]', '\u202egnp.exe'].map((name) =>
      Buffer.from(name),
    )
    const odd = [...names, Uint8Array.of(0xff, 0xfe, 0x41)].map(line)
    const { stdout, ledger, code } = await counted(
      'odd',
      Buffer.concat([Buffer.from(head), ...odd]),
    )
    expect(ledger).toMatchObject({ counted: 45, dropped: {} })
    expectPlain(stdout)
    expect(stdout).not.toContain('\u202e')
    expect(code).toBe(0)
  })

  test('time that goes back and jumps a day neither fails nor makes frames for the gap', async () => {
    const text = ownLines(5) + ownLines(1, 1_699_990_000) + ownLines(5, 1_700_086_400)
    const { stdout, ledger, code } = await counted('jump', text)
    expect(ledger.observed).toBe(440)
    expect(ledger.counted).toBeGreaterThanOrEqual(400)
    expect(stdout.split('\n').length).toBeLessThan(30)
    expect(code).toBe(0)
  })

  test('100,000 processes in a minute are counted or dropped by reason', async () => {
    const lines: string[] = []
    for (let i = 0; i < 100_000; i++) {
      const nanoseconds = String((i % 1_667) * 500_000).padStart(9, '0')
      const pid = 1_000 + i
      lines.push(
        `${1_700_000_000 + Math.floor(i / 1_667)}${nanoseconds} ${pid} ${pid} read p${i % 100}`,
      )
    }
    const path = put('many', `${lines.join('\n')}\n`)
    const { code, stderr } = await runAgent([
      'replay',
      path,
      '--json',
      '--state',
      join(folder, 'm'),
    ])
    const ledger = JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as Ledger & {
      observed: { calls: number }
    }
    const dropped = Object.values(ledger.dropped).reduce((sum, n) => sum + n, 0)
    expect(ledger.observed.calls).toBe(100_000)
    expect(ledger.counted + dropped).toBe(100_000)
    // Reads alone: that is what a filter leaves.
    expect(code).toBe(3)
  })

  test('a file name cannot write to the terminal', async () => {
    expectRefusal(await runAgent(['replay', '/x/\u001b]0;title\u0007']), 1, 'there is no such file')
  })

  test('a named pipe that nobody writes to does not keep the agent from its signals', async () => {
    const path = join(folder, 'fifo')
    Bun.spawnSync(['mkfifo', path])
    const child = Bun.spawn([agentBinary(), 'count', path], {
      stdout: 'ignore',
      stderr: 'pipe',
      timeout: 30_000,
      killSignal: 'SIGKILL',
    })
    // Once it hears SIGTERM itself, it is on its way into the open(2) that waits for a writer.
    const hears = () =>
      (Number(
        `0x${/^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]?.slice(-8)}`,
      ) &
        (1 << 14)) !==
      0
    while (!hears()) await Bun.sleep(10)
    const again = setInterval(() => child.kill('SIGTERM'), 300)
    const code = await child.exited
    clearInterval(again)
    expect(child.signalCode).toBeNull()
    expect([0, 1, 130]).toContain(code)
    expectRefusal(
      await runAgent(['count', put('own', ownLines(1)), '--out', path]),
      1,
      'Cannot write',
    )
  })
})

describe('models', () => {
  const copy = (name: string) => {
    const path = join(folder, name)
    cpSync(SHIPPED, path, { recursive: true })
    return path
  }
  const replay = (model: string) => runAgent(['replay', RECORDING, '--model', model])

  test('one whose net was changed is refused by its hash, with 9', async () => {
    const model = copy('changed')
    const net = readFileSync(join(model, 'model.onnx'))
    net[net.length - 1]! ^= 1
    writeFileSync(join(model, 'model.onnx'), net)
    expectRefusal(await replay(model), 9, 'SHA-256')
  })

  test('one with another vocabulary is refused, and says what differs', async () => {
    const model = copy('words')
    const path = join(model, 'manifest.json')
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    manifest.vocabulary = manifest.vocabulary.filter((word: string) => word !== 'other')
    writeFileSync(path, JSON.stringify(manifest))
    expectRefusal(await replay(model), 5, 'vocabulary')
  })

  test('one without net, and none at all, are refused with 5', async () => {
    const model = copy('half')
    rmSync(join(model, 'model.onnx'))
    expectRefusal(await replay(model), 5, 'model.onnx')
    expectRefusal(await replay(join(folder, 'no-model')), 5, 'manifest.json')
  })
})

describe('places', () => {
  const disks = smallDisks()
  // Where the state takes no libraries, they go below the home.
  const watch = (state: string) =>
    runAgent(['watch', '--source', '-', '--state', state], {
      stdin: ownLines(5),
      env: { HOME: folder },
    })

  test('damaged files are set aside, one by one, and started anew', async () => {
    const state = join(folder, 'damaged')
    expect((await watch(state)).code).toBe(0)
    for (const name of ['frames.db', 'outbox.db', 'local.db'])
      writeFileSync(join(state, name), 'no database at all '.repeat(300))
    const { code, stderr } = await watch(state)
    expect(stderr).not.toContain('Unexpected')
    expect(code).toBe(0)
    const aside = readdirSync(state).filter((name) => name.includes('.damaged-'))
    expect(new Set(aside.map((name) => name.split('.')[0]))).toEqual(
      new Set(['frames', 'outbox', 'local']),
    )
  })

  test.skipIf(!canMount)('a read-only disk is refused with 6', async () => {
    const disk = disks(512)
    disk.remount('ro')
    expectRefusal(await watch(join(disk.path, 'state')), 6, 'state')
  })

  test.skipIf(!canMount)('a full disk is refused at start, with the place to free', async () => {
    const disk = disks(512)
    disk.fill()
    const ran = await watch(join(disk.path, 'state'))
    expect([1, 6]).toContain(ran.code)
    expectRefusal(ran, ran.code, disk.path)
  })

  test('two agents do not share a state directory: the second ends with 6', async () => {
    const state = join(folder, 'shared')
    const first = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', state], {
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    for await (const chunk of first.stderr)
      if (new TextDecoder().decode(chunk).includes('Watching')) break
    expectRefusal(await watch(state), 6, 'another agent uses it')
    first.stdin.end()
    await first.exited
  })

  test('certificates that cannot be read are told at start, not at each attempt to connect', async () => {
    const state = join(folder, 'tls')
    const words = ['watch', '--source', '-', '--state', state, '--broker', 'mqtts://127.0.0.1:1']
    const ran = await runAgent([...words, '--ca', join(folder, 'no.pem')], { stdin: ownLines(2) })
    expectRefusal(ran, 5, 'no.pem')
  })

  // Root without capabilities is a user like any other, and reaches the binary wherever the
  // checkout is.
  const canShed = Bun.which('setpriv') !== null && process.geteuid?.() === 0
  test.skipIf(!canShed)('a state that is not ours to read is not taken for none', async () => {
    const state = join(folder, 'private')
    expect((await watch(state)).code).toBe(0)
    chownSync(state, 65_534, 65_534)
    const shed = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all']
    for (const command of ['status', 'alerts']) {
      const ran = await runProgram([...shed, agentBinary(), command, '--state', state])
      expectRefusal(ran, 6, 'permission denied')
    }
  })

  test('a replay that is interrupted says so in its exit code', async () => {
    const state = join(folder, 'interrupted')
    const child = Bun.spawn(
      [agentBinary(), 'replay', RECORDING, '--pace', 'real', '--state', state],
      { stdout: 'ignore', stderr: 'ignore', env: { HOME: folder } },
    )
    while ((await runAgent(['status', '--state', state])).code !== 0) await Bun.sleep(50)
    child.kill('SIGINT')
    expect(await child.exited).toBe(130)
  })

  test('lost calls show in the log and in the ledger, which end with 3', async () => {
    const state = join(folder, 'lossy')
    const lines = Array.from({ length: 20 }, (_, i) => {
      const t = 1_700_000_000 + i
      return [
        JSON.stringify({ t, host: 'a', pid: 812, name: 'nginx', counts: { read: 9 } }),
        JSON.stringify({ t, loss: { sysdig: 5 } }),
      ].join('\n')
    })
    const path = put('lossy.frames.ndjson', `${lines.join('\n')}\n`)
    const { stderr } = await runAgent(['replay', path, '--state', state])
    expect(stderr).toContain('Calls were lost')
    const { code, stdout } = await runAgent(['status', '--state', state])
    expect(stdout).toContain('not judged for lost calls')
    expect(code).toBe(3)
  })

  test('a full stdout is an error with a next step', async () => {
    const path = put('lines', ownLines(2))
    const script = `"${agentBinary()}" count "${path}" >/dev/full`
    expectRefusal(await runProgram(['sh', '-c', script]), 1, 'Cannot write stdout')
  })

  test('nothing is run from the present directory, whatever the PATH says', async () => {
    const here = join(folder, 'here')
    mkdirSync(here)
    symlinkSync('/bin/true', join(here, 'xz'))
    const packed = Bun.spawnSync(['xz'], { stdin: Buffer.from(ownLines(2)) }).stdout
    const path = put('there.xz', packed)
    const ran = await runAgent(['count', path], { cwd: here, env: { PATH: '.:' } })
    expectRefusal(ran, 1, '"xz" is not installed')
  })
})

test.skipIf(refusal !== undefined)(
  `what the environment says of a running collector is not believed (skipped: ${refusal ?? 'no'})`,
  async () => {
    const collector = { pid: 1, records: 3, messages: 4, control: 5 }
    for (const handed of ['junk', JSON.stringify(collector)]) {
      const { code, stdout, stderr } = await runAgent(
        ['record', '--source', 'kernel', '--duration', '2s', '--state', join(folder, 'kernel')],
        { env: { CALLSIGN_KERNEL_COLLECTOR: handed, CALLSIGN_KERNEL_COUNTER: 'junk' } },
      )
      expect(stderr).not.toContain('error:')
      expect(stdout).toContain('"counts"')
      expect(code).toBe(0)
    }
  },
)

test.each([
  [['record', '--source', '-', '--duration', '99999999999999999999d'], '3650 days'],
  [['watch', '--source', '-', '--learn', '9999999d'], '3650 days'],
  [['watch', '--source', '-', '--host', 'a\u001b[31mb'], 'part of a topic'],
  [['replay', RECORDING, '--pace', '0'], '--pace'],
])('%j is refused with 2', async (words, message) => {
  const { code, stderr } = await runAgent(words)
  expect(stderr).toContain(message)
  expectPlain(stderr)
  expect(code).toBe(2)
})
