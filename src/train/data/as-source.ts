/** A recording as another source would have shown it: what the model is worth by that source. */
import { type SightName, seenBy } from '../../domain/sight.ts'
import type { LabelledFrame, Recording } from './recording.ts'

export function recordingBy(recording: Recording, name: SightName): Recording {
  const frames = recording.frames.map((frame) => frameBy(frame, name))
  const vectors = frames.reduce((sum, { processes }) => sum + processes.length, 0)
  return { ...recording, frames, vectors }
}

/** Labels stay with their processes. */
function frameBy(frame: LabelledFrame, name: SightName): LabelledFrame {
  const seen = seenBy(frame, name)
  if (frame.labels === undefined || seen.processes === frame.processes) return seen
  const labelOf = new Map(frame.processes.map((process, i) => [process, frame.labels![i]]))
  return { ...seen, labels: seen.processes.map((process) => labelOf.get(process)) }
}
