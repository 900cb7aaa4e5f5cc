/**
 * What `agent top` would have shown at an earlier second: the ten seconds before it are read from
 * the rolling buffer and classified again by the model in use. Evidence is not kept, so a process
 * stands under suspicion where an alert about it was open at that second.
 *
 * Not shown, as it is not kept: what the agent itself cost then.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type LiveDocument, LiveView } from '../agent/live-view.ts'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import { claimsNothing } from '../detect/names.ts'
import type { Alert } from '../domain/alert.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { ALERTS_KEPT_MAX } from '../domain/limits.ts'
import { type Process, START_TOLERANCE_SECONDS } from '../domain/process.ts'
import { sequenceSeconds } from '../model/manifest.ts'
import type { Model } from '../model/model.ts'
import { predictFrames } from '../model/predict-frames.ts'
import { lookLocal } from './local-alerts.ts'

/** @param second Unix second */
export async function lookBack(state: string, model: Model, second: number): Promise<LiveDocument> {
  const seconds = sequenceSeconds(model.manifest)
  const frames = framesBefore(state, second, seconds)
  const last = frames.at(-1)!
  const { alerts, status } = lookLocal(state, (store) => ({
    alerts: store.alerts
      .list({ limit: ALERTS_KEPT_MAX })
      .filter((alert) => isOpenAt(alert, second)),
    status: store.ledger.get()?.ledger as { host?: string; source?: { name?: string } } | undefined,
  }))
  const view = new LiveView({
    classes: model.classes,
    detector: { standing: (process) => standingOf(process, alerts, model) },
    about: () => ({
      ...{ host: status?.host ?? '', source: status?.source?.name ?? '', cpuShare: 0, rssBytes: 0 },
      callsPerSecond: last.counts.reduce((sum, count) => sum + count, 0),
      ...{ lagMs: 0, level: 0, does: '', alertsOpen: alerts.length, dropped: {} },
    }),
  })
  let document: LiveDocument | undefined
  let at = 0
  for await (const predictions of predictFrames(model, frames))
    document = view.describe(frames[at++]!, predictions)
  return document!
}

function framesBefore(state: string, second: number, seconds: number): Frame[] {
  const path = join(state, 'frames.db')
  const nothing = (why: string) =>
    new AgentError('ERR_INPUT', `Cannot look back to ${when(second)}: ${why}`, {
      hint: 'The buffer holds the last hour or so of a watched host: "agent status" says since when',
    })
  if (!existsSync(path)) throw nothing(`there is no "${path}"`)
  const buffer = RollingBuffer.open(path, { readOnly: true })
  try {
    const span = buffer.span()
    if (span === undefined) throw nothing('nothing is buffered yet')
    if (second < span.from || second > span.to)
      throw nothing(`the buffer holds ${when(span.from)} to ${when(span.to)}`)
    const frames = [...buffer.read({ from: second - seconds + 1, to: second })]
    if (frames.length === 0) throw nothing('no second before it was watched')
    return frames
  } finally {
    buffer.close()
  }
}

function isOpenAt({ first, last, state }: Alert, second: number): boolean {
  return first <= second && (state !== 'closed' || last >= second)
}

/** A pid is used again; a group of short-lived processes has the pid and no start of one of them. */
function isAbout({ process: subject }: Alert, { pid, latest, startMs }: Process): boolean {
  if (subject.pid !== (latest ?? Math.abs(pid))) return false
  return pid < 0 || Math.abs(subject.start - Math.floor(startMs / 1000)) <= START_TOLERANCE_SECONDS
}

function standingOf(process: Process, alerts: readonly Alert[], model: Model) {
  const { name } = process
  const isAccused = alerts.some((alert) => isAbout(alert, process))
  const claimed = claimsNothing(name) ? undefined : model.classes.claimedBy(name)
  return {
    known: true,
    suspicion: isAccused ? 1 : 0,
    claims: claimed !== undefined && claimed !== model.classes.background,
  }
}

function when(second: number): string {
  return `${new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
