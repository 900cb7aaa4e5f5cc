import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  chooseWindows,
  Governor,
  type GovernorState,
  type Level,
  nextState,
  shareBetween,
  startState,
} from '../../src/agent/governor.ts'
import { Counter } from '../../src/count/counter.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { GOVERNOR_START_SECONDS } from '../../src/domain/limits.ts'
import type { Process } from '../../src/domain/process.ts'
import type { Summary } from '../../src/domain/summary.ts'
import { SYSCALLS } from '../../src/domain/syscalls.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { RECIPES } from '../../src/model/recipe.ts'
import { Sequencer } from '../../src/model/sequencer.ts'
import { createLog } from '../../src/platform/log.ts'
import { Summariser } from '../../src/publish/summariser.ts'
import { detectorWith, PLACES, predictions } from '../detect/toy.ts'
import { manualClock } from '../support/clock.ts'
import { mulberry32 } from '../support/frames.ts'

const T = 1_700_000_000
const CAP = 0.05
const quiet = { standing: () => ({ suspicion: 0, claims: false }), hold: () => {} }
const processOf = (pid: number, name = 'nginx'): Process => ({ pid, startMs: 0, name })

/** All of it is what judging costs. */
const all = (share: number) => ({ all: share, judging: share })

/**
 * The state after these seconds, each with a share and its length; shares as a governor would see
 * them.
 */
function through(
  state: GovernorState,
  spans: readonly (readonly [seconds: number, share: number])[],
) {
  let now = state.changedMs
  const levels: Level[] = []
  let at = state
  for (const [seconds, share] of spans)
    for (let end = now + seconds * 1000; now < end; ) {
      // A window is over at the earliest ten seconds after a change.
      now = Math.max(now + 2_000, at.changedMs + 10_000)
      const next = nextState(at, all(share), now, CAP)
      if (next.level !== at.level) levels.push(next.level)
      at = next
    }
  return { levels, state: at }
}

describe('nextState()', () => {
  test('goes up one level at a time while the cap is exceeded, and stays at the last', () => {
    const { levels } = through(startState(0), [[120, 0.2]])
    expect(levels).toEqual([1, 2, 3])
  })

  test('keeps its level between the cap and what leaves room', () => {
    const { levels } = through(startState(0), [
      [10, 0.2],
      [3_600, 0.045],
    ])
    expect(levels).toEqual([1])
  })

  test('judges all while that costs its share of the limit, however dear the rest is', () => {
    const after = (state: GovernorState, judging: number, seconds = 10) =>
      nextState(state, { all: 0.1, judging }, state.changedMs + seconds * 1000, CAP)
    const start = startState(0)
    expect(after(start, 0.038).level).toBe(0)
    const first = after(start, 0.045)
    expect(first.level).toBe(1)
    // Half of the windows cost half, and all would cost more than the share.
    expect(after(first, 0.022).level).toBe(1)
    const calm = after(first, 0.019)
    expect(after(calm, 0.019, 80).level).toBe(0)
  })

  test('goes back level by level after a minute of calm each', () => {
    const { levels, state } = through(startState(0), [
      [60, 0.2],
      [220, 0.01],
    ])
    expect(levels).toEqual([1, 2, 3, 2, 1, 0])
    expect(state.level).toBe(0)
  })

  test('one dear second begins the minute anew', () => {
    const { levels } = through(startState(0), [
      [10, 0.2],
      [50, 0.01],
      [2, 0.045],
      [50, 0.01],
    ])
    expect(levels).toEqual([1])
  })

  test('waits twice as long after each time that was too early, up to a bound', () => {
    // Just too dear for level 0, cheap at level 1: without patience it would swing for ever.
    let state = startState(0)
    let now = 0
    const changes: number[] = []
    for (let i = 0; i < 6 * 3_600; i++) {
      now += 1_000
      if (now - state.changedMs < 10_000) continue
      const next = nextState(state, all(state.level === 0 ? 0.06 : 0.02), now, CAP)
      if (next.level < state.level) changes.push((now - state.changedMs) / 1000)
      state = next
    }
    const waits = changes.map((seconds) => Math.round(seconds - 10))
    expect(waits.slice(0, 6)).toEqual([60, 120, 240, 480, 960, 960])
  })

  test('is patient no longer once level 0 has lasted', () => {
    const tired: GovernorState = {
      ...{ level: 0, changedMs: 0, calmSinceMs: undefined, calmMs: 240_000, recovered: true },
    }
    expect(nextState(tired, all(0.01), 100_000, CAP).calmMs).toBe(240_000)
    expect(nextState(tired, all(0.01), 480_000, CAP).calmMs).toBe(60_000)
  })
})

