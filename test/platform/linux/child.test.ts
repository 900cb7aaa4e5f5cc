/** A child that may not be given a niceness is stopped four fifths of the time, and still ends. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { runCommand, slowDown } from '../../../src/platform/linux/child.ts'

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
}

test('slowDown() stops a child most of the time, and lets it run in between', async () => {
  const child = Bun.spawn(['sh', '-c', 'while :; do :; done'], { stdout: 'ignore' })
  try {
    slowDown(child)
    let [stopped, samples] = [0, 0]
    const until = performance.now() + 2_000
    while (performance.now() < until) {
      await Bun.sleep(7)
      samples++
      if (stateOf(child.pid) === 'T') stopped++
    }
    // Four fifths; a busy machine is late with either turn, and with looking.
    expect(stopped / samples).toBeGreaterThan(0.25)
    expect(stopped).toBeLessThan(samples)
  } finally {
    child.kill('SIGKILL')
  }
  // Stopped or not: it ends at once, and its turns end with it.
  expect(await child.exited).toBe(137)
  await Bun.sleep(200)
}, 20_000)

test('slowDown() changes nothing about how a child ends', async () => {
  const child = Bun.spawn(['sh', '-c', 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 3'])
  slowDown(child)
  expect(await child.exited).toBe(3)
}, 60_000)

test('runCommand() gives a child its niceness, and what it wrote', async () => {
  const { code, stdout } = await runCommand(['sh', '-c', 'sleep 0.2; nice'], 30_000, {
    niceness: 7,
  })
  expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: '7' })
}, 40_000)

test('runCommand() ends a child that used more CPU than it may, and none that only waits', async () => {
  const busy = await runCommand(['sh', '-c', 'while :; do :; done'], 600_000, {
    cpuSecondsMax: 0.5,
  })
  expect(busy).toMatchObject({ code: undefined, signal: 'SIGKILL' })
  expect(busy.cpuSeconds).toBeGreaterThan(0.4)
  const waiting = await runCommand(['sh', '-c', 'sleep 2.5; echo done'], 600_000, {
    cpuSecondsMax: 0.5,
  })
  expect(waiting).toMatchObject({ code: 0, stdout: 'done\n' })
}, 600_000)
