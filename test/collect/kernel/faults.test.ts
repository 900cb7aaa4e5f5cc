/** What goes wrong around a counter in the kernel: full maps, late drains, refusals, sudden deaths, missing rights. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeAll, programIds } from '../../../src/collect/kernel/bpf.ts'
import { taskOffsets } from '../../../src/collect/kernel/btf.ts'
import { BTF_PATH, descriptorsOf, openCounter } from '../../../src/collect/kernel/open.ts'
import { AgentError } from '../../../src/domain/error.ts'
import type { Frame } from '../../../src/domain/frame.ts'
import {
  callsOf,
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
  if (!SKIP) calls = compileCalls('kf-wide', 'kf-steady', 'kf-plain', 'kf-other')
})
afterAll(() => calls?.remove())

const lostOf = (frames: readonly Frame[]) => frames.reduce((sum, { lost }) => sum + lost, 0)

describe.skipIf(SKIP)(`losses are told${here}`, () => {
  test('a full map: what finds no room is lost, by count, and its seconds are marked', async () => {
    const each = 5_000
    const { frames, counter, parser } = await recordWhile(
      () => run(calls.path('kf-wide'), 'wide', String(each), '16').then(() => {}),
      { countKeys: 256 },
    )
    const counted = callsOf(frames, 'kf-wide', 'other')
    const { observed, counted: all, dropped } = counter.ledger()
    expect(dropped['lost(kernel)']).toBe(lostOf(frames))
    expect(parser.status.lost['calls map full']).toBe(lostOf(frames))
    expect(observed).toBe(all + lostOf(frames))
    // 8,000 different keys in room for 4,352. Nothing of the program's fell between: what was not counted was lost (others' calls may be lost, too).
    expect(counted).toBeLessThan(16 * each)
    expect(counted + lostOf(frames)).toBeGreaterThanOrEqual(16 * each)
  }, 30_000)

  test('a full map of records: processes without a record are counted all the same', async () => {
    const { frames, counter } = await recordWhile(
      () => run(calls.path('kf-wide'), 'wide', '5000', '4').then(() => {}),
      { processesMax: 2 },
    )
    const { observed, counted, dropped } = counter.ledger()
    expect(dropped).toEqual({})
    expect(observed).toBe(counted)
    expect(callsOf(frames, /./, 'other') + callsOf(frames, '', 'other')).toBeGreaterThanOrEqual(
      20_000,
    )
  }, 30_000)

  test('a collector that stood still for 5 s: mixed seconds are lost, no call is told twice', async () => {
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
    expect(counted).toBeGreaterThan(0)
    expect(counted).toBeLessThan(made)
    expect(counted + lostOf(frames)).toBeGreaterThanOrEqual(made)
    // No unmarked second holds the calls of two: one call each 100 us at most.
    for (const frame of frames)
      if (frame.lost === 0) expect(callsOf([frame], 'kf-steady', 'getppid')).toBeLessThan(10_500)
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
      expect(ids).toHaveLength(6)
      expect(programIds()).toEqual(expect.arrayContaining(ids))
      process.kill(hello[victim], 'SIGKILL')
      expect(await gone(ids)).toBe(true)
      child.kill('SIGKILL')
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
