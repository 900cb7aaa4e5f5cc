/**
 * What an alert really was, as a person says it: the process's frames around the evidence, copied
 * out of the rolling buffer into a frames file beside it, for `agent train` and `agent adapt`. What
 * is bad gets a line in a scenarios file as well, so that training makes it malicious.
 *
 * Both files are in the state directory and bounded; at the bound nothing more is kept, and that is
 * said.
 */
import { appendFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LABELLED_FRAMES } from '../agent/windows-answers.ts'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import { FrameEncoder } from '../count/frames-file.ts'
import type { Alert } from '../domain/alert.ts'
import type { AlertLabel } from '../domain/alert-label.ts'
import { BEHAVIOURS } from '../domain/behaviour.ts'
import { AgentError } from '../domain/error.ts'
import { LABELLED_BYTES_MAX, SEQUENCE_FRAMES } from '../domain/limits.ts'

export { LABELLED_FRAMES }
export const LABELLED_SCENARIOS = 'labelled.scenarios.ndjson'

/** Kept in the local store, too: an alert that was right is left out of this host's calibration. */
export function storedLabel(alert: Alert, label: string): AlertLabel {
  return { id: alert.id, label, from: alert.evidence.from, to: alert.last }
}

export interface Labelled {
  readonly label: string
  readonly vectors: number
  readonly file: string
}

/**
 * @param word `fine`: it is what its name says; `bad`: it is what the alert says; else the name of
 *   a class
 */
export function labelAlert(state: string, host: string, alert: Alert, word: string): Labelled {
  const label = labelOf(alert, word)
  const file = join(state, LABELLED_FRAMES)
  const encoder = new FrameEncoder({
    host: ({ pid, startMs }) =>
      pid === alert.process.pid && Math.floor(startMs / 1000) === alert.process.start
        ? host
        : undefined,
    label,
  })
  const path = join(state, 'frames.db')
  let vectors = 0
  if (existsSync(path)) {
    const buffer = RollingBuffer.open(path, { readOnly: true })
    const { from, to } = alert.evidence
    // A line of loss would concern all hosts of the file.
    for (const frame of buffer.read({ from: from - SEQUENCE_FRAMES + 1, to }))
      vectors += encoder.push({ ...frame, lost: 0 })
    buffer.close()
  }
  if (vectors === 0)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot label "${alert.id}": its frames are no longer in the buffer`,
      { hint: 'Label an alert within an hour, which is the size of the buffer' },
    )
  append(file, encoder.take())
  if (word === 'bad') append(join(state, LABELLED_SCENARIOS), scenarioLine(host, alert, label))
  return { label, vectors, file }
}

/** Of the windows. */
function labelOf(alert: Alert, word: string): string {
  return word === 'fine' ? alert.process.name : word === 'bad' ? nameOf(alert) : word
}

/**
 * Windows that another host sent, as `agent label` keeps those of this one: frames, and a scenario for
 * what is bad. The name of the host, the label and the times are ours to say, not the sender's.
 * @param rows ascending
 */
export function keepFetched(
  file: string,
  host: string,
  alert: Alert,
  rows: readonly { readonly t: number; readonly counts: Readonly<Record<string, number>> }[],
  word: string,
): { readonly label: string; readonly scenarios: string | undefined } {
  const label = labelOf(alert, word)
  const { pid, start, name } = alert.process
  const lines = rows.map(
    ({ t, counts }) => `${JSON.stringify({ t, host, pid, start, name, counts, label })}\n`,
  )
  append(file, new TextEncoder().encode(lines.join('')))
  if (word !== 'bad') return { label, scenarios: undefined }
  const scenarios = file.replace(/(\.frames)?\.ndjson$|$/, '.scenarios.ndjson')
  append(scenarios, scenarioLine(host, alert, label))
  return { label, scenarios }
}

function nameOf({ behaviour, predicted, id }: Alert): string {
  if (behaviour !== undefined) return BEHAVIOURS[behaviour].name
  if (predicted.class !== '') return predicted.class
  throw new AgentError('ERR_USAGE', `Cannot label "${id}" as bad: it has no behaviour`, {
    hint: `Say what it is: "agent label ${id} CLASS"`,
  })
}

function scenarioLine(host: string, alert: Alert, program: string): Uint8Array {
  const { evidence, process } = alert
  const scenario = {
    ...{ from: evidence.from - SEQUENCE_FRAMES + 1, to: evidence.to, host, kind: 'non-grata' },
    ...{ scenario: `labelled-${alert.id}`, claimed: '', program: alert.behaviour ?? program },
    ...{ names: [process.name], pids: [process.pid] },
  }
  return new TextEncoder().encode(`${JSON.stringify(scenario)}\n`)
}

function append(file: string, bytes: Uint8Array): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size + bytes.length > LABELLED_BYTES_MAX)
    throw new AgentError('ERR_DISK', `Cannot keep more labelled windows in "${file}": it is full`, {
      hint: 'Train on it, then move it away',
    })
  appendFileSync(file, bytes, { mode: 0o600 })
}
