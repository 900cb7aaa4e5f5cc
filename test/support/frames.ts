/** Frames made of numbers, for tests and benches: the same seed gives the same frame. */
import type { Frame } from '../../src/domain/frame.ts'
import type { Process } from '../../src/domain/process.ts'

export interface MadeFrameOptions {
  readonly processes?: number
  /** Different calls of one process. */
  readonly calls?: number
  readonly lost?: number
}

export function madeFrame(index: number, options: MadeFrameOptions = {}): Frame {
  const { processes: processCount = 3, calls = 10, lost = 0 } = options
  const next = mulberry32(index)
  const processes: Process[] = []
  const offsets = new Uint32Array(processCount + 1)
  const syscalls = new Uint16Array(processCount * calls)
  const counts = new Uint32Array(processCount * calls)
  for (let i = 0; i < processCount; i++) {
    processes.push({
      pid: 300 + 7 * i,
      startMs: 1_699_990_000_000 + 1000 * i,
      name: `program-${i % 40}`,
      ...(i % 3 === 0 ? { container: `box-${i % 5}` } : {}),
      ...(i % 2 === 0 ? { exe: `/usr/bin/program-${i % 40}`, ppid: 1, uid: i % 4 } : {}),
    })
    let syscall = 0
    for (let k = 0; k < calls; k++) {
      syscall += 1 + Math.floor(next() * 30)
      syscalls[i * calls + k] = syscall
      counts[i * calls + k] = 1 + Math.floor(next() ** 4 * 2000)
    }
    offsets[i + 1] = (i + 1) * calls
  }
  return { index, processes, offsets, syscalls, counts, lost }
}

/** A small generator with a seed: chance in tests must be repeatable. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
