/**
 * What tests of the kernel source share: whether this host lets them, the collector as a program,
 * the C program that makes calls in exact numbers, and sums over frames.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeAll } from '../../src/collect/kernel/bpf.ts'
import { descriptorsOf, openCounter } from '../../src/collect/kernel/open.ts'
import {
  type KernelSource,
  type KernelSourceOptions,
  kernelSource,
} from '../../src/collect/kernel/source.ts'
import { Counter } from '../../src/count/counter.ts'
import { type Frame, vectorTotal } from '../../src/domain/frame.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'
import { KernelRecordsParser } from '../../src/parse/kernel-records.ts'

const programs = join(import.meta.dir, '../fixtures/programs')
export const collectorCommand = [process.execPath, join(programs, 'collect-kernel.ts')]

/**
 * Undefined where the kernel counts for us; else the reason, which goes into the names of what is
 * skipped.
 */
export const refusal = whyNot()

function whyNot(): string | undefined {
  if (Bun.which('gcc') === null) return 'no gcc to make the test program'
  try {
    closeAll(descriptorsOf(openCounter()))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] : String(error)
  }
}

/**
 * Compiles fixtures/programs/calls.c under each of the names; a process is known by its file's
 * name.
 */
export function compileCalls(...names: string[]): { path(name: string): string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'callsign-calls-'))
  const [first = 'calls', ...others] = names
  const run = Bun.spawnSync(
    ['gcc', '-O1', '-pthread', '-o', join(directory, first), join(programs, 'calls.c')],
    { stderr: 'pipe' },
  )
  if (!run.success) throw new Error(`gcc: ${run.stderr}`)
  for (const name of others) Bun.spawnSync(['cp', join(directory, first), join(directory, name)])
  return {
    path: (name) => join(directory, name),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Whether a 64-bit program may make 32-bit calls here: some hypervisors end it. */
export const makes32BitCalls = refusal === undefined && try32BitCall()

function try32BitCall(): boolean {
  const calls = compileCalls('calls')
  try {
    return Bun.spawnSync([calls.path('calls'), 'can-compat']).success
  } finally {
    calls.remove()
  }
}

export interface Recording {
  readonly frames: readonly Frame[]
  readonly counter: Counter
  readonly parser: KernelRecordsParser
  readonly source: KernelSource
}

/** Counts while `act` runs, and through the second in which it ended. */
export async function recordWhile(
  act: (source: KernelSource) => Promise<void>,
  options: KernelSourceOptions = {},
): Promise<Recording> {
  const source = kernelSource({ command: collectorCommand, ...options })
  const stop = new AbortController()
  const counter = new Counter()
  const parser = new KernelRecordsParser(counter)
  const frames: Frame[] = []
  const reading = (async () => {
    for await (const chunk of source.read(stop.signal)) {
      parser.push(chunk)
      frames.push(...counter.closeReady())
    }
    parser.end()
    frames.push(...counter.end())
  })()
  try {
    await source.start()
    await act(source)
  } finally {
    stop.abort()
    await reading
  }
  return { frames, counter, parser, source }
}

export async function run(...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'inherit' })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0)
    throw new Error(`${command.join(' ')} ended with ${child.exitCode}`)
  return text
}

/** Calls of one syscall by processes of a name, over all frames. */
export function callsOf(frames: readonly Frame[], name: string | RegExp, syscall: string): number {
  const index = syscallIndexOf(syscall)
  let sum = 0
  for (const frame of frames)
    for (const [i, process] of frame.processes.entries()) {
      if (typeof name === 'string' ? process.name !== name : !name.test(process.name)) continue
      for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++)
        if (frame.syscalls[k] === index) sum += frame.counts[k]!
    }
  return sum
}

/** All calls by processes of a name, over all frames. */
export function callsOfAll(frames: readonly Frame[], name: string): number {
  let sum = 0
  for (const frame of frames)
    for (const [i, process] of frame.processes.entries())
      if (process.name === name) sum += vectorTotal(frame, i)
  return sum
}

/** CPU time in ms of processes of a name, over all frames. */
export function cpuOf(frames: readonly Frame[], name: string): number {
  let sum = 0
  for (const { processes, cpuMs, silent = [] } of frames) {
    for (const [i, process] of processes.entries())
      if (process.name === name) sum += cpuMs?.[i] ?? 0
    for (const { process, cpuMs: ms } of silent) if (process.name === name) sum += ms
  }
  return sum
}

/** Processes of a name, over all frames, each identity once. */
export function identitiesOf(frames: readonly Frame[], name: RegExp) {
  const found = new Map<string, Frame['processes'][number]>()
  for (const { processes } of frames)
    for (const process of processes)
      if (name.test(process.name)) found.set(`${process.pid}@${process.startMs}`, process)
  return [...found.values()]
}
