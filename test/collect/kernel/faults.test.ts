/**
 * What goes wrong around a counter in the kernel: full maps, late drains, refusals, sudden deaths,
 * missing rights.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeAll, programIds } from '../../../src/collect/kernel/bpf.ts'
import { taskOffsets } from '../../../src/collect/kernel/btf.ts'
import { BTF_PATH, descriptorsOf, openCounter } from '../../../src/collect/kernel/open.ts'
import { AgentError } from '../../../src/domain/error.ts'
import type { Frame } from '../../../src/domain/frame.ts'
import { effectiveCapabilities, hasCapability } from '../../../src/platform/linux/capabilities.ts'
import {
  callsOf,
  callsOfAll,
  collectorCommand,
  compileCalls,
  recordWhile,
  refusal,
  run,
} from '../../support/kernel.ts'
import { until } from '../../support/until.ts'

const here = refusal === undefined ? '' : ` (skipped: ${refusal})`
const SKIP = refusal !== undefined
const watcher = join(import.meta.dir, '../../fixtures/programs/watch-kernel.ts')

let calls: ReturnType<typeof compileCalls>
beforeAll(() => {
  if (!SKIP) calls = compileCalls('kf-wide', 'kf-kinds', 'kf-steady', 'kf-plain', 'kf-other')
})
afterAll(() => calls?.remove())

describe.skipIf(SKIP)(`losses are told${here}`, () => {
  const unseenOf = (frames: readonly Frame[], name: string) =>
    frames.flatMap(({ unseen }) =>
      (unseen?.processes ?? []).filter(({ process }) => process.name === name),
    )
  /** Calls that are in no count: of whole seconds, of processes, of users. */
  const lostOf = (frames: readonly Frame[]) =>
    frames.reduce((sum, { lost, unseen }) => {
      const parts = [...(unseen?.processes ?? []), ...(unseen?.users ?? [])]
      return parts.reduce((part, { lost }) => part + lost, sum + lost)
    }, 0)
  const asUser = (uid: number, ...command: string[]) =>
    run('setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...command)

  test('unknown numbers are one key: no quota is touched by all of them', async () => {
    const { frames, counter } = await recordWhile(
      () => run(calls.path('kf-wide'), 'wide', '5000', '16').then(() => {}),
      { processKeysMax: 64 },
    )
    expect(callsOf(frames, 'kf-wide', 'other')).toBe(80_000)
    expect(unseenOf(frames, 'kf-wide')).toEqual([])
    expect(counter.ledger().dropped).toEqual({})
  }, 30_000)

  test('a process beyond its quota of kinds is counted whole, as other, and named', async () => {
    const { frames, counter } = await recordWhile(
      () => run(calls.path('kf-kinds'), 'kinds', '300').then(() => {}),
      { processKeysMax: 64 },
    )
    const made = callsOfAll(frames, 'kf-kinds')
    expect(made).toBeGreaterThan(300)
    expect(callsOf(frames, 'kf-kinds', 'other')).toBeGreaterThan(200)
    const unseen = unseenOf(frames, 'kf-kinds')
    expect(unseen.length).toBeGreaterThan(0)
    for (const { reason, kinds, lost } of unseen) {
      expect([reason, lost]).toEqual(['many-kinds', 0])
      expect(kinds).toBeGreaterThan(64)
    }
    expect(counter.ledger().dropped).toEqual({})
  }, 30_000)

  test('a user who takes all the room loses his own calls; another user is counted whole', async () => {
    chmodSync(calls.path('.'), 0o755)
    const { frames, counter, parser } = await recordWhile(
      async () => {
        await Promise.all([
          asUser(65_534, calls.path('kf-kinds'), 'kinds', '300', '40'),
          asUser(65_533, calls.path('kf-plain'), 'plain', '20000'),
        ])
      },
      { countKeys: 2_048 },
    )
    expect(callsOf(frames, 'kf-plain', 'getppid')).toBe(20_000)
    expect(unseenOf(frames, 'kf-plain')).toEqual([])
    const unseen = unseenOf(frames, 'kf-kinds')
    expect(unseen.filter(({ reason }) => reason === 'no-room').length).toBeGreaterThan(0)
    for (const { process, reason, lost } of unseen) {
      expect(process.uid).toBe(65_534)
      expect(lost > 0).toBe(reason === 'no-room')
    }
    expect(frames.every(({ lost }) => lost === 0)).toBe(true)
    const { observed, counted, dropped } = counter.ledger()
    expect(dropped).toEqual({ 'lost(kernel)': lostOf(frames) })
    expect(observed).toBe(counted + lostOf(frames))
    expect(parser.status.lost).toEqual({ 'no room for its user': lostOf(frames) })
  }, 30_000)

  test('processes that find no room for a record are told as calls of their user', async () => {
    chmodSync(calls.path('.'), 0o755)
    const { frames, counter } = await recordWhile(
      () => asUser(65_534, calls.path('kf-wide'), 'wide', '80', '400').then(() => {}),
      { processesMax: 256 },
    )
    const users = frames.flatMap(({ unseen }) => unseen?.users ?? [])
    expect(users.length).toBeGreaterThan(0)
    // On a busy machine root has more than its share, too.
    expect(users.map(({ uid }) => uid)).toContain(65_534)
    const { observed, counted } = counter.ledger()
    expect(observed).toBe(counted + lostOf(frames))
    expect(callsOf(frames, 'kf-wide', 'other') + lostOf(frames)).toBeGreaterThanOrEqual(32_000)
  }, 30_000)

  test('a collector that stood still for 5 s: what came too late is lost, nothing is mixed or told twice', async () => {
    let made = 0
    const { frames, counter } = await recordWhile(async (source) => {
      const steady = run(calls.path('kf-steady'), 'steady', '7')
      process.kill(source.pid!, 'SIGSTOP')
      await Bun.sleep(5200)
      process.kill(source.pid!, 'SIGCONT')
      made = Number(await steady)
    })
    const counted = callsOf(frames, 'kf-steady', 'getppid')
    const { observed, counted: all } = counter.ledger()
    expect(observed).toBe(all + lostOf(frames))
    expect(lostOf(frames)).toBeGreaterThan(0)
    expect(counted).toBeLessThan(made)
    expect(counted + lostOf(frames)).toBeGreaterThanOrEqual(made)
    // At least the four seconds that had their maps when it stopped are whole.
    const whole = frames.filter(
      (frame) => frame.lost === 0 && callsOf([frame], 'kf-steady', 'getppid') > 0,
    )
    expect(whole.length).toBeGreaterThanOrEqual(4)
    // No second holds the calls of two: one call each 100 us at most.
    for (const frame of frames)
      expect(callsOf([frame], 'kf-steady', 'getppid')).toBeLessThan(10_500)
  }, 30_000)
})

