/**
 * Where the built binary takes its native libraries from, and what it leaves alone: the hole of a
 * library planted in a directory that anybody can write to, and hosts on which /tmp or the home are
 * of no use.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { agentBinary, type Ran, runAgent, runProgram } from '../support/agent-binary.ts'
import { canMount, canTrace, isRoot } from '../support/privileges.ts'

const canCompile = Bun.which('gcc') !== null

let folder = ''
beforeAll(() => {
  // Not below /tmp: some tests mount another /tmp.
  folder = mkdtempSync('/var/tmp/native-')
  chmodSync(folder, 0o755)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const findings = ({ stdout }: Ran): Map<string, { state: string; found: string }> =>
  new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map((finding) => [finding.check, finding]),
  )

function expectLoaded(ran: Ran, from?: string): void {
  const onnx = findings(ran).get('ONNX Runtime')
  expect(onnx, ran.stderr).toMatchObject({ state: 'ok' })
  if (from !== undefined) expect(onnx!.found).toContain(from)
  expect(findings(ran).get('model')).toMatchObject({ state: 'ok' })
}

/** A library that says that it was loaded, as soon as it is. */
async function plant(directory: string): Promise<string> {
  const mark = join(folder, `loaded-${directory.replaceAll('/', '-')}`)
  const source = join(folder, 'planted.c')
  writeFileSync(
    source,
    `#include <stdio.h>\n__attribute__((constructor)) static void now(void) { FILE *f = fopen("${mark}", "w"); if (f) fclose(f); }\n`,
  )
  const library = join(directory, 'libonnxruntime.so.1')
  const { code, stderr } = await runProgram([
    'gcc',
    '-shared',
    '-fPIC',
    '-Wl,-soname,libonnxruntime.so.1',
    '-o',
    library,
    source,
  ])
  if (code !== 0) throw new Error(stderr)
  return mark
}

describe.skipIf(!canCompile)('a planted libonnxruntime.so.1 is not loaded', () => {
  test('from $TMPDIR, the working directory or the home', async () => {
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    const mark = await plant(open)
    const state = join(folder, 'state-a')
    const ran = await runAgent(['doctor', '--json', '--state', state], {
      cwd: open,
      env: { TMPDIR: open, BUN_TMPDIR: open, HOME: open, XDG_CACHE_HOME: open },
    })
    expectLoaded(ran, state)
    expect(existsSync(mark)).toBe(false)
    expect(readdirSync(open)).toEqual(['libonnxruntime.so.1'])
  })

  test.skipIf(!canMount)('from /tmp, mounted noexec, without any home (as root)', async () => {
    const planted = join(folder, 'planted')
    mkdirSync(planted)
    const mark = await plant(planted)
    // The checkout may lie in /tmp itself, which is covered in a moment.
    const agent = join(folder, 'agent')
    copyFileSync(agentBinary(), agent)
    const script = `mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp && cp "${planted}/libonnxruntime.so.1" /tmp && cd /tmp &&
      env -i PATH=/usr/bin:/bin HOME=/nonexistent "${agent}" doctor --json --state "${folder}/state-b" && ls -A /tmp`
    const ran = await runProgram(['unshare', '--mount', 'sh', '-c', script])
    const lines = ran.stdout.trim().split('\n')
    expect(lines.pop()).toBe('libonnxruntime.so.1')
    expectLoaded({ ...ran, stdout: lines.join('\n') }, `${folder}/state-b/lib`)
    expect(existsSync(mark)).toBe(false)
  })

  test.skipIf(!isRoot)(
    'from a state whose library directory belongs to another user (as root)',
    async () => {
      const state = join(folder, 'state-c')
      mkdirSync(join(state, 'lib'), { recursive: true })
      const mark = await plant(join(state, 'lib'))
      chownSync(join(state, 'lib'), 65534, 65534)
      const cache = join(folder, 'cache')
      const ran = await runAgent(['doctor', '--json', '--state', state], {
        env: { XDG_CACHE_HOME: cache },
      })
      expectLoaded(ran, join(cache, 'callsign/lib'))
      expect(existsSync(mark)).toBe(false)
    },
  )
})

