import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Counter, type CounterOptions } from '../../src/count/counter.ts'
import type { Activity, Frame } from '../../src/domain/frame.ts'
import { vectorTotal } from '../../src/domain/frame.ts'
import { PROC_READS_MAX, SILENT_PROCESSES_MAX, UNSEEN_MAX } from '../../src/domain/limits.ts'
import { processKey } from '../../src/domain/process.ts'
import { SYSCALLS, syscallIndexOf } from '../../src/domain/syscalls.ts'
import { NO_NAME, threadName } from '../../src/domain/tally.ts'

const READ = syscallIndexOf('read')!
const WRITE = syscallIndexOf('write')!
const T0 = 1_700_000_000_000
const encoder = new TextEncoder()

/** A counter with names as text. */
class Words extends Counter {
  id(name: string): number {
    const bytes = encoder.encode(name)
    return this.intern(bytes, 0, bytes.length)
  }

  call(pid: number, name: string, timeMs: number, count = 1, syscall = READ): void {
    this.add(pid, this.id(name), syscall, count, timeMs)
  }
}

function rows(frames: readonly Frame[]): string[] {
  return frames.flatMap((frame) =>
    frame.processes.map((process, i) => {
      const cells: string[] = []
      for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
        cells.push(`${SYSCALLS[frame.syscalls[k]!]}=${frame.counts[k]}`)
      }
      return `${frame.index - T0 / 1000} ${process.pid}@${process.startMs / 1000 - T0 / 1000} ${process.name} ${cells.join(',')}`
    }),
  )
}

const ended = (options: CounterOptions, act: (counter: Words) => void): string[] => {
  const counter = new Words(options)
  act(counter)
  return rows(counter.end())
}

function total(frames: readonly Frame[]): number {
  let sum = 0
  for (const frame of frames)
    for (let i = 0; i < frame.processes.length; i++) sum += vectorTotal(frame, i)
  return sum
}

describe('Counter', () => {
  test('gives one vector per process and second, by pid, calls by index', () => {
    const got = ended({}, (counter) => {
      counter.call(7, 'b', T0 + 10, 1, WRITE)
      counter.call(7, 'b', T0 + 20, 2, READ)
      counter.call(5, 'a', T0 + 30)
      counter.call(7, 'b', T0 + 40, 1, WRITE)
      counter.call(5, 'a', T0 + 1_500)
    })
    expect(got).toEqual(['0 5@0 a read=1', '0 7@0 b read=2,write=2', '1 5@0 a read=1'])
  })

  test('closes a frame when event time has passed its end by the lateness, not before', () => {
    const counter = new Words({ latenessMs: 500 })
    counter.call(5, 'a', T0)
    counter.call(5, 'a', T0 + 1_499)
    expect(counter.closeReady()).toEqual([])
    counter.call(5, 'a', T0 + 1_500)
    expect(rows(counter.closeReady())).toEqual(['0 5@0 a read=1'])
    expect(counter.closeReady()).toEqual([])
  })

  test('closeUntil() closes by another clock', () => {
    const counter = new Words({ latenessMs: 500 })
    counter.call(5, 'a', T0)
    expect(counter.closeUntil(T0 + 1_499)).toEqual([])
    expect(rows(counter.closeUntil(T0 + 1_500))).toEqual(['0 5@0 a read=1'])
  })

  test('counts late calls within the lateness and drops later ones by reason', () => {
    const counter = new Words({ latenessMs: 1_000 })
    counter.call(5, 'a', T0 + 2_500)
    counter.call(5, 'a', T0 + 1_000)
    counter.call(5, 'a', T0 + 999, 3)
    expect(rows(counter.end())).toEqual(['1 5@1 a read=1', '2 5@1 a read=1'])
    expect(counter.ledger()).toMatchObject({ observed: 5, counted: 2, dropped: { late: 3 } })
  })

  test('an idle second makes no frame; one with losses does', () => {
    const counter = new Words()
    counter.call(5, 'a', T0)
    counter.lost('lost(sysdig)', 12, T0 + 3_000)
    const frames = counter.end()
    expect(frames.map(({ index, lost }) => [index - T0 / 1000, lost])).toEqual([
      [0, 0],
      [3, 12],
    ])
    expect(counter.ledger()).toMatchObject({ observed: 13, dropped: { 'lost(sysdig)': 12 } })
  })
})

