/**
 * What one second costs the control plane: a frame walks through the pipeline with 10, 100, 300 and
 * 1,000 processes that are all active, as they are in no quiet host. The processes are those of a
 * recording, over again under other pids and shifted in time, so that the net, the memory and the
 * tests see what they see in life.
 *
 * Each number of processes has a process of its own, so that resident memory is its own. Time is
 * CPU time of all threads, so that a busy machine does not show; a share of a core is what one such
 * second a second costs. Frames come without a pause: a live agent, whose caches are cold each
 * second, takes longer (`watch` says what).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openAgent } from '../../src/agent/agent.ts'
import { openFiles } from '../../src/agent/sources.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Process } from '../../src/domain/process.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { collectGarbage } from '../../src/platform/heap.ts'
import { countSource } from '../../src/record/count-source.ts'
import type { Bench } from './run.ts'

const RECORDING = join(import.meta.dir, '../fixtures/frames/lab-98s.frames.ndjson.zst')
const PROCESSES = [10, 100, 300, 1_000]
const WARM_UP = 60
const SECONDS = 240

interface Measured {
  readonly steps: Readonly<Record<string, readonly number[]>>
  readonly judged: number
  readonly rssBytes: number
}

export default {
  name: 'second',
  async run() {
    const lines: string[] = []
    for (const processes of PROCESSES) {
      const child = Bun.spawn([process.execPath, import.meta.path, '--processes', `${processes}`], {
        stdout: 'pipe',
        stderr: 'inherit',
      })
      const measured = JSON.parse(await new Response(child.stdout).text()) as Measured
      lines.push(...report(processes, measured))
    }
    return lines
  },
} satisfies Bench

function report(processes: number, { steps, judged, rssBytes }: Measured): string[] {
  const shown = (name: string, ms: readonly number[]) =>
    `${name} ${quantile(ms, 0.5).toFixed(2)} / ${quantile(ms, 0.95).toFixed(2)}`
  const { all = [], ...parts } = steps
  const mean = all.reduce((sum, ms) => sum + ms, 0) / all.length
  return [
    `${processes} processes, ${judged} judged a second: ${shown('all', all)} ms CPU (median / p95), mean ${(mean / 10).toFixed(2)} % of a core, ${(rssBytes / 1e6).toFixed(0)} MB resident`,
    `  ${Object.entries(parts)
      .map(([name, ms]) => shown(name, ms))
      .join(', ')}`,
  ]
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

async function measure(processes: number): Promise<Measured> {
  const state = mkdtempSync(join(tmpdir(), 'bench-second-'))
  const recorded = await readRecording()
  const model = await openModelInUse(process.env.AGENT_MODEL, state)
  const agent = openAgent({
    settings: {
      ...{ state, site: 'bench', host: 'bench', falseAlarmsPerDay: 1, learn: 86_400_000, send: [] },
      ...{ broker: undefined, brokerUser: undefined, brokerPassword: undefined },
      ...{ brokerPasswordFile: undefined, ca: undefined, cert: undefined, key: undefined },
      delivery: 'auto',
      aggregatorKey: [],
      acceptFleet: [],
    },
    model,
    source: { name: 'memory', why: 'bench' },
    resume: false,
  })
  const { buffer, shortLives, sequencer, classifier, detector, explainer, summariser, outputs } =
    agent.stages
  const steps: Record<string, number[]> = {}
  let judged = 0
  try {
    for (let second = 0; second < WARM_UP + SECONDS; second++) {
      const frame = multiplied(recorded, second, processes)
      const step = startSteps(second < WARM_UP ? {} : steps)
      // As `walk` in agent/pipeline.ts goes and `run.ts` tidies up, with a look at the clock after
      // each step.
      buffer.append(frame)
      step('buffer')
      const sequences = sequencer.push(shortLives.push(frame))
      step('sequences')
      const predictions = await classifier.predict(sequences)
      step('inference')
      const raised = detector.push(predictions)
      step('decide')
      const alerts = await explainer.explain(raised, sequences)
      step('explain')
      await outputs.put(alerts, summariser.push(frame, predictions))
      step('deliver')
      if (second % 60 === 59) collectGarbage()
      step('all')
      if (second >= WARM_UP) judged += sequences.processes.length
    }
    return { steps, judged: Math.round(judged / SECONDS), rssBytes: process.memoryUsage.rss() }
  } finally {
    await agent.close()
    await model.close()
    rmSync(state, { recursive: true, force: true })
  }
}

/** Notes the CPU time of all threads since the last step, in ms; of `all`, since the first. */
function startSteps(steps: Record<string, number[]>): (name: string) => void {
  const begin = process.cpuUsage()
  let before = begin
  return (name) => {
    const { user, system } = process.cpuUsage(name === 'all' ? begin : before)
    before = process.cpuUsage()
    const noted = steps[name] ?? []
    noted.push((user + system) / 1000)
    steps[name] = noted
  }
}

async function readRecording(): Promise<Frame[]> {
  const frames: Frame[] = []
  const [source] = openFiles([RECORDING], {})
  await countSource(source!, {}, new AbortController().signal, (some) => {
    frames.push(...some)
  })
  return frames
}

/**
 * `count` processes in this second: those of the recording, again and again, each time some seconds
 * later.
 */
function multiplied(recorded: readonly Frame[], second: number, count: number): Frame {
  const processes: Process[] = []
  const offsets = [0]
  const syscalls: number[] = []
  const counts: number[] = []
  for (let copy = 0; processes.length < count; copy++) {
    const from = recorded[(second + 7 * copy) % recorded.length]!
    for (let i = 0; i < from.processes.length && processes.length < count; i++) {
      const { pid, name } = from.processes[i]!
      processes.push({ pid: copy * 100_000 + pid, startMs: 1_690_000_000_000, name })
      for (let k = from.offsets[i]!; k < from.offsets[i + 1]!; k++) {
        syscalls.push(from.syscalls[k]!)
        counts.push(from.counts[k]!)
      }
      offsets.push(syscalls.length)
    }
  }
  return {
    index: 1_700_000_000 + second,
    processes,
    offsets: Uint32Array.from(offsets),
    syscalls: Uint16Array.from(syscalls),
    counts: Uint32Array.from(counts),
    lost: 0,
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { processes: { type: 'string', default: '300' } } })
  process.stdout.write(JSON.stringify(await measure(Number(values.processes))))
}
