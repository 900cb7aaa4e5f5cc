/**
 * The live view of `agent top`: one document per second, made only while a client is connected.
 *
 * The running agent serves it on a socket in its state directory (platform/linux/local-socket.ts),
 * so that no second pipeline is started and nothing is left on disk. Bounded: LIVE_ROWS_MAX
 * processes, the most suspicious first, then the busiest; how many more there are is told.
 */
import { join } from 'node:path'
import type { Standing } from '../detect/detector-status.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { vectorTotal } from '../domain/frame.ts'
import {
  LIVE_BYTES_MAX,
  LIVE_ROWS_MAX,
  LIVE_VIEWERS_MAX,
  PROCESSES_MAX,
  SEQUENCE_FRAMES,
} from '../domain/limits.ts'
import type { Predictions } from '../domain/prediction.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { type Broadcast, openBroadcast, readBroadcast } from '../platform/linux/local-socket.ts'
import { log } from '../platform/log.ts'

export interface LiveProcess {
  /** Below zero: a group of short-lived processes of one name. */
  readonly pid: number
  /** Unix seconds. */
  readonly start: number
  readonly name: string
  readonly container?: string
  /** Calls in this second. */
  readonly calls: number
  /** Predicted class and confidence; absent until it was classified. */
  readonly class?: string
  readonly confidence?: number
  /** The class is one of malicious behaviour. */
  readonly malicious?: true
  /** The model knows behaviours like its own; absent from older agents. */
  readonly known?: boolean
  /** Its name claims a class that the model knows. */
  readonly claims: boolean
  /** Evidence against it as a share of the threshold. */
  readonly suspicion: number
}

/** The agent about itself. */
export interface LiveAgent {
  readonly host: string
  readonly source: string
  readonly cpuShare: number
  readonly rssBytes: number
  readonly callsPerSecond: number
  readonly lagMs: number
  /** Of the governor, with what it does. */
  readonly level: number
  readonly does: string
  readonly alertsOpen: number
  readonly dropped: Readonly<Record<string, number>>
}

export interface LiveDocument {
  readonly v: 1
  /** Unix second that it tells of. */
  readonly time: number
  readonly processes: readonly LiveProcess[]
  readonly processesOmitted: number
  readonly agent: LiveAgent
}

export interface LiveViewOptions {
  readonly classes: { readonly names: readonly string[]; readonly malicious?: readonly boolean[] }
  readonly detector: { standing(process: Process): Standing }
  readonly about: () => LiveAgent
  readonly rowsMax?: number
}

interface Seen {
  process: Process
  frameIndex: number
  calls: number
  class: string | undefined
  confidence: number
}

export function liveSocketPath(state: string): string {
  return join(state, 'live.sock')
}

export class LiveView {
  readonly #options: LiveViewOptions
  readonly #seen = new Map<ProcessKey, Seen>()
  #broadcast: Broadcast | undefined

  constructor(options: LiveViewOptions) {
    this.#options = options
  }

  /** If a sandbox allows no sockets, the agent runs without a live view. */
  open(state: string): void {
    try {
      this.#broadcast = openBroadcast(liveSocketPath(state), LIVE_VIEWERS_MAX)
    } catch (error) {
      log.info('Live view is not available: "agent top" will not work', { error: String(error) })
    }
  }

  close(): void {
    this.#broadcast?.close()
    this.#broadcast = undefined
  }

  push(frame: Frame, predictions: Predictions): void {
    const broadcast = this.#broadcast
    if (broadcast === undefined || broadcast.viewers === 0) {
      this.#seen.clear()
      return
    }
    broadcast.send(JSON.stringify(this.describe(frame, predictions)))
  }

