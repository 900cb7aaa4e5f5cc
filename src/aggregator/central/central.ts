/**
 * Classifies for hosts that send their vectors (`aggregate --classify`): the paper's architecture.
 *
 * Messages wait in a line per host. A round takes the next message of each host that has one, runs
 * its seconds through the same steps as an agent's (classify/), all hosts' first seconds in one
 * batch, then their second ones, and commits alerts together with what is known of those hosts.
 * Alerts are numbered by the message that raised them, so a message that is classified twice, here
 * or by another instance, changes nothing in the store.
 *
 * What is known of a host is saved with each of its alerts, now and then, and at the end; another
 * instance goes on from there. Evidence that is under way is not saved: as after the restart of an
 * agent, it accumulates again.
 *
 * A message that does not follow the last one means that seconds are missing: sequences begin anew,
 * and nothing is concluded from the gap. While the store takes nothing, nothing more is classified;
 * messages wait, bounded, and beyond the bound are refused.
 */

import { calibrationOf } from '../../classify/calibration-of.ts'
import { HostsClassifier } from '../../classify/classify-hosts.ts'
import { HostPipeline, type SharedParts } from '../../classify/host-pipeline.ts'
import { type Alert, isObservation } from '../../domain/alert.ts'
import { defined } from '../../domain/defined.ts'
import {
  BOOT_AHEAD_MS_MAX,
  CENTRAL_ALERTS_REMEMBERED_MAX,
  CENTRAL_HOSTS_MAX,
  CENTRAL_MEMORY_NAMES_MAX,
  CENTRAL_MEMORY_PROTOTYPES_MAX,
  CENTRAL_ROUND_HOSTS_MAX,
  CENTRAL_SAVE_EVERY_MS,
  CENTRAL_WAITING_BYTES_MAX,
  CENTRAL_WAITING_PER_HOST_MAX,
  CENTRAL_WINDOWS_PER_SECOND_MAX,
  STORE_PAUSE_MS,
} from '../../domain/limits.ts'
import { Classifier } from '../../model/classifier.ts'
import type { Model } from '../../model/model.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Unsettled } from '../../platform/mqtt/broker-options.ts'
import { toMessage } from '../../wire/alert-message.ts'
import { decodeVectors, type VectorsMessage } from '../../wire/vectors-message.ts'
import type { Arrival, Store, StoreChange } from '../store/store.ts'
import { decodeKnownHost, encodeKnownHost, type StreamPlace } from './known-host.ts'
import { isInPartition, type Partition } from './partition.ts'

export interface CentralOptions {
  readonly model: Model
  readonly falseAlertsPerDay: number
  readonly learnSeconds: number
  /** Seconds between two windows of one process; 1: as an agent does. */
  readonly every: number
  readonly partition?: Partition
}

export interface CentralParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly onChange: (change: StoreChange) => void
  readonly onRefused: (reason: string) => void
}

export interface CentralStatus {
  /** Hosts in memory. */
  readonly hosts: number
  readonly messages: number
  readonly windows: number
  /** Windows that were not judged, because it was not their turn. */
  readonly leftOut: number
  /** Messages that had been classified before. */
  readonly repeats: number
  /** Seconds that never came. */
  readonly missing: number
  /** Seconds that failed. */
  readonly failed: number
  readonly waitingBytes: number
  /** CPU seconds of rounds. */
  readonly cpuSeconds: number
}

interface Waiting {
  readonly message: VectorsMessage
  /** The key that signed it; '' where nothing did. */
  readonly key: string
  readonly payload: Uint8Array
  readonly settled: (unsettled?: Unsettled) => void
}

interface Host {
  readonly site: string
  readonly host: string
  readonly pipeline: HostPipeline
  /** Of the key that signs its vectors; undefined before the first message. */
  key: string | undefined
  /** Undefined before the first message. */
  place: StreamPlace | undefined
  /** Of the last message. */
  payload: Uint8Array
  savedAtMs: number
  /** Windows of the pipeline that are in the totals already. */
  counted: { readonly judged: number; readonly leftOut: number }
}

/** Numbers of one message's alerts: more than one host's book can raise and close in ten seconds. */
const ALERTS_PER_MESSAGE = 1_000