describe('Counter, times far apart', () => {
  const MINUTES_10 = 600_000

  test('bursts that rise are all believed, however short and far apart', () => {
    const got = ended({}, (counter) => {
      for (let burst = 0; burst < 12; burst++) counter.call(5, 'cron', T0 + burst * MINUTES_10, 10)
    })
    expect(got).toHaveLength(12)
    expect(got[11]).toBe('6600 5@0 cron read=10')
  })

  test('one wild time among them is dropped, and costs nothing else', () => {
    const counter = new Words()
    counter.call(5, 'cron', T0)
    counter.call(5, 'cron', T0 + MINUTES_10)
    counter.call(5, 'cron', T0 + 1e12)
    counter.call(5, 'cron', T0 + MINUTES_10 + 1)
    counter.call(5, 'cron', T0 + 2 * MINUTES_10)
    expect(total(counter.end())).toBe(4)
    expect(counter.ledger()).toMatchObject({ counted: 4, dropped: { 'clock-jump': 1 } })
  })

  test('after a clock that went back, bursts go on where counting stood', () => {
    const counter = new Words({ clockJumpConfirmMs: 1_000 })
    counter.call(5, 'cron', T0)
    for (let second = 0; second < 3; second++)
      counter.call(5, 'cron', T0 - 86_400_000 + 1_000 * second)
    counter.call(5, 'cron', T0 - 86_400_000 + MINUTES_10)
    counter.call(5, 'cron', T0 + MINUTES_10)
    counter.call(5, 'cron', T0 + 2 * MINUTES_10)
    const frames = counter.end()
    expect(total(frames)).toBe(7)
    const indexes = frames.map(({ index }) => index)
    expect(indexes).toEqual([...indexes].sort((a, b) => a - b))
  })
})

describe('Counter, more processes than it can hold', () => {
  test('costs as much a process in one second as in many', () => {
    const cpuOf = (perSecond: number) => {
      const counter = new Words({ processesMax: 4_096, frameProcessesMax: 2_048 })
      const before = process.cpuUsage()
      for (let i = 1; i <= 16_384; i++)
        counter.call(i, 'x', T0 + 1_000 * Math.floor(i / perSecond), 1)
      expect(total(counter.end())).toBeLessThanOrEqual(16_384)
      const { user, system } = process.cpuUsage(before)
      return user + system
    }
    cpuOf(1_024)
    const [many, one] = [cpuOf(1_024), cpuOf(16_384)]
    expect(one).toBeLessThan(5 * many + 20_000)
  })
})

describe('Counter, thousands of processes with many calls each', () => {
  test('has each call of each process once, with its sum, in whatever order they came', () => {
    const [processes, calls] = [2_000, 24]
    const counter = new Words({})
    for (let round = 1; round <= 3; round++)
      for (let syscall = 0; syscall < calls; syscall++)
        for (let pid = 1; pid <= processes; pid++)
          counter.call(pid, 'x', T0 + 10, round * (1 + ((pid + syscall) % 7)), syscall)
    const [frame] = counter.end()
    expect(frame!.syscalls).toHaveLength(processes * calls)
    const wrong = frame!.processes.flatMap(({ pid }, row) => {
      const from = frame!.offsets[row]!
      const told = Array.from({ length: calls }, (_, syscall) => frame!.counts[from + syscall])
      return told.every((count, syscall) => count === 6 * (1 + ((pid + syscall) % 7))) ? [] : [pid]
    })
    expect(wrong).toEqual([])
  })
})