describe('shareBetween()', () => {
  test('is CPU per second of the clock where the agent keeps up or lags', () => {
    const first = { atMs: 0, frameIndex: T, cpuSeconds: 1, judgingSeconds: 0.5 }
    const last = { atMs: 10_000, cpuSeconds: 1.5, judgingSeconds: 0.6 }
    for (const seconds of [10, 2])
      expect(shareBetween(first, { ...last, frameIndex: T + seconds })).toEqual({
        all: 0.05,
        judging: expect.closeTo(0.01, 9),
      })
  })

  test('is CPU per second of the host’s life where a recording is poured in', () => {
    const first = { atMs: 0, frameIndex: T, cpuSeconds: 1, judgingSeconds: 0 }
    const last = { atMs: 1_000, frameIndex: T + 100, cpuSeconds: 2, judgingSeconds: 0 }
    expect(shareBetween(first, last)).toEqual({ all: 0.01, judging: 0 })
  })
})

const waiting = (waited: number, suspicion = 0, claims = false) => ({ waited, suspicion, claims })

describe('chooseWindows()', () => {
  test.each([
    ['level 1: who waited two seconds', 1, [1, 2, 3, Number.POSITIVE_INFINITY], [1, 2, 3]],
    ['level 2: who waited five', 2, [1, 4, 5, Number.POSITIVE_INFINITY], [2, 3]],
  ] as const)('%s', (_, level, waits, chosen) => {
    expect(
      chooseWindows(
        waits.map((waited) => waiting(waited)),
        level,
        0,
      ),
    ).toEqual([...chosen])
  })

  test('takes suspects every second at every level', () => {
    for (const level of [1, 2, 3] as const)
      expect(chooseWindows([waiting(1), waiting(1, 0.1), waiting(1)], level, 0)).toEqual([1])
  })

  test('level 3: half for the most suspicious, half for the longest waiting, claims first among equals', () => {
    const candidates = [
      waiting(9),
      waiting(1, 0.1),
      waiting(1, 0.9),
      waiting(1, 0.5),
      waiting(Number.POSITIVE_INFINITY),
      waiting(9, 0, true),
      waiting(Number.POSITIVE_INFINITY),
    ]
    expect(chooseWindows(candidates, 3, 0, 4)).toEqual([2, 3, 4, 6])
    expect(chooseWindows([waiting(9), waiting(9, 0, true)], 3, 0, 1)).toEqual([1])
  })

  test('a crowd of suspects hides nobody: beyond their half they wait their turn', () => {
    const crowd = Array.from({ length: 50 }, () => waiting(1, 0.9))
    expect(chooseWindows([...crowd, waiting(6)], 3, 0, 8)).toContain(50)
  })

  test('gives ascending places, each once, and at level 3 no more than its bound', () => {
    const candidate = fc.record({
      waited: fc.oneof(fc.nat(20), fc.constant(Number.POSITIVE_INFINITY)),
      suspicion: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2, noNaN: true })),
      claims: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 60 }),
        fc.constantFrom(1, 2, 3),
        fc.nat(60),
        fc.integer({ min: 1, max: 20 }),
        (candidates, level, turn, most) => {
          const chosen = chooseWindows(candidates, level as Level, turn, most)
          expect(chosen).toEqual([...new Set(chosen)].sort((a, b) => a - b))
          for (const place of chosen) expect(candidates[place]).toBeDefined()
          if (level === 3) expect(chosen.length).toBeLessThanOrEqual(most)
        },
      ),
    )
  })
})

