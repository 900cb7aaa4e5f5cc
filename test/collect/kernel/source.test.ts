/**
 * The kernel source for real, as root: what programs do in exact numbers must be in the frames in
 * exactly these numbers. One collector watches all programs of the first block at once, which is
 * also the harder test.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { SYSCALLS } from '../../../src/domain/syscalls.ts'
import {
  callsOf,
  compileCalls,
  cpuOf,
  identitiesOf,
  makes32BitCalls,
  type Recording,
  recordWhile,
  refusal,
  run,
} from '../../support/kernel.ts'

const here = refusal === undefined ? 'here' : `here (skipped: ${refusal})`
const SKIP = refusal !== undefined
/**
 * The kernel's pids are the host's: in a pid namespace a test cannot know them. Its inode is the
 * kernel's own first.
 */
const SEES_HOST_PIDS = readlinkSync('/proc/self/ns/pid') === 'pid:[4026531836]'
/** Absent before 6.6, where it cannot be forbidden either. */
const URING_SWITCH = '/proc/sys/kernel/io_uring_disabled'
const HAS_URING = existsSync(URING_SWITCH) && readFileSync(URING_SWITCH, 'utf8').startsWith('0')
const STORM = 250_000
const SHORTS = 200

let calls: ReturnType<typeof compileCalls>
if (!SKIP) {
  calls = compileCalls(
    ...['kc-storm', 'kc-parent', 'kc-once', 'kc-rename', 'kc-before', 'kc-after'],
    ...[
      'kc-compat',
      'kc-strange',
      'kc-reuse',
      'kc-inside',
      'kc-steady',
      'kc-orphan',
      'kc-spin',
      'kc-uring',
      'kc-sqpoll',
      'kc-relative',
      'kc-linked-to',
    ],
  )
}
afterAll(() => calls?.remove())