describe('Counter, names', () => {
  test('the last that the leader presented in the second is the vector’s', () => {
    const got = ended({}, (counter) => {
      counter.call(5, 'bash', T0)
      counter.call(5, 'nginx', T0 + 1)
      counter.call(5, 'nginx', T0 + 1_000)
    })
    expect(got).toEqual(['0 5@0 nginx read=2', '1 5@0 nginx read=1'])
  })

  test('a thread’s never overrides the leader’s, and stands in for it until it is seen', () => {
    const got = ended({ latenessMs: 0 }, (counter) => {
      counter.add(5, threadName(counter.id('worker')), READ, 1, T0)
      counter.call(5, 'java', T0 + 1_000)
      counter.add(5, threadName(counter.id('worker')), READ, 1, T0 + 2_000)
      counter.add(6, NO_NAME, READ, 1, T0 + 2_000)
    })
    expect(got).toEqual([
      '0 5@0 worker read=1',
      '1 5@0 java read=1',
      '2 5@0 java read=1',
      '2 6@2 ? read=1',
    ])
  })

  test('a leader that has not been seen is asked for, once', () => {
    const asked: number[] = []
    const leaderName = (pid: number) => {
      asked.push(pid)
      return pid === 5 ? 'etcd' : undefined
    }
    const got = ended({ leaderName }, (counter) => {
      for (const pid of [5, 6, 5, 6]) counter.add(pid, threadName(counter.id('t#1')), READ, 1, T0)
    })
    expect(got).toEqual(['0 5@0 etcd read=2', '0 6@0 t#1 read=2'])
    expect(asked).toEqual([5, 6])
  })

  test('are bounded: a process that renames itself for ever costs no more', () => {
    const counter = new Words({ namesMax: 64 })
    const seen = new Set<string>()
    for (let i = 0; i < 1_000; i++) {
      counter.call(5, `name-${i}`, T0 + i * 100)
      for (const frame of counter.closeReady()) seen.add(frame.processes[0]!.name)
    }
    counter.call(6, 'nginx', T0 + 100_000)
    const last = counter.end().at(-1)!
    expect(last.processes.map(({ name }) => name)).toEqual(['nginx'])
    expect(seen.size).toBeGreaterThan(90)
    expect(counter.nameEpoch).toBeGreaterThan(10)
  })

  test('that are cut and made safe', () => {
    const counter = new Words()
    counter.call(5, `a\nb\u202e${'x'.repeat(100)}`, T0)
    const [frame] = counter.end()
    expect(frame!.processes[0]!.name).toBe(`a?b?${'x'.repeat(64 - 6)}`)
  })
})