describe.skipIf(SKIP)(`processes end${here}`, () => {
  const programsOf = (pid: number): number[] =>
    readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) => {
      try {
        const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')
        return [...info.matchAll(/^prog_id:\s*(\d+)/gm)].map(([, id]) => Number(id))
      } catch {
        return []
      }
    })
  const gone = (ids: readonly number[]) =>
    until('programs to leave the kernel', () => {
      const there = new Set(programIds())
      return !ids.some((id) => there.has(id))
    })
  const startWatcher = (...args: string[]) => startWatcherUnder([], ...args)
  const startWatcherUnder = async (wrapper: readonly string[], ...args: string[]) => {
    const child = Bun.spawn([...wrapper, process.execPath, watcher, ...args], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'ignore',
    })
    const reader = child.stdout.getReader()
    const nextLine = async () => {
      let text = ''
      while (!text.includes('\n')) {
        const { value, done } = await reader.read()
        if (done) break
        text += new TextDecoder().decode(value)
      }
      return JSON.parse(text)
    }
    return { child, hello: await nextLine(), nextLine }
  }

  for (const victim of ['pid', 'collector'] as const)
    test(`kill -9 of the ${victim === 'pid' ? 'agent' : 'collector'} leaves nothing in the kernel`, async () => {
      const { child, hello } = await startWatcher()
      const ids = programsOf(hello.collector)
      expect(ids.length).toBeGreaterThanOrEqual(5)
      expect(programIds()).toEqual(expect.arrayContaining(ids))
      process.kill(hello[victim], 'SIGKILL')
      expect(await gone(ids)).toBe(true)
      child.kill('SIGKILL')
      await child.exited
    }, 30_000)

  test('the collector comes before whatever else keeps the processors busy, where it may', async () => {
    const { child, hello } = await startWatcher()
    const stat = readFileSync(`/proc/${hello.collector}/stat`, 'utf8').split(') ')[1]!.split(' ')
    const [nice, policy] = [Number(stat[16]), Number(stat[38])]
    const found = policy === 2 ? 'real-time' : nice === -15 ? 'raised' : 'usual'
    expect(hello.ready.priority).toBe(found)
    const mayRaise = hasCapability(effectiveCapabilities(), 'sysNice')
    expect(found === 'usual').toBe(!mayRaise)
    child.stdin.end()
    await child.exited
  }, 30_000)

  test('a dead collector is an error, not the end of the recording', async () => {
    const failed = recordWhile(async (source) => {
      process.kill(source.pid!, 'SIGKILL')
    })
    expect(await failed.catch((error) => error)).toMatchObject({ code: 'ERR_COLLECTOR_DIED' })
  }, 30_000)

  test('two at once count the same, and one that ends does not disturb the other', async () => {
    const second = await startWatcher()
    const { frames } = await recordWhile(async () => {
      await run(calls.path('kf-plain'), 'plain', '30000')
      second.child.stdin.end()
      expect(await second.nextLine()).toMatchObject({
        counts: { 'kf-plain': 30_000 },
        complete: true,
      })
      await run(calls.path('kf-other'), 'plain', '20000')
    })
    expect(callsOf(frames, 'kf-plain', 'getppid')).toBe(30_000)
    expect(callsOf(frames, 'kf-other', 'getppid')).toBe(20_000)
  }, 30_000)

  test('shedPrivileges() leaves no capability in any thread, of agent or collector, and counts on', async () => {
    const { child, hello, nextLine } = await startWatcher('shed')
    expect(hello.pid).toBe(child.pid)
    for (const pid of [hello.pid, hello.collector])
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
        expect(status).toMatch(/^NoNewPrivs:\s*1$/m)
        for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
          expect(status).toMatch(new RegExp(`^${set}:\\s*0{16}$`, 'm'))
      }
    await run(calls.path('kf-plain'), 'plain', '4321')
    child.stdin.end()
    expect(await nextLine()).toMatchObject({ counts: { 'kf-plain': 4321 }, complete: true })
    expect(await child.exited).toBe(0)
  }, 30_000)

  test.skipIf(Bun.which('setpriv') === null)(
    'CAP_BPF and CAP_PERFMON are enough for a user of its own, as in the unit, and are shed',
    async () => {
      const unit = [
        ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'],
        ...['--bounding-set=-all,+bpf,+perfmon', '--inh-caps=+bpf,+perfmon'],
        '--ambient-caps=+bpf,+perfmon',
      ]
      const { child, hello, nextLine } = await startWatcherUnder(unit, 'shed')
      expect(hello).toMatchObject({ pid: child.pid, uid: 65_534, held: '0', ready: { held: '0' } })
      await run(calls.path('kf-plain'), 'plain', '1234')
      child.stdin.end()
      expect(await nextLine()).toMatchObject({ counts: { 'kf-plain': 1234 }, complete: true })
    },
    30_000,
  )

  test('shedPrivileges() becomes the owner of the place that will be written to', async () => {
    chmodSync(calls.path('.'), 0o755)
    const place = calls.path('place')
    mkdirSync(place)
    chownSync(place, 65_534, 65_534)
    const { child, hello, nextLine } = await startWatcher('shed', join(place, 'new', 'file'))
    expect(hello).toMatchObject({ pid: child.pid, uid: 65_534, held: '0' })
    const status = readFileSync(`/proc/${hello.pid}/status`, 'utf8')
    expect(status).toMatch(/^Gid:\s*65534\s+65534\s+65534\s+65534$/m)
    expect(status).toMatch(/^Groups:\s*$/m)
    child.stdin.end()
    expect(await nextLine()).toMatchObject({ complete: true })
  }, 30_000)
})

describe.skipIf(SKIP)(`openCounter() refuses clearly${here}`, () => {
  test('without capabilities: which are needed', async () => {
    const child = Bun.spawn(['setpriv', '--bounding-set=-all', ...collectorCommand], {
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'pipe',
    })
    const { error } = JSON.parse(await new Response(child.stderr).text())
    expect(error.code).toBe('ERR_PERMISSION')
    expect(error.hint).toContain('CAP_BPF and CAP_PERFMON')
    expect(await child.exited).toBe(6)
  }, 30_000)

  test('what the verifier refuses, with its own words', () => {
    const task = { ...taskOffsets(readFileSync(BTF_PATH))!, compatWord: -8 }
    const attempt = () => openCounter({ variant: 'typed', task })
    expect(attempt).toThrow(AgentError)
    expect(attempt).toThrow(/callsign_enter[\s\S]*task_struct/)
  })

  test('and takes the next best variant', () => {
    const task = { ...taskOffsets(readFileSync(BTF_PATH))!, compatWord: -8 }
    const counter = openCounter({ task })
    closeAll(descriptorsOf(counter))
    expect(counter.variant).toBe('probed')
  })
})
