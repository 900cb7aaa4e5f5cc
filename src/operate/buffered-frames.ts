/**
 * The frames of this host that the agent's rolling buffer still holds (an hour, as a rule), read
 * beside a running agent: what `agent train --from-buffer` trains on. Their hash stands for the
 * file they never were.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { Alert } from '../domain/alert.ts'
import type { AllowRule } from '../domain/allow.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { ALERTS_KEPT_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { lookLocal } from './local-alerts.ts'

export interface BufferedFrames {
  readonly file: string
  readonly host: string
  readonly sha256: string
  readonly frames: readonly Frame[]
  readonly vectors: number
  readonly refusedLines: number
}

/** Reasons not to take a process for ordinary. */
export interface Suspects {
  /** It belongs to an alert of this day without an allow rule. */
  isSuspect(process: Process, second: number): boolean
  isAllowed(name: string): boolean
}

/**
 * The buffered seconds one by one, so that an hour of a busy host is never in memory, and what was
 * held against its processes.
 */
export async function bufferedHost<T>(
  state: string,
  take: (frames: Iterable<Frame>, suspects: Suspects) => Promise<T>,
): Promise<T> {
  const suspects = lookLocal(state, ({ alerts, allowed }) =>
    suspectsOf(alerts.list({ limit: ALERTS_KEPT_MAX }), allowed.list()),
  )
  const buffer = openBuffer(state)
  try {
    const span = buffer.span()
    if (span === undefined)
      throw new AgentError('ERR_INPUT', 'Cannot adapt to this host: nothing is buffered yet', {
        hint: 'Run "agent watch" for ten minutes first',
      })
    return await take(buffer.read(span), suspects)
  } finally {
    buffer.close()
  }
}

/** From a minute before an alert's first second to a minute after its last. */
function suspectsOf(alerts: readonly Alert[], rules: readonly AllowRule[]): Suspects {
  const names = new Set(rules.flatMap(({ name }) => name ?? []))
  const spans = new Map<number, Alert[]>()
  for (const alert of alerts) {
    if (alert.kind === 'novelty' || alert.severity === 'low') continue
    const known = spans.get(alert.process.pid)
    if (known === undefined) spans.set(alert.process.pid, [alert])
    else known.push(alert)
  }
  return {
    isAllowed: (name) => names.has(name),
    isSuspect: ({ pid, latest }, second) =>
      spans
        .get(latest ?? Math.abs(pid))
        ?.some(({ first, last }) => second >= first - 60 && second <= last + 60) ?? false,
  }
}

function openBuffer(state: string): RollingBuffer {
  const path = join(state, 'frames.db')
  if (!existsSync(path))
    throw new AgentError('ERR_INPUT', `Cannot use the buffer: there is no "${path}"`, {
      hint: 'Run "agent watch" for a while first, or name its state directory with --state DIR',
    })
  return RollingBuffer.open(path, { readOnly: true })
}

export function readBufferedFrames(state: string, host: string): BufferedFrames {
  const buffer = openBuffer(state)
  const span = buffer.span()
  const frames = span === undefined ? [] : [...buffer.read(span)]
  buffer.close()
  if (frames.length === 0)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot train from the buffer of "${state}": it contains no frames`,
      {
        hint: 'Run "agent watch" for a while first',
      },
    )
  const hash = createHash('sha256')
  let vectors = 0
  for (const { index, processes, syscalls, counts } of frames) {
    hash.update(
      `${index} ${processes.map(({ pid, startMs, name }) => `${pid}@${startMs} ${name}`).join()}`,
    )
    hash.update(syscalls).update(counts)
    vectors += processes.length
  }
  return { file: 'frames.db', host, sha256: hash.digest('hex'), frames, vectors, refusedLines: 0 }
}