describe.skipIf(SKIP)(`kernelSource() ${here}`, () => {
  let recording: Recording
  let renamedPid = 0
  let goneParent = 0
  let spunMs = 0
  beforeAll(async () => {
    const p = (name: string) => calls.path(name)
    recording = await recordWhile(async () => {
      const rename = Bun.spawn([p('kc-rename'), 'rename', '1500'])
      renamedPid = rename.pid
      await Promise.all([
        run(p('kc-storm'), 'storm', String(STORM), '2', '3'),
        run(p('kc-parent'), 'short', String(SHORTS), p('kc-once')),
        run(p('kc-before'), 'exec', '700', p('kc-after')),
        ...(makes32BitCalls ? [run(p('kc-compat'), 'compat', '900')] : []),
        run(p('kc-strange'), 'strange', '40'),
        run(p('kc-reuse'), 'reuse', '60'),
        run('unshare', '--pid', '--fork', p('kc-inside'), 'plain', '800'),
        rename.exited,
        run('sh', '-c', `cd ${p('.')}; for i in $(seq 150); do ./kc-relative once & done; wait`),
        run('sh', '-c', `cd ${p('.')} && ln -s kc-linked-to kc-linked && ./kc-linked plain 3`),
        // A name space of mounts of its own, so that nothing stays mounted.
        run(
          ...['unshare', '--mount', 'sh', '-c'],
          'mkdir "$0" && mount -t tmpfs none "$0" && mkdir "$0/deep" && cp "$1" "$0/deep/kc-mounted" && exec "$0/deep/kc-mounted" plain 3',
          ...[p('mount'), p('kc-once')],
        ),
        ...(HAS_URING
          ? [run(p('kc-uring'), 'uring', '700'), run(p('kc-sqpoll'), 'uring', '400', 'poll')]
          : []),
        run(p('kc-spin'), 'spin', '5', '2').then((text) => {
          spunMs = Number.parseInt(text, 10)
        }),
        // Becomes kc-orphan when its parent is gone, and its parent's parent has it.
        run(
          ...['sh', '-c'],
          'echo $$; (while kill -0 $$; do sleep 0.01; done 2>/dev/null; exec "$0" plain 70) &',
          p('kc-orphan'),
        ).then((text) => {
          goneParent = Number.parseInt(text, 10)
        }),
      ])
    })
  }, 240_000)

  test('counts every call of several threads and processes, once', () =>
    expect(callsOf(recording.frames, 'kc-storm', 'getppid')).toBe(STORM * 2 * 3))

  test('closes the ledger: all that was observed is counted or lost by the kernel, and hardly anything is lost', () => {
    const { observed, counted, dropped } = recording.counter.ledger()
    // The whole machine is counted, whatever else runs on it: beside a package manager 98 calls
    // found no room.
    const { 'lost(kernel)': lost = 0, ...others } = dropped
    expect(others).toEqual({})
    expect(counted + lost).toBe(observed)
    expect(lost / observed).toBeLessThan(1e-3)
    expect(recording.parser.status.complete).toBe(true)
  })

  test('knows processes by name that are gone before /proc could be read', () => {
    expect(callsOf(recording.frames, 'kc-once', 'getppid')).toBe(SHORTS)
    expect(identitiesOf(recording.frames, /^kc-once$/).length).toBeGreaterThan(SHORTS * 0.95)
  })

  test.each([
    ['by a relative path, however many start at once', 'kc-relative', 150],
    ['through a symbolic link', 'kc-linked', 1],
    ['from another mount', 'kc-mounted', 1],
  ])('tells what was executed %s', (_, name, count) => {
    const found = identitiesOf(recording.frames, new RegExp(`^${name}$`))
    expect(found.length).toBeGreaterThanOrEqual(count * 0.95)
    const file = name === 'kc-linked' ? calls.path('kc-linked-to') : calls.path(name)
    const exe = name === 'kc-mounted' ? `${calls.path('mount')}/deep/${name}` : file
    expect(new Set(found.map(({ exe }) => exe))).toEqual(new Set([exe]))
  })

  test('tells parent, user, start and executable of such a process', () => {
    const [process] = identitiesOf(recording.frames, /^kc-once$/)
    expect(process).toMatchObject({ uid: 0, exe: calls.path('kc-once') })
    expect(process!.ppid).toBeGreaterThan(1)
    expect(Math.abs(process!.startMs - Date.now())).toBeLessThan(60_000)
    expect(process!.startMs % 1000).toBe(0)
  })

  test.skipIf(!SEES_HOST_PIDS)(
    'keeps the identity of a process that renames itself each millisecond',
    () => {
      const identities = identitiesOf(recording.frames, /^(kc-rename|renamed-)/)
      expect(identities.map(({ pid }) => pid)).toEqual([renamedPid])
      expect(callsOf(recording.frames, /^(kc-rename|renamed-)/, 'getppid')).toBe(1501)
    },
  )

  test.skipIf(!SEES_HOST_PIDS)('shows in each second the name that was presented last', () => {
    const names = recording.frames.flatMap(({ processes }) =>
      processes.filter(({ pid }) => pid === renamedPid).map(({ name }) => name),
    )
    expect(new Set(names).size).toBe(names.length)
    expect(names.at(-1)).toBe('renamed-last')
  })

  test('keeps the identity over an exec and presents the new name', () => {
    const before = identitiesOf(recording.frames, /^kc-before$/)
    const after = identitiesOf(recording.frames, /^kc-after$/)
    expect(after).toHaveLength(1)
    // Both in one second: the second bears the last name. In two: the same pid@start.
    for (const { pid, startMs } of before)
      expect({ pid, startMs }).toEqual({ pid: after[0]!.pid, startMs: after[0]!.startMs })
    expect(callsOf(recording.frames, /^kc-(before|after)$/, 'getppid')).toBe(1400)
    expect(after[0]!.exe).toBe(calls.path('kc-after'))
  })

  test.skipIf(!makes32BitCalls)('names 32-bit calls of a 64-bit program rightly', () => {
    expect(callsOf(recording.frames, 'kc-compat', 'getppid')).toBe(900)
    // What the number would mean for 64-bit calls.
    expect(callsOf(recording.frames, 'kc-compat', 'semget')).toBe(0)
  })

  test('counts numbers that no kernel has as other', () =>
    expect(callsOf(recording.frames, 'kc-strange', SYSCALLS[0]!)).toBeGreaterThanOrEqual(80))

  test.skipIf(!SEES_HOST_PIDS)('takes a pid that came back for another process', () => {
    const reused = identitiesOf(recording.frames, /^kc-reuse$/)
    const pids = reused.map(({ pid }) => pid)
    expect(new Set(pids).size).toBe(pids.length - 1)
    expect(callsOf(recording.frames, 'kc-reuse', 'getppid')).toBe(120)
  })

  test('counts what runs in a pid namespace under its pid on the host', () => {
    const [inside] = identitiesOf(recording.frames, /^kc-inside$/)
    expect(inside!.pid).toBeGreaterThan(1)
    expect(callsOf(recording.frames, 'kc-inside', 'getppid')).toBe(800)
  })

  test('tells which pid namespace a process lives in', () => {
    const own = Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0])
    expect(identitiesOf(recording.frames, /^kc-(storm|once|orphan)$/)).not.toHaveLength(0)
    for (const { pidNamespace } of identitiesOf(recording.frames, /^kc-(storm|once|orphan)$/))
      expect(pidNamespace).toBe(own)
    const [inside] = identitiesOf(recording.frames, /^kc-inside$/)
    expect(inside!.pidNamespace).toBeGreaterThan(0)
    expect(inside!.pidNamespace).not.toBe(own)
  })

  test.skipIf(!SEES_HOST_PIDS)('tells who made a process, though others have inherited it', () => {
    const [orphan] = identitiesOf(recording.frames, /^kc-orphan$/)
    expect(orphan!.ppid).toBe(goneParent)
  })

  test('tells the CPU time of a process that computes in two threads and makes no call', () => {
    const cpuMs = cpuOf(recording.frames, 'kc-spin')
    const silentSeconds = recording.frames.filter(({ silent = [] }) =>
      silent.some(({ process }) => process.name === 'kc-spin'),
    )
    expect(silentSeconds.length).toBeGreaterThanOrEqual(1)
    // As of the last tick of each thread; the second in which a loaded machine drained late has
    // none.
    expect(cpuMs).toBeGreaterThan(spunMs * 0.5)
    expect(cpuMs).toBeLessThan(spunMs * 1.05 + 20)
  })

  test('tells the CPU time of processes that call, too', () => {
    expect(cpuOf(recording.frames, 'kc-storm')).toBeGreaterThan(0)
    for (const { processes, cpuMs } of recording.frames)
      expect(cpuMs?.length ?? processes.length).toBe(processes.length)
  })

  test.skipIf(!HAS_URING)('counts what is submitted to io_uring as the calls it stands for', () => {
    expect(callsOf(recording.frames, 'kc-uring', 'fsync')).toBe(700)
    expect(callsOf(recording.frames, 'kc-uring', 'io_uring_enter')).toBe(700)
    expect(callsOf(recording.frames, 'kc-sqpoll', 'fsync')).toBe(400)
  })

  test('leaves the agent and its collector out', () => {
    const pids = new Set(recording.frames.flatMap(({ processes }) => processes.map((p) => p.pid)))
    expect(pids.has(process.pid)).toBe(false)
    expect(pids.has(recording.source.pid!)).toBe(false)
  })

  test('gives frames of consecutive seconds, also where nothing was called', () => {
    const indexes = recording.frames.map(({ index }) => index)
    expect(indexes).toEqual(indexes.map((_, i) => indexes[0]! + i))
  })
})