interface Life {
  readonly governor: Governor
  readonly logged: string[]
  /** So many seconds, each with these candidates, at this cost. @returns who was judged in each */
  live(
    seconds: number,
    candidates: (second: number) => readonly Process[],
    cost?: { readonly fixed?: number; readonly perWindow?: number },
  ): number[][]
}

function lifeOf(options: Partial<ConstructorParameters<typeof Governor>[0]> = {}): Life {
  const clock = manualClock()
  const logged: string[] = []
  let cpuSeconds = 0
  let second = T
  const governor = new Governor({
    cpuMax: 100 * CAP,
    clock,
    cpuSeconds: () => cpuSeconds,
    judgingSeconds: () => cpuSeconds,
    judge: quiet,
    log: createLog({ write: (line) => logged.push(line) }),
    ...options,
  })
  return {
    governor,
    logged,
    live(seconds, candidatesAt, { fixed = 0, perWindow = 0 } = {}) {
      const judged: number[][] = []
      for (let i = 0; i < seconds; i++, second++) {
        clock.advance(1_000)
        const candidates = candidatesAt(second)
        const choose = governor.selection(second)
        const places =
          choose === undefined ? candidates.map((_, place) => place) : choose(candidates)
        judged.push(places.map((place) => candidates[place]!.pid))
        cpuSeconds += fixed + perWindow * places.length
      }
      return judged
    },
  }
}

