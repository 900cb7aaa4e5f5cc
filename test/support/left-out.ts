/**
 * Recordings with some programs taken out, or nothing but them: what a model never saw, and its
 * user's recording of it.
 */
import { ALIAS_RULES, classNameOf } from '../../src/model/aliases.ts'
import type { LabelledFrame, Recording } from '../../src/train/data/recording.ts'

/** @param wanted by class name: the label or name by the alias rules */
export function programsOf(recording: Recording, wanted: (name: string) => boolean): Recording {
  const known = new Map<string, boolean>()
  const isWanted = (name: string): boolean => {
    const found = known.get(name) ?? wanted(classNameOf(name, ALIAS_RULES))
    known.set(name, found)
    return found
  }
  const frames = recording.frames.map((frame) => ({
    frame,
    rows: [...frame.processes.keys()].filter((row) =>
      isWanted(frame.labels?.[row] ?? frame.processes[row]!.name),
    ),
  }))
  return {
    ...recording,
    frames: frames.map(({ frame, rows }) => onlyRows(frame, rows)),
    vectors: frames.reduce((sum, { rows }) => sum + rows.length, 0),
  }
}

function onlyRows(frame: LabelledFrame, rows: readonly number[]): LabelledFrame {
  const offsets = new Uint32Array(rows.length + 1)
  const cells = rows.flatMap((row, i) => {
    const from = frame.offsets[row]!
    const length = frame.offsets[row + 1]! - from
    offsets[i + 1] = offsets[i]! + length
    return Array.from({ length }, (_, k) => from + k)
  })
  return {
    ...frame,
    processes: rows.map((row) => frame.processes[row]!),
    offsets,
    syscalls: Uint16Array.from(cells, (cell) => frame.syscalls[cell]!),
    counts: Uint32Array.from(cells, (cell) => frame.counts[cell]!),
    ...(frame.labels === undefined ? {} : { labels: rows.map((row) => frame.labels![row]) }),
  }
}