describe('Counter, identity', () => {
  test('a pid that comes back after an exit is another process', () => {
    const got = ended({}, (counter) => {
      counter.call(5, 'a', T0)
      counter.exit(5, T0 + 1_200)
      counter.call(5, 'a', T0 + 1_200)
      counter.call(5, 'b', T0 + 1_300)
    })
    expect(got).toEqual(['0 5@0 a read=1', '1 5@0 a read=1', '1 5@1 b read=1'])
  })

  test('one that comes back within the second it began in cannot be told apart', () => {
    const got = ended({}, (counter) => {
      counter.call(5, 'a', T0)
      counter.exit(5, T0 + 100)
      counter.call(5, 'b', T0 + 300)
    })
    expect(got).toEqual(['0 5@0 b read=2'])
  })

  test('an exec keeps it, and renews what is known', () => {
    const counter = new Words()
    counter.describe(5, counter.id('bash'), { startMs: T0 - 5_500, exe: '/bin/bash' }, T0)
    counter.call(5, 'bash', T0)
    counter.describe(5, counter.id('nc'), { startMs: T0 - 5_500, exe: '/bin/nc' }, T0 + 1_000)
    counter.call(5, 'nc', T0 + 1_000)
    const [first, second] = counter.end().map((frame) => frame.processes[0]!)
    expect(first).toMatchObject({ name: 'bash', exe: '/bin/bash', startMs: T0 - 6_000 })
    expect(second).toMatchObject({ name: 'nc', exe: '/bin/nc', startMs: T0 - 6_000 })
  })

  test('an exec of something unknown ends what was known of it', () => {
    const lines: unknown[] = []
    const counter = new Words()
    counter.describe(5, NO_NAME, { startMs: T0 - 5_000, uid: 7, exe: '/bin/bash' }, T0)
    counter.call(5, 'bash', T0)
    counter.describe(5, NO_NAME, { exe: '' }, T0 + 2_500)
    counter.call(5, 'prog', T0 + 2_500)
    for (const { processes } of counter.end()) lines.push(...processes)
    expect(lines).toEqual([
      { pid: 5, startMs: T0 - 5_000, name: 'bash', uid: 7, exe: '/bin/bash' },
      { pid: 5, startMs: T0 - 5_000, name: 'prog', uid: 7 },
    ])
  })

  test('another start is another process, a second’s difference is not', () => {
    const got = ended({}, (counter) => {
      counter.describe(5, NO_NAME, { startMs: T0 - 9_000 }, T0)
      counter.call(5, 'a', T0)
      counter.describe(5, NO_NAME, { startMs: T0 - 8_001 }, T0 + 500)
      counter.call(5, 'a', T0 + 500)
      counter.describe(5, NO_NAME, { startMs: T0 + 1_000 }, T0 + 1_000)
      counter.call(5, 'b', T0 + 1_000)
    })
    expect(got).toEqual(['0 5@-9 a read=2', '1 5@1 b read=1'])
  })

  test('the same process is the same object while nothing changes', () => {
    const counter = new Words()
    for (let second = 0; second < 3; second++) counter.call(5, 'a', T0 + second * 1_000)
    const processes = counter.end().map((frame) => frame.processes[0])
    expect(processes[1]).toBe(processes[0]!)
    expect(processes[2]).toBe(processes[0]!)
  })
})