  /** The document of this second. */
  describe(frame: Frame, predictions: Predictions): LiveDocument {
    this.#take(frame, predictions)
    const { detector, about, rowsMax = LIVE_ROWS_MAX } = this.#options
    const rows: LiveProcess[] = []
    for (const seen of this.#seen.values()) {
      const { pid, startMs, name, container } = seen.process
      rows.push({
        pid,
        start: Math.floor(startMs / 1000),
        name,
        ...defined({ container }),
        calls: seen.frameIndex === frame.index ? seen.calls : 0,
        ...(seen.class === undefined ? {} : { class: seen.class, confidence: seen.confidence }),
        ...(this.#isMalicious(seen.class) ? { malicious: true as const } : {}),
        ...detector.standing(seen.process),
      })
    }
    rows.sort((a, b) => b.suspicion - a.suspicion || b.calls - a.calls || a.pid - b.pid)
    return {
      v: 1,
      time: frame.index,
      processes: rows.slice(0, rowsMax),
      processesOmitted: Math.max(0, rows.length - rowsMax),
      agent: about(),
    }
  }

  #isMalicious(name: string | undefined): boolean {
    const { names, malicious = [] } = this.#options.classes
    return name !== undefined && malicious[names.indexOf(name)] === true
  }

  #take(frame: Frame, { processes, probabilities, classCount }: Predictions): void {
    for (let i = 0; i < frame.processes.length; i++) {
      const process = frame.processes[i]!
      const key = processKey(process)
      const calls = vectorTotal(frame, i)
      const seen = this.#seen.get(key)
      if (seen !== undefined) Object.assign(seen, { process, frameIndex: frame.index, calls })
      else if (this.#seen.size < PROCESSES_MAX)
        this.#seen.set(key, {
          ...{ process, frameIndex: frame.index, calls },
          ...{ class: undefined, confidence: 0 },
        })
    }
    for (let row = 0; row < processes.length; row++) {
      const seen = this.#seen.get(processKey(processes[row]!))
      if (seen === undefined) continue
      let top = row * classCount
      for (let at = top + 1; at < (row + 1) * classCount; at++)
        if (probabilities[at]! > probabilities[top]!) top = at
      seen.class = this.#options.classes.names[top - row * classCount]
      seen.confidence = probabilities[top]!
    }
    for (const [key, { frameIndex }] of this.#seen)
      if (frame.index - frameIndex >= SEQUENCE_FRAMES) this.#seen.delete(key)
  }
}

/** @throws Error for an invalid document */
function parseLive(value: unknown): LiveDocument {
  const { v, time, processes, processesOmitted, agent } = (value ?? {}) as Partial<LiveDocument>
  if (v !== 1) throw new Error(`version ${v} of the live view is not supported`)
  const isRow = (row: Partial<LiveProcess> | null) =>
    areNumbers(row?.pid, row?.start, row?.calls, row?.suspicion) &&
    typeof row?.name === 'string' &&
    (row.class === undefined || (typeof row.class === 'string' && areNumbers(row.confidence)))
  const isWhole =
    areNumbers(time, processesOmitted, agent?.cpuShare, agent?.rssBytes, agent?.callsPerSecond) &&
    areNumbers(agent?.lagMs, agent?.level, agent?.alertsOpen) &&
    [agent?.host, agent?.source, agent?.does].every((text) => typeof text === 'string') &&
    Array.isArray(processes) &&
    processes.every(isRow)
  if (!isWhole) throw new Error('the live view is incomplete')
  return value as LiveDocument
}

function areNumbers(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'number')
}

/**
 * What the agent of a state directory shows, second by second, until it ends or the signal.
 * @throws AgentError if none runs there, or access is denied
 */
export async function* watchLive(state: string, signal: AbortSignal): AsyncGenerator<LiveDocument> {
  const path = liveSocketPath(state)
  try {
    for await (const line of readBroadcast(path, LIVE_BYTES_MAX, signal)) {
      yield parseLive(JSON.parse(line))
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR')
      throw new AgentError('ERR_NOT_RUNNING', `No agent runs with state "${state}"`, {
        hint: 'Start it with "agent watch", or name its directory with --state DIR',
        cause,
      })
    if (code === 'EACCES' || code === 'EPERM')
      throw new AgentError('ERR_PERMISSION', `Cannot look at the agent of "${state}": ${code}`, {
        hint: 'Run "agent top" as the user that the agent runs as, or as root',
        cause,
      })
    throw new AgentError(
      'ERR_FAILED',
      `Cannot read what the agent of "${state}" shows: ${cause instanceof Error ? cause.message : String(cause)}`,
      { hint: 'It may be another version: compare "agent --version" with "agent status"', cause },
    )
  }
}
