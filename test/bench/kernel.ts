/**
 * What counting in the kernel adds to a call, what the collector itself costs at several rates of
 * calls, and that nothing is lost meanwhile. Beside it, in the same rounds: bpftrace's count(),
 * `perf stat -a` (the floor), `perf trace -s`, `strace -c`. Needs root, gcc; rows of tools that are
 * not installed are left out.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { kernelSource } from '../../src/collect/kernel/source.ts'
import {
  callsOf,
  collectorCommand,
  compileCalls,
  recordWhile,
  refusal,
  run,
} from '../support/kernel.ts'
import type { Bench } from './run.ts'

const ROUNDS = 7
const RATES = [1_000, 10_000, 100_000, 1_000_000]
const PACED_SECONDS = 5
const DD_BYTES = 300_000
const STORM = { calls: 2_500_000, threads: 2, processes: 2 }

export default {
  name: 'kernel',
  async run() {
    if (refusal !== undefined) return [`skipped: ${refusal}`]
    const calls = compileCalls('bench-calls')
    try {
      const program = calls.path('bench-calls')
      return [
        ...(await costPerCall(program)),
        ...(await syscallBound()),
        ...(await ownCost(program)),
        ...(await conservation(program)),
      ]
    } finally {
      calls.remove()
    }
  },
} satisfies Bench

type Stop = () => Promise<void>

async function startOurs(): Promise<Stop> {
  const source = kernelSource({ command: collectorCommand })
  const stop = new AbortController()
  await source.start()
  const reading = (async () => {
    for await (const _ of source.read(stop.signal));
  })()
  return async () => {
    stop.abort()
    await reading
  }
}

async function startTool(...command: string[]): Promise<Stop> {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' })
  // Neither tool says when it is at work: bpftrace needs 0.15-0.4 s.
  await Bun.sleep(1_000)
  return async () => {
    child.kill('SIGINT')
    // perf has been seen to wait for more.
    const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
    await child.exited
    clearTimeout(timer)
  }
}

type Tool = readonly [name: string, start: () => Promise<Stop>]

function collectors(): Tool[] {
  const tools: Tool[] = [
    ['alone', async () => async () => {}],
    ['ours', startOurs],
  ]
  const count = 'tracepoint:raw_syscalls:sys_enter { @[pid, args->id] = count(); }'
  if (Bun.which('bpftrace')) {
    tools.push(['bpftrace count()', () => startTool('bpftrace', '-e', count)])
  }
  if (Bun.which('perf')) {
    tools.push([
      'perf stat -a',
      () => startTool('perf', 'stat', '-a', '-e', 'raw_syscalls:sys_enter'),
    ])
    tools.push(['perf trace -s', () => startTool('perf', 'trace', '-a', '-s', '-o', '/dev/null')])
  }
  return tools
}

async function costPerCall(program: string): Promise<string[]> {
  const tools = collectors()
  const figures = new Map<string, number[]>(tools.map(([name]) => [name, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, start] of tools) {
      const stop = await start()
      figures.get(name)!.push(Number(await run(program, 'cost', '5000', '60')))
      await stop()
    }
  // Differences within a round: whoever else traces this host comes and goes, and moves the base by
  // 200 ns.
  const alone = figures.get('alone')!
  return tools.map(([name]) => {
    const ns = figures.get(name)!
    const added = median(ns.map((value, round) => value - alone[round]!))
    const words = name === 'alone' ? '' : `, adds ${Math.round(added)} ns`
    return `getppid, ${name}: ${Math.round(median(ns))} ns of CPU (medians of ${ROUNDS} rounds)${words}`
  })
}

/** A program that does nothing but call: two calls for each byte that dd copies. */
async function syscallBound(): Promise<string[]> {
  const figures = new Map<string, number[]>()
  const note = (name: string, ms: number) => figures.set(name, [...(figures.get(name) ?? []), ms])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, start] of collectors()) {
      const stop = await start()
      note(name, await copyMs([], DD_BYTES))
      await stop()
    }
    // It stops the program at each call, twice: a tenth of the bytes takes long enough.
    if (Bun.which('strace'))
      note(
        'strace -c -f',
        10 * (await copyMs(['strace', '-c', '-f', '-o', '/dev/null'], DD_BYTES / 10)),
      )
  }
  const alone = figures.get('alone')!
  return [...figures].map(([name, ms]) => {
    const ratio = median(ms.map((value, round) => value / alone[round]!))
    return `dd bs=1 count=${DD_BYTES}, ${name}: ${ratio.toFixed(2)} × its time alone (median of ${ROUNDS} rounds)`
  })
}

async function copyMs(before: readonly string[], bytes: number): Promise<number> {
  const dd = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', `count=${bytes}`]
  const began = performance.now()
  await Bun.spawn([...before, ...dd], { stdout: 'ignore', stderr: 'ignore' }).exited
  return performance.now() - began
}

async function ownCost(program: string): Promise<string[]> {
  const lines: string[] = []
  for (const rate of RATES) {
    let cpuShare = 0
    let residentMiB = 0
    let made = 0
    const recording = await recordWhile(async (source) => {
      await Bun.sleep(1_500)
      const pid = source.pid!
      const cpuBefore = cpuNs(pid)
      const began = performance.now()
      made = Number(await run(program, 'pace', String(rate), String(PACED_SECONDS)))
      cpuShare = (cpuNs(pid) - cpuBefore) / 1e6 / (performance.now() - began)
      residentMiB = rssKiB(pid) / 1024
    })
    const counted = callsOf(recording.frames, 'bench-calls', 'getppid')
    const { drainMs, keys } = recording.parser.status
    lines.push(
      `collector at ${(made / PACED_SECONDS / 1000).toFixed(0)} k calls/s: ${(cpuShare * 100).toFixed(2)} % of a core, ` +
        `${residentMiB.toFixed(0)} MiB, last drain ${drainMs.toFixed(1)} ms for ${keys} keys, ${made - counted} of ${made} missing`,
    )
  }
  return lines
}

async function conservation(program: string): Promise<string[]> {
  const { calls, threads, processes } = STORM
  const expected = calls * threads * processes
  const { frames, counter } = await recordWhile(async () => {
    await run(program, 'storm', String(calls), String(threads), String(processes))
  })
  const counted = callsOf(frames, 'bench-calls', 'getppid')
  const { observed, counted: all } = counter.ledger()
  return [
    `conservation: ${counted} of ${expected} calls in ${frames.length} frames; ledger: ${all} of ${observed}`,
  ]
}

/** All threads' time on a CPU; /proc/PID/stat's ticks are too coarse. */
function cpuNs(pid: number): number {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`))
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  return sum
}

function rssKiB(pid: number): number {
  return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}