describe('Counter, clocks', () => {
  test('a jump forward that goes on is accepted, and nothing is made for the gap', () => {
    const day = 86_400_000
    const got = ended({}, (counter) => {
      counter.call(5, 'a', T0)
      for (let ms = 0; ms <= 4_000; ms += 500) counter.call(5, 'a', T0 + day + ms)
    })
    expect(got).toEqual([
      '0 5@0 a read=1',
      ...[0, 1, 2, 3].map((second) => `${86_400 + second} 5@0 a read=2`),
      '86404 5@0 a read=1',
    ])
  })

  test('a stray time far ahead is dropped when time comes back', () => {
    const counter = new Words()
    counter.call(5, 'a', T0)
    counter.call(5, 'a', T0 + 9e9, 4)
    counter.call(5, 'a', T0 + 1_000)
    expect(rows(counter.end())).toEqual(['0 5@0 a read=1', '1 5@0 a read=1'])
    expect(counter.ledger()).toEqual({
      observed: 6,
      counted: 2,
      dropped: { 'clock-jump': 4 },
      samples: {},
    })
  })

  test('a jump backward that goes on is counted on from where time stood, until the clock has caught up', () => {
    const hour = 3_600_000
    const counter = new Words()
    for (let ms = 0; ms <= 2_000; ms += 500) counter.call(5, 'a', T0 + ms)
    for (let ms = 0; ms <= 6_000; ms += 500) counter.call(5, 'a', T0 - hour + ms)
    for (let ms = 0; ms <= 6_000; ms += 500) counter.call(5, 'a', T0 + hour + ms)
    const frames = counter.end()
    const indexes = frames.map(({ index }) => index - T0 / 1000)
    expect(indexes).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3600, 3601, 3602, 3603, 3604, 3605, 3606,
    ])
    expect(counter.ledger()).toMatchObject({ counted: 31, dropped: {} })
  })

  test('what is told beside calls stands in their second, too, after a jump backward', () => {
    const back = T0 - 3_600_000
    const counter = new Words()
    const name = counter.id('a')
    for (let ms = 0; ms <= 2_000; ms += 500) counter.call(5, 'a', T0 + ms)
    for (let ms = 0; ms <= 6_000; ms += 500) counter.call(5, 'a', back + ms)
    counter.cpu(5, name, 70, back + 6_000)
    const activity: Activity = {
      ...{ contacts: 1, peers: [1, 0, 0, 0], peer: '', dnsQueries: 0, dnsBytes: 0 },
      ...{ dnsNames: [0, 0], secrets: 0, secretOpens: 0 },
    }
    counter.activity(5, name, activity, back + 6_000)
    counter.unseenProcess(5, name, { reason: 'no-room', kinds: 300, lost: 2 }, back + 6_000)
    counter.unseenUser(1000, 3, back + 6_000)
    const told = counter.end().filter((frame) => frame.activity ?? frame.unseen ?? frame.cpuMs)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      ...{ index: T0 / 1000 + 9, cpuMs: Uint32Array.of(70), activity: [{ contacts: 1 }] },
      unseen: { processes: [{ lost: 2 }], users: [{ uid: 1000, lost: 3 }] },
    })
  })

  test('on a live host indexes go back with the clock, and the first frame after a jump says so', () => {
    const day = 86_400_000
    const counter = new Words({ followsClock: true })
    const call = (from: number) => {
      for (let ms = 0; ms <= 4_000; ms += 500) counter.call(5, 'a', T0 + from + ms)
    }
    for (const from of [0, day, 10_000]) call(from)
    const frames = counter.end()
    const told = frames.map(({ index, clockSetSeconds }) => [index - T0 / 1000, clockSetSeconds])
    const [none, s] = [undefined, day / 1000]
    expect(told).toEqual([
      ...[0, 1, 2, 3, 4].map((second) => [second, none]),
      ...[[s, s - 4], ...[1, 2, 3, 4].map((second) => [s + second, none])],
      ...[[10, 10 - s - 4], ...[11, 12, 13, 14].map((second) => [second, none])],
    ])
    // The process is the same one through all of it.
    expect(new Set(frames.map(({ processes }) => processes[0]!.startMs))).toEqual(new Set([T0]))
    expect(counter.ledger()).toMatchObject({ counted: 27, dropped: {} })
  })

  test('whole seconds that go back half a minute are counted on where they stood, not dropped as late', () => {
    const counter = new Words({ latenessMs: 0 })
    for (const from of [0, -26_000])
      for (let ms = 0; ms < 40_000; ms += 1_000) counter.call(5, 'a', T0 + from + ms)
    const indexes = counter.end().map(({ index }) => index - T0 / 1000)
    expect(indexes).toEqual(Array.from({ length: 80 }, (_, second) => second))
    expect(counter.ledger()).toMatchObject({ counted: 80, dropped: {} })
  })

  test.each([
    ['whole seconds', 0, 80, {}],
    ['lines, which may be late,', 1_500, 40, { late: 40 }],
  ])('of %s that go back ten seconds', (_, latenessMs, counted, dropped) => {
    const counter = new Words({ latenessMs })
    for (const from of [0, -10_000])
      for (let ms = 0; ms < 40_000; ms += 1_000) counter.call(5, 'a', T0 + from + ms)
    counter.end()
    expect(counter.ledger()).toMatchObject({ counted, dropped })
  })

  test('a pid that ended in a wrong time is another process when it comes back', () => {
    const counter = new Words({ followsClock: true })
    const hour = 3_600_000
    for (let ms = 0; ms <= 3_000; ms += 500) counter.call(5, 'a', T0 + hour + ms)
    counter.exit(5, T0 + hour + 3_000)
    for (let ms = 0; ms <= 3_000; ms += 500) counter.call(6, 'b', T0 + ms)
    counter.call(5, 'c', T0 + 3_500)
    const starts = counter
      .end()
      .flatMap(({ processes }) => processes.filter(({ pid }) => pid === 5))
      .map(({ startMs, name }) => `${name} ${startMs - T0}`)
    expect(starts.at(0)).toBe(`a ${hour}`)
    expect(starts.at(-1)).toBe('c 3000')
  })

  test('the host is asked once for the start of a process that no source told, so that it has one key in every run', () => {
    const asked: number[] = []
    const counter = new Words({
      startOf: (pid) => {
        asked.push(pid)
        return pid === 5 ? T0 / 1000 - 900 : pid === 6 ? T0 / 1000 + 500 : undefined
      },
    })
    for (let ms = 0; ms <= 4_000; ms += 500)
      for (const pid of [5, 6, 7]) counter.call(pid, 'a', T0 + ms)
    const starts = counter
      .end()
      .map(({ processes }) => processes.map(({ startMs }) => startMs - T0))
    // What started after it was seen is another process by now.
    for (const each of starts) expect(each).toEqual([-900_000, 0, 0])
    expect(asked).toEqual([5, 6, 7])
  })

  test('and not more often in a second than there is time for', () => {
    let asked = 0
    const counter = new Words({
      startOf: () => {
        asked++
        return undefined
      },
    })
    for (let pid = 1; pid <= 3 * PROC_READS_MAX; pid++) counter.call(pid, 'a', T0)
    expect(asked).toBe(PROC_READS_MAX)
    for (let pid = 1; pid <= 3 * PROC_READS_MAX; pid++) counter.call(pid, 'a', T0 + 1_000)
    expect(asked).toBe(2 * PROC_READS_MAX)
  })

  test('a gap in a recording loses nothing', () => {
    const counter = new Words()
    for (const minute of [0, 5, 5, 30]) {
      for (let ms = 0; ms < 3_000; ms += 1_000) counter.call(5, 'a', T0 + minute * 60_000 + ms)
    }
    expect(total(counter.end())).toBe(12)
  })

  test('a stray does not keep a process in the table for ever', () => {
    const counter = new Words({ processesMax: 16 })
    counter.call(1, 'a', T0)
    for (let pid = 100; pid < 116; pid++) {
      counter.call(pid, 'stray', T0 + 9e9)
      counter.call(1, 'a', T0 + 10)
    }
    for (let pid = 200; pid < 300; pid++) counter.call(pid, 'b', T0 + (pid - 200) * 1_000)
    expect(counter.ledger().dropped.processes ?? 0).toBeLessThan(20)
  })
})