export class Central {
  readonly #options: CentralOptions
  readonly #parts: CentralParts
  readonly #shared: SharedParts
  readonly #classifier: HostsClassifier
  /** The longest silent first. */
  readonly #hosts = new Map<string, Host>()
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #totals = { messages: 0, windows: 0, leftOut: 0, repeats: 0, missing: 0, failed: 0 }
  #waitingBytes = 0
  #cpuMs = 0
  #round: Promise<void> | undefined
  #ending = false
  #toldFailing = false

  /** @throws AgentError where the model has no calibration */
  constructor(options: CentralOptions, parts: CentralParts) {
    const { model, falseAlertsPerDay, learnSeconds, every } = options
    const classifier = new Classifier(model)
    this.#options = options
    this.#parts = parts
    this.#classifier = new HostsClassifier(model, classifier)
    this.#shared = {
      ...{ model, classifier, calibration: calibrationOf(model) },
      ...{ falseAlertsPerDay, learnSeconds, every },
      windowsMax: CENTRAL_WINDOWS_PER_SECOND_MAX,
      memory: { names: CENTRAL_MEMORY_NAMES_MAX, prototypes: CENTRAL_MEMORY_PROTOTYPES_MAX },
      book: { remembered: CENTRAL_ALERTS_REMEMBERED_MAX },
    }
  }

  status(): CentralStatus {
    return {
      hosts: this.#hosts.size,
      ...this.#totals,
      waitingBytes: this.#waitingBytes,
      cpuSeconds: this.#cpuMs / 1000,
    }
  }

  /** @param settled called once: when its alerts are stored, or why they are not */
  take(
    {
      site,
      host,
      payload,
      key: signer = '',
    }: { site: string; host: string; payload: Uint8Array; key?: string },
    settled: (unsettled?: Unsettled) => void,
  ): void {
    const { partition } = this.#options
    if (partition !== undefined && !isInPartition(partition, site, host)) {
      settled()
      return
    }
    const read = this.#read({ site, host }, payload)
    if (typeof read === 'string') {
      this.#parts.onRefused(read)
      settled('refused')
      return
    }
    const key = `${site}/${host}`
    const line = this.#waiting.get(key) ?? []
    const isFull =
      line.length >= CENTRAL_WAITING_PER_HOST_MAX ||
      this.#waitingBytes + payload.byteLength > CENTRAL_WAITING_BYTES_MAX
    if (isFull) {
      this.#parts.onRefused('overloaded(vectors)')
      settled('overloaded')
      return
    }
    line.push({ message: read, key: signer, payload, settled })
    this.#waiting.set(key, line)
    this.#waitingBytes += payload.byteLength
    this.#begin()
  }

  /** @returns why it is refused, where it is */
  #read(from: { site: string; host: string }, payload: Uint8Array): VectorsMessage | string {
    const decoded = decodeVectors(payload)
    if (!decoded.ok) return decoded.reason
    const { site, host, boot } = decoded.value
    if (site !== from.site || host !== from.host) return 'host-mismatch'
    return boot > this.#parts.clock.now() + BOOT_AHEAD_MS_MAX ? 'boot-ahead' : decoded.value
  }

  /** Classifies what waits, saves what is known of all hosts. */
  async close(): Promise<void> {
    this.#ending = true
    await this.#round
    try {
      const hosts = [...this.#hosts.values()].filter(({ place }) => place !== undefined)
      for (let at = 0; at < hosts.length; at += CENTRAL_ROUND_HOSTS_MAX)
        await this.#parts.store.commit(
          hosts.slice(at, at + CENTRAL_ROUND_HOSTS_MAX).map((host) => this.#known(host)),
          this.#parts.clock.now(),
        )
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      this.#parts.log.error('Cannot save what is known of classified hosts', { why })
    }
  }

  #begin(): void {
    this.#round ??= this.#rounds().finally(() => {
      this.#round = undefined
      // What came between the last look and this moment began no round of its own.
      if (this.#waiting.size > 0) this.#begin()
    })
  }

  async #rounds(): Promise<void> {
    // What came together is classified together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.size > 0) {
      const batch = await this.#withRightKeys(this.#next())
      const began = process.threadCpuUsage()
      const arrivals = await this.#classify(batch).catch((error) => this.#failedRound(error))
      const { user, system } = process.threadCpuUsage(began)
      this.#cpuMs += (user + system) / 1000
      const stored = await this.#store(arrivals)
      for (const { settled } of batch.values()) settled(stored ? undefined : 'not-stored')
      await this.#letGo()
    }
  }

  /** The oldest message of each of the hosts that wait longest. */
  #next(): Map<string, Waiting> {
    const batch = new Map<string, Waiting>()
    // A copy: a host with more goes behind the others, and must not be met again in this round.
    for (const [key, line] of [...this.#waiting].slice(0, CENTRAL_ROUND_HOSTS_MAX)) {
      const waiting = line.shift()!
      batch.set(key, waiting)
      this.#waitingBytes -= waiting.payload.byteLength
      this.#waiting.delete(key)
      if (line.length > 0) this.#waiting.set(key, line)
    }
    return batch
  }

  /** Vectors that are not signed by the host's key are refused: they would teach what is usual there. */
  async #withRightKeys(batch: Map<string, Waiting>): Promise<Map<string, Waiting>> {
    const doubtful = [...batch].filter(([name, { key }]) => this.#hosts.get(name)?.key !== key)
    if (doubtful.length === 0) return batch
    const keys = await this.#parts.store
      .keysOf(
        doubtful.map(
          ([
            ,
            {
              message: { site, host },
            },
          ]) => ({ site, host }),
        ),
      )
      .catch(() => undefined)
    doubtful.forEach(([name, { key, settled }], i) => {
      const pinned = keys?.[i]
      if (pinned === '' || pinned === key) return
      batch.delete(name)
      if (keys !== undefined) this.#parts.onRefused(key === '' ? 'unsigned' : 'key-changed')
      settled(keys === undefined ? 'not-stored' : 'refused')
    })
    return batch
  }

  async #classify(batch: ReadonlyMap<string, Waiting>): Promise<Arrival[]> {
    await this.#bring(batch)
    const running = [...batch].flatMap(([name, { message, key, payload }]) => {
      const host = this.#hosts.get(name)
      if (host === undefined || !this.#follows(host, message)) return []
      Object.assign(host, { payload, key })
      return [{ host, message, alerts: [] as Alert[] }]
    })
    const longest = Math.max(0, ...running.map(({ message }) => message.frames.length))
    for (let second = 0; second < longest; second++)
      await this.#classifier.classify(
        running.flatMap(({ host, message, alerts }) => {
          const frame = message.frames[second]
          if (frame === undefined) return []
          return [
            {
              ...{ pipeline: host.pipeline, frame },
              onAlerts: (raised: readonly Alert[]) => void alerts.push(...raised),
              onError: (error: unknown) => this.#failed(host, error),
            },
          ]
        }),
      )
    return running.flatMap(({ host, message, alerts }) => this.#arrivalsOf(host, message, alerts))
  }

  /** Hosts of the batch that are not in memory come from the store, or are new. */
  async #bring(batch: ReadonlyMap<string, Waiting>): Promise<void> {
    const { store, log } = this.#parts
    const absent = [...batch.values()]
      .map(({ message: { site, host } }) => ({ site, host }))
      .filter(({ site, host }) => !this.#hosts.has(`${site}/${host}`))
    if (absent.length === 0) return
    const known = await store.known(absent).catch((cause) => {
      log.warn('Cannot read what is known of hosts: they are learned anew', { why: String(cause) })
      return []
    })
    absent.forEach(({ site, host }, i) => {
      this.#hosts.set(`${site}/${host}`, this.#hostOf(site, host, known[i]))
    })
  }

  #hostOf(site: string, host: string, bytes: Uint8Array | undefined): Host {
    const found = bytes === undefined ? undefined : decodeKnownHost(bytes)
    const { model } = this.#options
    const known = found?.model === model.classes.modelId ? found : undefined
    const pipeline = new HostPipeline(host, this.#shared, known?.knowledge)
    const last = known === undefined ? undefined : decodeVectors(known.payload)
    if (last?.ok === true) pipeline.warm(last.value.frames)
    return {
      ...{ site, host, pipeline, place: known?.place, key: undefined },
      payload: known?.payload ?? new Uint8Array(0),
      // Spread, so that not all are saved in one round.
      savedAtMs: this.#parts.clock.monotonic() - CENTRAL_SAVE_EVERY_MS * shareOf(site, host),
      counted: { judged: 0, leftOut: 0 },
    }
  }

  /** @returns false for a message that was classified before; where seconds are missing, sequences begin anew */
  #follows(host: Host, { boot, seq, frames }: VectorsMessage): boolean {
    const before = host.place
    const isOld =
      before !== undefined && (boot < before.boot || (boot === before.boot && seq <= before.seq))
    if (isOld) {
      this.#totals.repeats++
      return false
    }
    const first = frames[0]!.index
    const isNext = before?.boot === boot && before.seq + 1 === seq
    if (before !== undefined && !isNext) {
      this.#totals.missing += Math.max(0, first - before.last - 1)
      host.pipeline.restart()
    }
    host.place = { boot, seq, last: frames.at(-1)!.index }
    this.#totals.messages++
    this.#hosts.delete(`${host.site}/${host.host}`)
    this.#hosts.set(`${host.site}/${host.host}`, host)
    return true
  }

  #arrivalsOf(host: Host, { boot, seq }: VectorsMessage, alerts: readonly Alert[]): Arrival[] {
    const { judged, leftOut } = host.pipeline.windows
    this.#totals.windows += judged - host.counted.judged
    this.#totals.leftOut += leftOut - host.counted.leftOut
    host.counted = { judged, leftOut }
    const { site, key = '' } = host
    const signed = key === '' ? {} : { key }
    const messages = alerts
      .slice(0, ALERTS_PER_MESSAGE)
      .filter((alert) => !isObservation(alert))
      .map((alert, i): Arrival => {
        const origin = { site, host: host.host, boot, seq: seq * ALERTS_PER_MESSAGE + i }
        return { kind: 'alert', message: toMessage(alert, origin), ...signed }
      })
    const now = this.#parts.clock.monotonic()
    if (alerts.length === 0 && now - host.savedAtMs < CENTRAL_SAVE_EVERY_MS) return messages
    host.savedAtMs = now
    return [...messages, this.#known(host)]
  }

  #known({ site, host, pipeline, place, payload }: Host): Arrival {
    const model = this.#options.model.classes.modelId
    const knowledge = pipeline.knowledge()
    return {
      kind: 'known',
      message: { site, host },
      body: encodeKnownHost({ place: place!, model, knowledge, payload }),
    }
  }

  /** Until they are stored: what a host is known to have done cannot be classified again. */
  async #store(arrivals: readonly Arrival[]): Promise<boolean> {
    if (arrivals.length === 0) return true
    const { store, clock, log, onChange } = this.#parts
    for (;;) {
      try {
        const changes = await store.commit(arrivals, clock.now())
        if (this.#toldFailing) log.info('Storing classified hosts again')
        this.#toldFailing = false
        for (const change of changes) onChange(change)
        return true
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        if (!this.#toldFailing) log.error('Cannot store alerts of classified hosts', { why })
        this.#toldFailing = true
        if (this.#ending) return false
        await Bun.sleep(STORE_PAUSE_MS)
      }
    }
  }

  /** Beyond the bound the longest silent hosts leave the memory; what is known of them is saved. */
  async #letGo(): Promise<void> {
    const surplus = this.#hosts.size - CENTRAL_HOSTS_MAX
    if (surplus <= 0) return
    const silent = [...this.#hosts.values()].slice(0, surplus)
    for (const { site, host } of silent) this.#hosts.delete(`${site}/${host}`)
    await this.#store(
      silent.filter(({ place }) => place !== undefined).map((host) => this.#known(host)),
    )
  }

  /** A defect of ours: its hosts go on with their next messages. */
  #failedRound(error: unknown): Arrival[] {
    this.#totals.failed++
    this.#parts.log.error('Cannot classify a round of hosts', { error: String(error) })
    return []
  }

  #failed({ site, host }: Host, error: unknown): void {
    if (this.#totals.failed++ === 0)
      this.#parts.log.error('Cannot classify a second of a host', {
        ...{ site, host, error: String(error) },
        ...defined({
          at: error instanceof Error ? error.stack?.split('\n')[1]?.trim() : undefined,
        }),
      })
  }
}

/** 0…1, always the same for a host. */
function shareOf(site: string, host: string): number {
  return Bun.hash.crc32(`${site}/${host}`) / 2 ** 32
}
