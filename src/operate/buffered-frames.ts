/**
 * The frames of this host that the agent's rolling buffer still holds (an hour, as a rule), read beside a
 * running agent: what `agent train --from-buffer` trains on. Their hash stands for the file they never were.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'

export interface BufferedFrames {
  readonly file: string
  readonly host: string
  readonly sha256: string
  readonly frames: readonly Frame[]
  readonly vectors: number
  readonly refusedLines: number
}

export function readBufferedFrames(state: string, host: string): BufferedFrames {
  const path = join(state, 'frames.db')
  if (!existsSync(path))
    throw new AgentError('ERR_INPUT', `Cannot train from the buffer: there is no "${path}"`, {
      hint: 'Run "agent watch" for a while first, or name its state directory with --state DIR',
    })
  const buffer = RollingBuffer.open(path, { readOnly: true })
  const span = buffer.span()
  const frames = span === undefined ? [] : [...buffer.read(span)]
  buffer.close()
  if (frames.length === 0)
    throw new AgentError('ERR_INPUT', `Cannot train from the buffer: "${path}" holds no frame`, {
      hint: 'Run "agent watch" for a while first',
    })
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