describe('Counter, CPU time', () => {
  test('stands beside the calls of a process, and by itself where it made none', () => {
    const counter = new Words()
    counter.describe(7, counter.id('miner'), { startMs: T0 - 9_000, exe: '/tmp/miner' }, T0)
    counter.call(5, 'cat', T0)
    counter.call(6, 'ls', T0)
    counter.cpu(6, counter.id('ls'), 3.4, T0)
    counter.cpu(7, counter.id('miner'), 998.7, T0)
    const [frame] = counter.end()
    expect(frame!.processes.map(({ pid }) => pid)).toEqual([5, 6])
    expect([...frame!.cpuMs!]).toEqual([0, 3])
    const process = { pid: 7, startMs: T0 - 9_000, name: 'miner', exe: '/tmp/miner' }
    expect(frame!.silent).toEqual([{ process, cpuMs: 999 }])
  })

  test('makes a frame of a second in which nobody called', () => {
    const counter = new Words()
    counter.cpu(7, counter.id('miner'), 40, T0)
    const frames = counter.end()
    expect(frames.map(({ processes, silent }) => [processes.length, silent?.length])).toEqual([
      [0, 1],
    ])
  })

  test('of one second is not that of the next', () => {
    const counter = new Words()
    counter.cpu(7, counter.id('miner'), 40, T0)
    counter.call(7, 'miner', T0 + 1_000)
    const [, second] = counter.end()
    expect(second).not.toHaveProperty('cpuMs')
    expect(second).not.toHaveProperty('silent')
  })

  test('keeps the name that was presented then', () => {
    const counter = new Words({ latenessMs: 5_000 })
    counter.cpu(7, counter.id('miner'), 40, T0)
    counter.cpu(7, counter.id('nginx'), 50, T0 + 1_000)
    const names = counter.end().map(({ silent }) => silent?.[0]?.process.name)
    expect(names).toEqual(['miner', 'nginx'])
  })
})

