/**
 * What `agent record` makes of frames: the frames file, the process tree, and totals of both.
 *
 * Where a hosts file separates several hosts, each vector has its own, and frames wait for
 * HOSTS_HOLD_SECONDS, so that a container is named by the time its first seconds are written. The
 * totals then tell what went to which host, and what to none: together it is all that was counted.
 */
import { closeSync } from 'node:fs'
import { ProcessTree } from '../count/process-tree.ts'
import { defined } from '../domain/defined.ts'
import { type Frame, vectorTotal } from '../domain/frame.ts'
import { HOSTS_HOLD_SECONDS } from '../domain/limits.ts'
import { openForWriting, openFramesFile, writeAll } from './frames-writer.ts'
import { HostsFile } from './hosts-file.ts'

export interface RecordingOptions {
  /** The frames file; stdout where undefined. */
  readonly out?: string | undefined
  readonly host: string
  readonly label?: string | undefined
  /** The file that separates several hosts (hosts-file.ts). */
  readonly hosts?: string | undefined
  /** Where the process tree goes (count/process-tree.ts). */
  readonly tree?: string | undefined
}

interface Share {
  vectors: number
  calls: number
}

export interface RecordingTotals {
  readonly frames: number
  readonly vectors: number
  /** First and last second; absent where there was none. */
  readonly first?: number
  readonly last?: number
  /** Seconds that are marked as incomplete. */
  readonly lostSeconds: number
  /** With a hosts file: what went to each, and what belongs to none of them. */
  readonly hosts?: Readonly<Record<string, Readonly<Share>>>
  readonly notRecorded?: Readonly<Share>
}

export class Recording {
  readonly #out: ReturnType<typeof openFramesFile>
  readonly #hosts: HostsFile | undefined
  readonly #tree: { readonly path: string; readonly descriptor: number } | undefined
  readonly #processes = new ProcessTree()
  /** Frames that wait for their hosts' names. */
  #held: Frame[] = []
  #second = 0
  #first: number | undefined
  #lostSeconds = 0
  readonly #shares = new Map<string | undefined, Share>()

  /** @throws AgentError where a file cannot be read or written */
  constructor({ out, host, label, hosts, tree }: RecordingOptions) {
    this.#hosts = hosts === undefined ? undefined : new HostsFile(hosts)
    const hostOf = this.#hosts
    this.#out = openFramesFile(out, {
      host: hostOf === undefined ? host : (process) => hostOf.hostOf(process, this.#second),
      ...defined({ label }),
    })
    if (tree !== undefined) this.#tree = { path: tree, descriptor: openForWriting(tree) }
  }

  /** @param frames ascending. Resolves when there is room for more. */
  async write(frames: readonly Frame[]): Promise<void> {
    if (this.#tree !== undefined && frames.length > 0) {
      const lines = frames.map((frame) => this.#processes.push(frame)).join('')
      writeAll(this.#tree.path, this.#tree.descriptor, new TextEncoder().encode(lines))
    }
    this.#held.push(...frames)
    if (this.#hosts === undefined) return this.#release(Number.POSITIVE_INFINITY)
    const newest = this.#held.at(-1)?.index ?? 0
    await this.#release(newest - HOSTS_HOLD_SECONDS)
  }

  /** Writes the held frames. @returns the totals, when everything is written */
  async close(): Promise<RecordingTotals> {
    try {
      await this.#release(Number.POSITIVE_INFINITY)
    } finally {
      if (this.#tree !== undefined) closeSync(this.#tree.descriptor)
      await this.#out.close()
    }
    const { frameCount: count, vectorCount } = this.#out
    const totals = { frames: count, vectors: vectorCount, lostSeconds: this.#lostSeconds }
    const span = this.#first === undefined ? {} : { first: this.#first, last: this.#second }
    if (this.#hosts === undefined) return { ...totals, ...span }
    const notRecorded = this.#shares.get(undefined) ?? { vectors: 0, calls: 0 }
    this.#shares.delete(undefined)
    const hosts = Object.fromEntries([...this.#shares].sort())
    return { ...totals, ...span, hosts, notRecorded }
  }

  /** Everything is handed on before the first wait: calls may overlap. */
  async #release(before: number): Promise<void> {
    const waiting = this.#held.findIndex(({ index }) => index >= before)
    const ready = this.#held.splice(0, waiting < 0 ? this.#held.length : waiting)
    const writing = ready.map((frame) => {
      this.#second = frame.index
      this.#first ??= frame.index
      if (frame.lost > 0) this.#lostSeconds++
      this.#share(frame)
      return this.#out.write([frame])
    })
    await Promise.all(writing)
  }

  #share(frame: Frame): void {
    if (this.#hosts === undefined) return
    for (const [i, process] of frame.processes.entries()) {
      const host = this.#hosts.hostOf(process, frame.index)
      const share = this.#shares.get(host) ?? { vectors: 0, calls: 0 }
      share.vectors++
      share.calls += vectorTotal(frame, i)
      this.#shares.set(host, share)
    }
  }
}