describe('Governor', () => {
  const crowd = Array.from({ length: 300 }, (_, i) => processOf(i + 1))

  test('leaves everything alone below the cap, and what starting costs is no reason', () => {
    const { governor, live, logged } = lifeOf()
    live(GOVERNOR_START_SECONDS - 5, () => crowd, { fixed: 1 })
    expect(live(600, () => crowd, { fixed: 0.03 }).every((pids) => pids.length === 300)).toBe(true)
    expect(governor.status()).toMatchObject({ level: 0, reducedSeconds: [0, 0, 0] })
    expect(logged).toEqual([])
  })

  test('without a cap it does not even look', () => {
    const { governor, live } = lifeOf({
      cpuMax: 0,
      cpuSeconds: () => {
        throw new Error('asked')
      },
    })
    live(100, () => crowd)
    expect(governor.status().level).toBe(0)
  })

  test('stops at the first level that is enough, says so, counts what it left out, and recovers', () => {
    const { governor, live, logged } = lifeOf()
    // 300 windows at 0.3 ms: 9 % of a core; half of them: 4.5 %.
    live(GOVERNOR_START_SECONDS + 90, () => crowd, { perWindow: 0.0003 })
    expect(governor.status().level).toBe(1)
    expect(logged.filter((line) => line.includes('level=1'))).toHaveLength(1)
    const { reducedSeconds, unjudged } = governor.status()
    expect(reducedSeconds[0]).toBeGreaterThan(60)
    expect(unjudged['cpu-max(stride)']).toBe(governor.reduced.windows)
    // Calm returns: after a minute all are judged again.
    const after = live(90, () => crowd, { perWindow: 0.00001 })
    expect(after.at(-1)).toHaveLength(300)
    expect(governor.status().level).toBe(0)
    expect(logged.at(-1)).toContain('Classifying more often again')
  })

  test('says once that counting alone is above the cap', () => {
    const { governor, live, logged } = lifeOf()
    live(600, () => crowd, { fixed: 0.5 })
    expect(governor.status().level).toBe(3)
    expect(logged.filter((line) => line.includes('counting is not throttled'))).toHaveLength(1)
    expect(logged).toHaveLength(4)
  })

  test('at the last level it judges no more than its bound, and everybody in turn', () => {
    const { live } = lifeOf({ windowsMax: 20 })
    live(GOVERNOR_START_SECONDS + 90, () => crowd, { fixed: 1 })
    const judged = live(40, () => crowd, { fixed: 1 })
    for (const pids of judged) expect(pids.length).toBeLessThanOrEqual(20)
    const seen = new Set(judged.flat())
    expect(seen.size).toBe(300)
  })

  test('sees who is there only every fifth second, whichever it is', () => {
    const { governor, live } = lifeOf()
    const rare = (second: number) => [processOf(1_000 + (second % 5)), ...crowd]
    live(GOVERNOR_START_SECONDS + 90, rare, { fixed: 0.052, perWindow: 0.00001 })
    expect(governor.status().level).toBeGreaterThan(1)
    const judged = live(10, rare, { fixed: 0.06 }).flat()
    for (let i = 0; i < 5; i++) expect(judged).toContain(1_000 + i)
  })

  test('does not judge less where judging is not what is dear, and says so once', () => {
    const { governor, live, logged } = lifeOf({ judgingSeconds: () => 0 })
    const judged = live(600, () => crowd, { fixed: 0.5 })
    expect(judged.every((pids) => pids.length === 300)).toBe(true)
    expect(governor.status()).toMatchObject({ level: 0, reducedSeconds: [0, 0, 0] })
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('judging less would hardly help')
  })

  test('judges all again once that costs little, though the rest is still dear', () => {
    let judging = 0
    const { governor, live } = lifeOf({ judgingSeconds: () => judging })
    const dear = (seconds: number, perWindow: number) => {
      for (let i = 0; i < seconds; i++) {
        const [pids] = live(1, () => crowd, { fixed: 0.04, perWindow })
        judging += perWindow * pids!.length
      }
    }
    dear(GOVERNOR_START_SECONDS + 60, 0.0003)
    expect(governor.status().level).toBeGreaterThan(0)
    dear(600, 0.000001)
    expect(governor.status().level).toBe(0)
  })

  test('spreads the windows of a level over its seconds, from the first on', () => {
    const { governor, live } = lifeOf()
    // 27 % of a core for all, 13.5 for half of them, 5.4 for a fifth: two levels up within a
    // minute.
    live(GOVERNOR_START_SECONDS, () => crowd, { perWindow: 0.0009 })
    const counts = live(60, () => crowd, { perWindow: 0.00017 }).map((pids) => pids.length)
    const level = governor.status().level
    expect(level).toBeGreaterThan(0)
    for (const count of counts.slice(20)) expect(count).toBeLessThanOrEqual(150)
    for (const [i, count] of counts.entries())
      if (count < 300) expect([60, 150], `second ${i}`).toContain(count)
  })

  test('a suspended machine is no reason', () => {
    const clock = manualClock()
    let cpuSeconds = 0
    const governor = new Governor({
      ...{ cpuMax: 5, clock, cpuSeconds: () => cpuSeconds },
      ...{ judgingSeconds: () => cpuSeconds, judge: quiet },
    })
    for (let second = 0; second < 300; second++) {
      clock.advance(second === 100 ? 8 * 3_600_000 : 1_000)
      cpuSeconds += second === 100 ? 2 : 0.01
      governor.selection(T + second)
    }
    expect(governor.status().reducedSeconds).toEqual([0, 0, 0])
  })
})