describe('Counter, what was not seen', () => {
  test('is of its process and second: the frame has no loss, the ledger have it', () => {
    const counter = new Words()
    counter.call(5, 'cat', T0)
    counter.call(6, 'blind', T0)
    counter.unseenProcess(6, counter.id('blind'), { reason: 'no-room', kinds: 300, lost: 12 }, T0)
    counter.unseenUser(1000, 4, T0)
    const [frame] = counter.end()
    expect(frame!.lost).toBe(0)
    expect(frame!.unseen).toEqual({
      processes: [{ process: frame!.processes[1]!, reason: 'no-room', kinds: 300, lost: 12 }],
      users: [{ uid: 1000, lost: 4 }],
    })
    const { observed, counted, dropped } = counter.ledger()
    expect([observed, counted, dropped]).toEqual([18, 2, { 'lost(kernel)': 16 }])
  })

  test('of one second is not that of a later one, and neither is activity', () => {
    const counter = new Words()
    const name = counter.id('a')
    const activity: Activity = {
      ...{ contacts: 1, peers: [1, 0, 0, 0], peer: '', dnsQueries: 0, dnsBytes: 0 },
      ...{ dnsNames: [0, 0], secrets: 0, secretOpens: 0 },
    }
    counter.activity(5, name, activity, T0)
    counter.unseenProcess(5, name, { reason: 'no-room', kinds: 300, lost: 2 }, T0)
    counter.unseenUser(1000, 3, T0)
    const frames: Frame[] = []
    for (let second = 0; second < 20; second++) {
      counter.call(5, 'a', T0 + second * 1_000)
      frames.push(...counter.closeReady())
    }
    frames.push(...counter.end())
    expect(frames).toHaveLength(20)
    const told = frames.filter((frame) => frame.activity ?? frame.unseen)
    expect(told.map(({ index }) => index)).toEqual([T0 / 1000])
  })

  test('told too late is lost as before, and what stands beside calls costs none', () => {
    const counter = new Words()
    const name = counter.id('a')
    counter.call(5, 'a', T0)
    counter.call(5, 'a', T0 + 5_000)
    counter.cpu(5, name, 70, T0)
    counter.unseenProcess(5, name, { reason: 'no-room', kinds: 300, lost: 2 }, T0)
    counter.unseenUser(1000, 3, T0)
    counter.end()
    const { observed, counted, dropped } = counter.ledger()
    expect([observed, counted, dropped]).toEqual([7, 2, { 'lost(kernel)': 5 }])
  })

  test('of too many processes becomes a loss of the second', () => {
    const counter = new Words()
    for (let pid = 1; pid <= UNSEEN_MAX + 1; pid++)
      counter.unseenProcess(pid, NO_NAME, { reason: 'no-room', kinds: 9, lost: 2 }, T0)
    const [frame] = counter.end()
    expect(frame!.unseen!.processes).toHaveLength(UNSEEN_MAX)
    expect(frame!.lost).toBe(2)
  })
})

