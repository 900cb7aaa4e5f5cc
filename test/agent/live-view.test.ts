import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type LiveAgent, LiveView, watchLive } from '../../src/agent/live-view.ts'
import { defined } from '../../src/domain/defined.ts'
import { openBroadcast } from '../../src/platform/linux/local-socket.ts'
import { detectorWith, PLACES, predictions, T } from '../detect/toy.ts'
import { frameOf } from '../support/hand-frames.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'

const newDirectory = temporaryDirectories()
const about = (): LiveAgent => ({
  ...{ host: 'h', source: 'memory', cpuShare: 0.01, rssBytes: 1e8, callsPerSecond: 30, lagMs: 5 },
  ...{ level: 0, does: 'every window is classified', alertsOpen: 0, dropped: {} },
})
const startMs = (T - 1000) * 1000
const calls = (pid: number, name: string, read: number) => ({
  ...{ pid, name, startMs, counts: { read } },
})

function viewOf(rowsMax?: number) {
  const detector = detectorWith()
  const view = new LiveView({
    ...{ classes: { names: Object.keys(PLACES) }, detector, about },
    ...defined({ rowsMax }),
  })
  return { detector, view }
}

describe('LiveView.describe()', () => {
  test('tells of each process what it behaves like, how sure, how much, and what speaks against it', () => {
    const { detector, view } = viewOf()
    const frame = frameOf(T, [calls(1, 'nginx', 20), calls(2, 'cron', 3), calls(3, 'new', 9)])
    const seen = predictions(T, [
      { pid: 1, name: 'nginx', startMs, at: PLACES.sshd },
      { pid: 2, name: 'cron', startMs, at: PLACES.cron },
    ])
    detector.push(seen)
    const { processes, time } = view.describe(frame, seen)
    expect(time).toBe(T)
    expect(processes.map(({ pid }) => pid)).toEqual([1, 3, 2])
    expect(processes[0]).toMatchObject({ name: 'nginx', class: 'sshd', calls: 20, claims: true })
    expect(processes[0]!.suspicion).toBeGreaterThan(0)
    expect(processes[0]!.confidence).toBeGreaterThan(0.9)
    expect(processes[1]).not.toHaveProperty('class')
    expect(processes[2]).toMatchObject({ class: 'cron', suspicion: 0 })
  })

  test('says of which classes it is that they are malicious', () => {
    const names = Object.keys(PLACES)
    const malicious = names.map((name) => name === 'sshd')
    const view = new LiveView({ classes: { names, malicious }, detector: detectorWith(), about })
    const seen = predictions(T, [
      { pid: 1, name: 'nginx', startMs, at: PLACES.sshd },
      { pid: 2, name: 'cron', startMs, at: PLACES.cron },
    ])
    const { processes } = view.describe(
      frameOf(T, [calls(1, 'nginx', 20), calls(2, 'cron', 3)]),
      seen,
    )
    expect(processes.map(({ class: of, malicious }) => [of, malicious])).toEqual([
      ['sshd', true],
      ['cron', undefined],
    ])
  })

  test('keeps what was judged while less is judged, and forgets who was silent for ten seconds', () => {
    const { view } = viewOf()
    const cron = { pid: 2, name: 'cron', startMs, at: PLACES.cron }
    view.describe(frameOf(T, [calls(2, 'cron', 3)]), predictions(T, [cron]))
    const later = view.describe(frameOf(T + 1, [calls(2, 'cron', 4)]), predictions(T + 1, []))
    expect(later.processes).toMatchObject([{ class: 'cron', calls: 4 }])
    const silent = view.describe(frameOf(T + 9, [calls(5, 'x', 1)]), predictions(T + 9, []))
    expect(silent.processes).toMatchObject([
      { pid: 5, calls: 1 },
      { pid: 2, calls: 0 },
    ])
    const gone = view.describe(frameOf(T + 11, []), predictions(T + 11, []))
    expect(gone.processes.map(({ pid }) => pid)).toEqual([5])
  })

  test('has a bound, and says how many more there are', () => {
    const { view } = viewOf(3)
    const many = Array.from({ length: 10 }, (_, i) => calls(i + 1, 'x', i + 1))
    const { processes, processesOmitted } = view.describe(frameOf(T, many), predictions(T, []))
    expect(processes.map((process) => process.calls)).toEqual([10, 9, 8])
    expect(processesOmitted).toBe(7)
  })
})

describe('watchLive()', () => {
  test('gives what the agent of a state directory shows, from when somebody looks', async () => {
    const state = newDirectory()
    const { view } = viewOf()
    view.open(state)
    const quit = new AbortController()
    const got: number[] = []
    const watching = (async () => {
      for await (const { time } of watchLive(state, quit.signal)) got.push(time)
    })()
    let second = T
    await until('a document', () => {
      view.push(frameOf(second, [calls(1, 'x', 1)]), predictions(second, []))
      second += 1
      return got.length > 2
    })
    expect(got).toEqual(got.map((_, i) => got[0]! + i))
    quit.abort()
    await watching
    view.close()
  })

  const first = async (state: string) => {
    for await (const document of watchLive(state, new AbortController().signal)) return document
    return undefined
  }

  test('without an agent says so: exit code 4', async () => {
    await expect(first(newDirectory())).rejects.toMatchObject({
      code: 'ERR_NOT_RUNNING',
      exitCode: 4,
    })
  })

  test.each([
    ['no JSON', 'x'],
    ['null', 'null'],
    ['another version', '{"v":2}'],
    ['half a document', '{"v":1,"time":1}'],
    [
      'a process without a name',
      JSON.stringify({
        v: 1,
        time: 1,
        processes: [{ pid: 1 }],
        processesOmitted: 0,
        agent: about(),
      }),
    ],
  ])('refuses %s instead of showing it', async (_, line) => {
    const state = newDirectory()
    const sender = openBroadcast(join(state, 'live.sock'), 1)
    const document = first(state)
    await until('a viewer', () => sender.viewers === 1)
    sender.send(line)
    await expect(document).rejects.toMatchObject({ code: 'ERR_FAILED' })
    sender.close()
  })
})
