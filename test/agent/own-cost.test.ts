import { describe, expect, test } from 'bun:test'
import { OwnCost } from '../../src/agent/own-cost.ts'
import { endedChildrenSeconds, processCost } from '../../src/platform/linux/process-cost.ts'
import { manualClock } from '../support/clock.ts'
import { until } from '../support/until.ts'

/** Uses so many ms of CPU, however long a busy machine takes to give them; ends with its stdin. */
const burner = (ms: number) =>
  Bun.spawn(
    [
      process.execPath,
      '-e',
      `const used = () => { const { user, system } = process.cpuUsage(); return user + system }
      while (used() < ${ms * 1000}) for (let i = 0; i < 1e6; i++); process.stdin.on('end', () => process.exit()).resume()`,
    ],
    { stdin: 'pipe', stdout: 'ignore', stderr: 'ignore' },
  )

describe('OwnCost', () => {
  test('holds what the collector costs while it runs, and after it ended', async () => {
    const child = burner(100)
    const cost = new OwnCost(manualClock())
    const alone = cost.read()
    expect(alone.collector).toBeUndefined()
    cost.include(() => child.pid, false)
    const collector = await until('a collector that has worked', () => {
      const { collector } = cost.read()
      return collector !== undefined && collector.cpuSeconds >= 0.05 ? collector : undefined
    })
    expect(collector.pid).toBe(child.pid)
    const running = cost.read()
    expect(running.cpuSeconds).toBeGreaterThan(alone.cpuSeconds + 0.05)
    expect(running.rssBytes).toBeGreaterThan(running.collector!.rssBytes)
    child.stdin.end()
    await child.exited
    const after = cost.read()
    expect(after.collector).toBeUndefined()
    expect(after.cpuSeconds).toBeGreaterThanOrEqual(running.cpuSeconds)
    expect(endedChildrenSeconds()).toBeGreaterThanOrEqual(0.05)
  }, 30_000)

  test('tells no rates of the first five seconds: a start is none', () => {
    const clock = manualClock()
    let calls = 0
    const cost = new OwnCost(clock, () => calls)
    calls = 80_000
    clock.advance(300)
    expect(cost.read()).toMatchObject({ cpuShare: 0, callsPerSecond: 0 })
    clock.advance(4_700)
    expect(cost.read().callsPerSecond).toBe(16_000)
  })

  test('never goes back, and looks back a minute', () => {
    const clock = manualClock()
    let calls = 0
    const cost = new OwnCost(clock, () => calls)
    let last = 0
    for (let second = 0; second < 200; second++) {
      clock.advance(1_000)
      calls += second < 100 ? 1_000 : 50
      const { cpuSeconds } = cost.read()
      expect(cpuSeconds).toBeGreaterThanOrEqual(last)
      last = cpuSeconds
    }
    expect(cost.read().callsPerSecond).toBe(50)
  })
})

test('processCost() of a process that is gone is undefined', async () => {
  const child = burner(0)
  child.stdin.end()
  await child.exited
  expect(processCost(child.pid, false)).toBeUndefined()
}, 30_000)