describe('native libraries', () => {
  test('lie in a directory of ours alone, whole, and are used again', async () => {
    const state = join(folder, 'state-d')
    expectLoaded(await runAgent(['doctor', '--json', '--state', state]), state)
    const lib = join(state, 'lib')
    expect(statSync(lib).mode & 0o777).toBe(0o700)
    const names = readdirSync(lib)
    expect(names).toHaveLength(3)
    const times = names.map((name) => statSync(join(lib, name)).mtimeMs)
    expectLoaded(await runAgent(['doctor', '--json', '--state', state]), state)
    expect(names.map((name) => statSync(join(lib, name)).mtimeMs)).toEqual(times)
  })

  test('are extracted anew where one was cut', async () => {
    const state = join(folder, 'state-e')
    await runAgent(['doctor', '--state', state])
    for (const name of readdirSync(join(state, 'lib'))) truncateSync(join(state, 'lib', name), 1000)
    expectLoaded(await runAgent(['doctor', '--json', '--state', state]), state)
  })

  test('of an earlier version are removed', async () => {
    const state = join(folder, 'state-f')
    mkdirSync(join(state, 'lib'), { recursive: true, mode: 0o700 })
    const old = `${'0'.repeat(32)}.so`
    writeFileSync(join(state, 'lib', old), '')
    writeFileSync(join(state, 'lib', 'not-ours'), '')
    await runAgent(['doctor', '--state', state])
    expect(readdirSync(join(state, 'lib'))).not.toContain(old)
    expect(readdirSync(join(state, 'lib'))).toContain('not-ours')
  })

  test.skipIf(!canMount)('need 50 MB, and a full disk says so', async () => {
    const state = join(folder, 'state-g')
    mkdirSync(state)
    const script = `mount -t tmpfs -o size=10m,mode=0700 tmpfs "${state}" && exec "${agentBinary()}" doctor --json --state "${state}"`
    const ran = await runProgram(['unshare', '--mount', 'sh', '-c', script])
    expect(ran.code).toBe(3)
    expect(findings(ran).get('ONNX Runtime')!.found).toContain('Cannot unpack a library')
    expect(findings(ran).get('state')).toMatchObject({ state: 'wrong' })
  })

  test.skipIf(!isRoot)(
    'work for a user with nothing writable but /tmp, and leave it clean',
    async () => {
      const temporary = join(folder, 'temporary')
      mkdirSync(temporary)
      chmodSync(temporary, 0o1777)
      // The binary must be readable for that user, wherever the checkout lies.
      const copy = join(folder, 'agent')
      writeFileSync(copy, readFileSync(agentBinary()), { mode: 0o755 })
      const ran = await runProgram(
        [
          'setpriv',
          '--reuid',
          '65534',
          '--regid',
          '65534',
          '--clear-groups',
          copy,
          'doctor',
          '--json',
        ],
        { env: { TMPDIR: temporary } },
      )
      expect(findings(ran).get('ONNX Runtime')).toMatchObject({ state: 'ok' })
      expect(readdirSync(temporary)).toEqual([])
    },
  )
})

describe.skipIf(!canTrace)('the running binary', () => {
  const traced = async (args: readonly string[], cwd: string): Promise<string> => {
    const out = join(folder, `trace-${Bun.hash(args.join(' '))}`)
    await runProgram(
      [
        ...[
          'strace',
          '-f',
          '-qq',
          '-e',
          'trace=openat,open,creat,mkdir,mkdirat,rename,renameat2,link,symlink,connect,sendto',
        ],
        ...['-o', out, agentBinary(), ...args],
      ],
      { cwd },
    )
    return readFileSync(out, 'utf8')
  }
  const written = (trace: string): string[] =>
    trace
      .split('\n')
      .filter((line) =>
        /O_WRONLY|O_RDWR|O_CREAT|\b(mkdir|mkdirat|rename|renameat2|link|symlink|creat)\(/.test(
          line,
        ),
      )
      .flatMap((line) => [...line.matchAll(/"([^"]*)"/g)].map(([, path]) => path!))

  test('writes nowhere and connects to nobody for --version, --help and settings', async () => {
    for (const args of [['--version'], ['--help'], ['config', 'show'], ['watch', '--help']]) {
      const trace = await traced(args, '/')
      expect(written(trace).filter((path) => !path.startsWith('/dev/'))).toEqual([])
      expect(trace).not.toContain('AF_INET')
    }
  })

  test('writes below its state only', async () => {
    const state = join(folder, 'state-h')
    const trace = await traced(['doctor', '--state', state], '/')
    const outside = written(trace).filter((path) => !path.startsWith(state))
    expect(outside.filter((path) => !/^\/(dev|proc\/self)\//.test(path))).toEqual([])
    expect(trace).not.toContain('AF_INET')
  })
})

test.skipIf(Bun.which('python3') === null)(
  'agent doctor notices that writable and executable memory is denied',
  async () => {
    const deny = `import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])`
    const ran = await runProgram([
      'python3',
      '-c',
      deny,
      agentBinary(),
      'doctor',
      '--json',
      '--state',
      join(folder, 'state-i'),
    ])
    // Kernels before 6.3 cannot deny it in this way.
    if (ran.code === 77) return
    expect(ran.code).toBe(3)
    expect(findings(ran).get('memory')).toMatchObject({ state: 'wrong' })
  },
)

test('agent watch keeps no more of ONNX Runtime resident than it uses', async () => {
  const state = join(folder, 'state-j')
  const agent = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', state], {
    ...{ stdin: 'pipe', stdout: 'ignore', stderr: 'pipe' },
  })
  // It says so when its model has run.
  for await (const chunk of agent.stderr)
    if (new TextDecoder().decode(chunk).includes('Watching')) break
  const mapped = readFileSync(`/proc/${agent.pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-)/m)
  agent.kill('SIGTERM')
  await agent.exited
  const library = mapped.filter((part) => part.split('\n')[0]!.includes(`${state}/lib/`))
  const resident = (part: string) => Number(/^Rss:\s+(\d+) kB$/m.exec(part)?.[1])
  const kilobytes = library.reduce((sum, part) => sum + resident(part), 0)
  expect(kilobytes).toBeGreaterThan(1_000)
  // 34 MB when its pages were not given back.
  expect(kilobytes).toBeLessThan(14_000)
  // What the binary carries: 19 MB.
  const carried = mapped.filter((part) => /^\S+ rw-p .* \/.*agent/.test(part.split('\n')[0]!))
  expect(carried.length).toBeGreaterThan(1)
  expect(carried.reduce((sum, part) => sum + resident(part), 0)).toBeLessThan(9_000)
})
