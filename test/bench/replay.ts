/**
 * A capture through the whole agent, against sysdig printing the same capture to /dev/null, in one
 * run.
 */
import { join } from 'node:path'
import { agentBinary } from '../support/agent-binary.ts'
import type { Bench } from './run.ts'

const CAPTURES = join(import.meta.dir, '../fixtures/scap')
const RUNS = 5

const bench: Bench = {
  name: 'replay',
  async run() {
    if (Bun.which('sysdig') === null) return ['skipped: sysdig is not installed']
    const lines: string[] = []
    for (const name of ['busy.scap', 'storm.scap']) {
      const capture = join(CAPTURES, name)
      const ours: Cost[] = []
      const theirs: Cost[] = []
      let calls = 0
      for (let i = 0; i < RUNS; i++) {
        const replay = await cost([agentBinary(), 'replay', capture, '--json'])
        ours.push(replay)
        calls = JSON.parse(replay.stderr.trim().split('\n').at(-1)!).observed.calls
        theirs.push(await cost(['sysdig', '-r', capture]))
      }
      const wall = median(ours.map(({ wallMs }) => wallMs))
      const ratio = median(ours.map(({ wallMs }, i) => wallMs / theirs[i]!.wallMs))
      lines.push(
        `${name}: ${calls} calls in ${wall.toFixed(0)} ms wall, ${((calls / wall) * 1000).toFixed(0)} calls/s, ` +
          `${ratio.toFixed(2)} × the time of "sysdig -r" to /dev/null; ` +
          `${(Math.max(...ours.map(({ resident }) => resident)) / 1e6).toFixed(0)} MB resident (medians of ${RUNS})`,
      )
    }
    return lines
  },
}
export default bench

interface Cost {
  readonly wallMs: number
  readonly resident: number
  readonly stderr: string
}

async function cost(command: readonly string[]): Promise<Cost> {
  const began = performance.now()
  const child = Bun.spawn([...command], { stdout: Bun.file('/dev/null'), stderr: 'pipe' })
  const stderr = await new Response(child.stderr).text()
  await child.exited
  return {
    wallMs: performance.now() - began,
    resident: child.resourceUsage()?.maxRSS ?? 0,
    stderr,
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
