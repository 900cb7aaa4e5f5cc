/**
 * What a second costs the rolling buffer at 300 processes: CPU an append, bytes that reach the
 * disk, size of the file, and what a restart waits for. On a real file system (the temporary
 * directory's), with both engines.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packFrame } from '../../src/buffer/pack.ts'
import { RollingBuffer } from '../../src/buffer/rolling-buffer.ts'
import type { SqliteEngine } from '../../src/platform/sqlite.ts'
import { madeFrame } from '../support/frames.ts'
import type { Bench } from './run.ts'

const PROCESSES = 300
const FRAMES_MAX = 900
const LAPS = 3

export default {
  name: 'buffer',
  async run() {
    const frames = Array.from({ length: 100 }, (_, t) => madeFrame(t, { processes: PROCESSES }))
    const packed = frames.map((frame) => packFrame(frame).byteLength)
    const lines = [`a frame of ${PROCESSES} processes: ${Math.round(median(packed))} bytes`]
    for (const engine of ['better-sqlite3', 'bun:sqlite'] as const) {
      lines.push(...measure(engine, frames))
    }
    return lines
  },
} satisfies Bench

function measure(engine: SqliteEngine, frames: ReturnType<typeof madeFrame>[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'bench-buffer-'))
  const path = join(directory, 'buffer.db')
  try {
    let buffer = RollingBuffer.open(path, { framesMax: FRAMES_MAX, engine })
    const walls: number[] = []
    const appends = FRAMES_MAX * LAPS
    const writtenBefore = bytesWritten()
    const cpuBefore = process.cpuUsage()
    for (let t = 0; t < appends; t++) {
      const startedAt = performance.now()
      buffer.append({ ...frames[t % frames.length]!, index: t })
      walls.push(performance.now() - startedAt)
    }
    const cpu = process.cpuUsage(cpuBefore)
    const written = bytesWritten() - writtenBefore
    buffer.close()
    const openedAt = performance.now()
    buffer = RollingBuffer.open(path, { framesMax: FRAMES_MAX, engine })
    const warm = buffer.readLast(9).length
    const openMs = performance.now() - openedAt
    buffer.close()
    const cpuMs = (cpu.user + cpu.system) / 1000 / appends
    return [
      `${engine}: ${cpuMs.toFixed(3)} ms CPU an append (${(cpuMs / 10).toFixed(3)} % of a core), wall median ${median(walls).toFixed(3)} ms, ${(written / appends / 1000).toFixed(0)} kB/s to disk`,
      `${engine}: file ${(statSync(path).size / 1e6).toFixed(1)} MB for ${FRAMES_MAX} s after ${LAPS} laps; open and read ${warm} frames ${openMs.toFixed(1)} ms`,
    ]
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

/** Bytes that this process has handed to write(2) and its kin. */
function bytesWritten(): number {
  return Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? 0)
}