describe('at every level', () => {
  /** What is found, and how soon, of a masquerade that begins when the governor has settled. */
  function masquerade(fixedCost: number) {
    const detector = detectorWith()
    const { governor, live } = lifeOf({ judge: detector })
    const others = Array.from({ length: 20 }, (_, i) => processOf(i + 1))
    const found: { second: number; kind: string; pid: number }[] = []
    live(300, () => others, { fixed: fixedCost })
    const level = governor.status().level
    for (let second = T + 300; second < T + 400; second++) {
      // (The clock stands still, so the level stays.)
      const candidates = second < T + 320 ? others : [...others, processOf(99)]
      const choose = governor.selection(second)
      const places = choose?.(candidates) ?? candidates.map((_, place) => place)
      const windows = places.map((place) => {
        const process = candidates[place]!
        return { ...process, at: process.pid === 99 ? PLACES.cron : PLACES.nginx }
      })
      for (const { kind, process } of detector.push(predictions(second, windows)))
        found.push({ second: second - T - 320, kind, pid: process.pid })
    }
    return { level, first: found[0], all: new Set(found.map(({ pid }) => pid)) }
  }

  test('a masquerade is found, at most four seconds later, and nobody else is accused', () => {
    const usual = masquerade(0)
    const least = masquerade(1)
    expect(usual.level).toBe(0)
    expect(least.level).toBe(3)
    expect(usual.first).toMatchObject({ kind: 'masquerade', pid: 99 })
    expect(least.first).toMatchObject({ kind: 'masquerade', pid: 99 })
    expect(least.first!.second - usual.first!.second).toBeLessThanOrEqual(4)
    expect([...least.all]).toEqual([99])
  })

  test('every call is counted: observed = counted + dropped, windows = judged + left out', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(0, 0.06, 0.5), (seed, fixed) => {
        const governed = countedLife(seed, fixed)
        const free = countedLife(seed, 0)
        expect(governed.ledger).toEqual(free.ledger)
        expect(governed.summary.calls).toBe(free.summary.calls)
        expect(governed.summary.processes).toEqual(free.summary.processes)
        const { observed, counted, dropped } = governed.ledger
        expect(observed).toBe(counted + Object.values(dropped).reduce((sum, n) => sum + n, 0))
        expect(governed.judged + governed.reduced.windows).toBe(free.judged)
        if (fixed === 0) expect(governed.reduced.windows).toBe(0)
      }),
      { numRuns: 12 },
    )
  })
})

/**
 * Tallies by chance through counter, sequencer and summariser, at a cost that the governor sees.
 */
function countedLife(seed: number, fixed: number) {
  const next = mulberry32(seed)
  const clock = manualClock(T * 1000)
  let cpuSeconds = 0
  const counter = new Counter()
  const governor = new Governor({
    ...{ cpuMax: 5, clock, judge: quiet, windowsMax: 4 },
    ...{ cpuSeconds: () => cpuSeconds, judgingSeconds: () => cpuSeconds },
    log: createLog({ write: () => {} }),
  })
  const sequencer = new Sequencer(
    new Normaliser(['other', ...SYSCALLS.slice(1, 40)], RECIPES.frequency!),
  )
  const summariser = new Summariser({
    ...{ site: 's', host: 'h', everyMs: 1e9 },
    gauges: () => ({
      ...{ dropped: counter.ledger().dropped, alertsOpen: 0, cpuSeconds, rssBytes: 0 },
      ...{ lagMs: 0, outboxRows: 0 },
    }),
  })
  const names = ['cron', 'nginx', 'bash'].map((name) =>
    counter.intern(new TextEncoder().encode(name), 0, name.length),
  )
  let judged = 0
  const walk = (frames: readonly Frame[]) => {
    for (const frame of frames) {
      judged += sequencer.push(frame, governor.selection(frame.index)).processes.length
      summariser.push(frame)
    }
  }
  for (let second = 0; second < GOVERNOR_START_SECONDS + 60; second++) {
    clock.advance(1_000)
    cpuSeconds += fixed
    for (let pid = 1; pid <= 12; pid++) {
      if (next() < 0.2) continue
      const late = next() < 0.02 ? 20_000 : 0
      counter.add(
        pid,
        names[pid % 3]!,
        Math.floor(next() * 40),
        1 + Math.floor(next() * 9),
        clock.now() - late,
      )
    }
    if (next() < 0.05) counter.lost('lost(sysdig)', 3, clock.now())
    walk(counter.closeReady())
  }
  walk(counter.end())
  const summary: Summary = summariser.end()!
  return { ledger: counter.ledger(), summary, judged, reduced: governor.reduced }
}
