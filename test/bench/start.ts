/** How long the built binary takes to start, and how big it is. */
import { agentBinary } from '../support/agent-binary.ts'
import type { Bench } from './run.ts'

const RUNS = 21

const bench: Bench = {
  name: 'start',
  async run() {
    const agent = agentBinary()
    const walls: number[] = []
    const cpus: number[] = []
    let resident = 0
    for (let i = 0; i < RUNS; i++) {
      const began = performance.now()
      const child = Bun.spawn([agent, '--version'], { stdout: 'ignore' })
      await child.exited
      walls.push(performance.now() - began)
      const usage = child.resourceUsage()!
      cpus.push(Number(usage.cpuTime.total) / 1000)
      resident = usage.maxRSS
    }
    return [
      `--version: ${median(walls).toFixed(1)} ms wall, ${median(cpus).toFixed(1)} ms CPU (median of ${RUNS}), ${(resident / 1e6).toFixed(0)} MB resident`,
      `binary: ${(Bun.file(agent).size / 1e6).toFixed(1)} MB`,
    ]
  },
}
export default bench

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