describe('Counter, bounds', () => {
  test('of too many silent processes the busiest stay', () => {
    const counter = new Words()
    for (let pid = 1; pid <= SILENT_PROCESSES_MAX + 5; pid++)
      counter.cpu(pid, counter.id('x'), pid, T0)
    const [frame] = counter.end()
    const pids = frame!.silent!.map(({ process }) => process.pid)
    expect(pids).toHaveLength(SILENT_PROCESSES_MAX)
    expect(pids[0]).toBe(6)
  })

  test('100,000 pids in a minute are counted and forgotten', () => {
    const counter = new Words()
    let calls = 0
    for (let i = 0; i < 100_000; i++) {
      counter.call(1_000 + i, `p${i % 50}`, T0 + i * 0.6)
      if (i % 1_000 === 0) calls += total(counter.closeReady())
    }
    calls += total(counter.end())
    expect(calls).toBe(100_000)
    expect(counter.ledger()).toMatchObject({ observed: 100_000, counted: 100_000, dropped: {} })
  })

  test('of too many processes in a second the quietest are left out, counted', () => {
    const counter = new Words({ frameProcessesMax: 3 })
    for (let pid = 1; pid <= 5; pid++) counter.call(pid, 'a', T0, pid)
    expect(rows(counter.end())).toEqual([3, 4, 5].map((pid) => `0 ${pid}@0 a read=${pid}`))
    expect(counter.ledger()).toEqual({
      observed: 15,
      counted: 12,
      dropped: { processes: 3 },
      samples: {},
    })
  })

  test('a count over 32 bits is held to them, and the rest dropped', () => {
    const counter = new Words()
    for (let i = 0; i < 3; i++) counter.call(5, 'a', T0, 2 ** 31 - 1)
    const frames = counter.end()
    const { observed, counted, dropped } = counter.ledger()
    expect(total(frames)).toBe(counted)
    expect(observed).toBe(counted + dropped.malformed!)
  })

  test('keeps the first sample of a reason, safe and cut', () => {
    const counter = new Words()
    counter.drop('malformed', 1, `\u001b[2J${'x'.repeat(500)}`)
    counter.drop('malformed', 1, 'second')
    expect(counter.ledger().samples.malformed).toBe(`?[2J${'x'.repeat(156)}`)
  })
})

describe('Counter, whatever it is told', () => {
  const time = fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 0, max: 8_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: -200_000, max: 200_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(9e9, -9e9, 86_400_000) },
  )
  const step = fc.record({
    what: fc.constantFrom(
      'add',
      'add',
      'add',
      'add',
      'exit',
      'drop',
      'lost',
      'close',
      'closeUntil',
      'describe',
      'advance',
    ),
    pid: fc.integer({ min: 1, max: 12 }),
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    isThread: fc.boolean(),
    syscall: fc.integer({ min: 0, max: 20 }),
    count: fc.integer({ min: 1, max: 5 }),
    offset: time,
  })

  test('the ledger close, indexes grow, no process is twice in a frame, calls ascend', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, small) => {
        const counter = new Words(
          small
            ? { processesMax: 8, frameProcessesMax: 3, namesMax: 4, latenessMs: 500 }
            : { latenessMs: 1_500 },
        )
        const frames: Frame[] = []
        let base = T0
        for (const { what, pid, name, isThread, syscall, count, offset } of steps) {
          base += 150
          const timeMs = base + offset
          const id = counter.id(name)
          if (what === 'add')
            counter.add(pid, isThread ? threadName(id) : id, syscall, count, timeMs)
          else if (what === 'exit') counter.exit(pid, timeMs)
          else if (what === 'drop') counter.drop('malformed', count)
          else if (what === 'lost') counter.lost('lost(sysdig)', count, timeMs)
          else if (what === 'close') frames.push(...counter.closeReady())
          else if (what === 'closeUntil') frames.push(...counter.closeUntil(timeMs))
          else if (what === 'describe')
            counter.describe(pid, id, { startMs: timeMs - 5_000 }, timeMs)
          else counter.advance(timeMs)
        }
        frames.push(...counter.end())
        const { observed, counted, dropped } = counter.ledger()
        const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0)
        expect(observed).toBe(counted + lost)
        expect(total(frames)).toBe(counted)
        let last = Number.NEGATIVE_INFINITY
        for (const frame of frames) {
          expect(frame.index).toBeGreaterThan(last)
          last = frame.index
          expect(new Set(frame.processes.map(processKey)).size).toBe(frame.processes.length)
          expect(frame.offsets.length).toBe(frame.processes.length + 1)
          for (let i = 0; i < frame.processes.length; i++) {
            const calls = frame.syscalls.subarray(frame.offsets[i]!, frame.offsets[i + 1]!)
            expect(calls.length).toBeGreaterThan(0)
            for (let k = 1; k < calls.length; k++) expect(calls[k]!).toBeGreaterThan(calls[k - 1]!)
          }
        }
      }),
      { numRuns: 300, seed: 20_261_123 },
    )
  })
})
