/**
 * Load as a fleet makes it, on real MQTT connections: recorded summaries, alerts, receipts that are
 * waited for, hosts that drop and come back all at once, hosts that do not read, and clients that
 * send rubbish.
 *
 * The same seed gives the same hosts the same summaries and the same alerts. The report has times
 * and counts as the hosts see them; what the aggregator costs is its own /metrics to say.
 */
import { createHash } from 'node:crypto'
import type { Alert } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import { SIMULATED_CONNECTING_MAX } from '../domain/limits.ts'
import { openIdentity } from '../platform/identity.ts'
import { encodeAlert } from '../wire/alert-message.ts'
import { type HostOptions, type Kind, SimulatedHost } from './fleet-host.ts'
import {
  readSummaryTemplates,
  SEQ_FIRST,
  type SummaryTemplate,
  TEMPLATE_HOST,
  TEMPLATE_SITE,
} from './summary-templates.ts'

export interface FleetOptions
  extends Pick<HostOptions, 'hostname' | 'port' | 'tls' | 'username' | 'password'> {
  readonly hosts: number
  readonly seconds: number
  readonly summaryEverySeconds: number
  /** Of the whole fleet. */
  readonly alertsPerSecond: number
  /** At the end all drop and come back at once. */
  readonly storm: boolean
  /** So many of the hosts stop reading. */
  readonly slow: number
  /** So many clients beside them send rubbish. */
  readonly hostile: number
  readonly seed: number
  readonly signal: AbortSignal
  readonly onPhase: (phase: string) => void
}

/** The same in each run, so that an aggregator that has pinned it knows the host again; no secret. */
function secretOf(host: string): string {
  return createHash('sha256').update(`simulated ${host}`).digest('hex')
}

export interface Waits {
  readonly count: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

export interface FleetResult {
  readonly hosts: number
  readonly connectSeconds: number
  readonly refused: number
  readonly sent: Readonly<Record<Kind, number>>
  readonly summariesPerSecond: number
  readonly puback: Waits
  readonly receipts: Readonly<Record<Kind, Waits>>
  readonly connectionsLost: number
  /** Alerts that were sent and never receipted, after all was waited for. */
  readonly alertsLost: number
  readonly storm: {
    readonly seconds: number
    readonly longestMs: number
    readonly refused: number
  } | null
}

const SETTLE_MS = 3_000
const PATIENCE_MS = 60_000

export async function simulateFleet(options: FleetOptions): Promise<FleetResult> {
  return new Fleet(options).run()
}

class Fleet {
  readonly #options: FleetOptions
  readonly #templates: readonly SummaryTemplate[] = readSummaryTemplates()
  readonly #hosts: SimulatedHost[] = []
  readonly #random: () => number
  readonly #boot = Date.now()
  readonly #sent = { alert: 0, summary: 0 }
  #pubacks: number[] = []
  #receipts: Record<Kind, number[]> = { alert: [], summary: [] }
  #lost = 0
  #refused = 0

  constructor(options: FleetOptions) {
    this.#options = options
    this.#random = mulberry32(options.seed)
  }

  async run(): Promise<FleetResult> {
    const { hosts, seconds, slow, storm, signal, onPhase } = this.#options
    for (let i = 0; i < hosts; i++) this.#hosts.push(this.#host(i))
    onPhase(`connecting ${hosts} hosts`)
    const connecting = await this.#connectAll()
    for (const host of this.#hosts.slice(0, slow)) host.stall()
    const hostile = this.#beHostile()
    onPhase('sending')
    const stop = this.#sendSteadily()
    await pause(SETTLE_MS, signal)
    this.#pubacks = []
    this.#receipts = { alert: [], summary: [] }
    const before = { ...this.#sent }
    const began = performance.now()
    await pause(seconds * 1000, signal)
    const took = (performance.now() - began) / 1000
    stop()
    const summaries = this.#sent.summary - before.summary
    onPhase('waiting for receipts')
    await this.#waitForReceipts()
    clearInterval(hostile)
    const measured = {
      puback: waits(this.#pubacks),
      receipts: { alert: waits(this.#receipts.alert), summary: waits(this.#receipts.summary) },
    }
    const stormed = storm && !signal.aborted ? await this.#storm() : null
    const alertsLost = this.#hosts.reduce((sum, host) => sum + host.unreceipted, 0)
    for (const host of this.#hosts) host.end()
    return {
      hosts,
      connectSeconds: round(connecting.seconds),
      refused: this.#refused,
      sent: this.#sent,
      summariesPerSecond: round(summaries / took),
      ...measured,
      connectionsLost: this.#lost,
      alertsLost,
      storm: stormed,
    }
  }

  #host(at: number): SimulatedHost {
    const { hostname, port, tls, username, password } = this.#options
    return new SimulatedHost({
      ...{ hostname, port, site: TEMPLATE_SITE, host: hostName(at), boot: this.#boot },
      signer: openIdentity(secretOf(hostName(at))),
      ...defined({ tls, username, password }),
      onReceipt: (kind, waitedMs) => this.#receipts[kind].push(waitedMs),
      onPuback: (waitedMs) => this.#pubacks.push(waitedMs),
      onLost: () => {
        this.#lost++
      },
    })
  }

  /**
   * As many at a time as a network lets in; those refused come again after a while, as agents do.
   */
  async #connectAll(): Promise<{ seconds: number; longestMs: number; refused: number }> {
    const { signal } = this.#options
    const began = performance.now()
    let next = 0
    let refused = 0
    let longestMs = 0
    const work = async (): Promise<void> => {
      while (next < this.#hosts.length && !signal.aborted) {
        const host = this.#hosts[next++]!
        for (let attempt = 0; !(await host.connect()); attempt++) {
          refused++
          if (signal.aborted || attempt > 60) break
          await pause(200 + this.#random() * 1_000, signal)
        }
        longestMs = Math.max(longestMs, performance.now() - began)
      }
    }
    await Promise.all(Array.from({ length: SIMULATED_CONNECTING_MAX }, work))
    this.#refused += refused
    return { seconds: (performance.now() - began) / 1000, longestMs, refused }
  }

  /** @returns what stops it */
  #sendSteadily(): () => void {
    const { summaryEverySeconds, alertsPerSecond, slow } = this.#options
    const everyMs = summaryEverySeconds * 1000
    const began = performance.now()
    let summaries = 0
    let alerts = 0
    const timer = setInterval(() => {
      const nowMs = performance.now()
      const due = Math.floor(((nowMs - began) / everyMs) * this.#hosts.length)
      for (; summaries < due; summaries++) this.#sendSummary(summaries % this.#hosts.length, nowMs)
      const alertsDue = Math.floor(((nowMs - began) / 1000) * alertsPerSecond)
      for (; alerts < alertsDue; alerts++) {
        const first = Math.min(slow, this.#hosts.length - 1)
        const at = first + Math.floor(this.#random() * (this.#hosts.length - first))
        this.#sendAlert(at, alerts, nowMs)
      }
      if (alerts % 50 === 0) for (const host of this.#hosts) host.sendAgain(nowMs)
    }, 10)
    return () => clearInterval(timer)
  }

  #sendSummary(at: number, nowMs: number): void {
    const host = this.#hosts[at]!
    const template = this.#templates[at % this.#templates.length]!
    const seq = SEQ_FIRST + ++host.seq
    const origin = { site: TEMPLATE_SITE, host: hostName(at), boot: this.#boot, seq }
    host.send('summary', template.fill(origin, Math.floor(Date.now() / 1000)), seq, nowMs)
    this.#sent.summary++
  }

  #sendAlert(at: number, number: number, nowMs: number): void {
    const host = this.#hosts[at]!
    if (!host.open) return
    const seq = SEQ_FIRST + ++host.seq
    const origin = { site: TEMPLATE_SITE, host: hostName(at), boot: this.#boot, seq }
    const payload = encodeAlert(alertOf(`${this.#options.seed}-${number}`), origin)
    host.send('alert', payload, seq, nowMs)
    this.#sent.alert++
  }

  async #waitForReceipts(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (performance.now() < deadline && !this.#options.signal.aborted) {
      if (this.#hosts.every((host) => host.unreceipted === 0)) return
      for (const host of this.#hosts) host.sendAgain(performance.now())
      await pause(100, this.#options.signal)
    }
  }

  async #storm(): Promise<FleetResult['storm']> {
    this.#options.onPhase('all hosts drop and come back')
    for (const host of this.#hosts) host.drop()
    await pause(500, this.#options.signal)
    const { seconds, longestMs, refused } = await this.#connectAll()
    return { seconds: round(seconds), longestMs: Math.round(longestMs), refused }
  }

  /** Clients that send rubbish for as long as it takes, each to be let go and to come again. */
  #beHostile(): ReturnType<typeof setInterval> {
    const { hostile, hostname, port, tls } = this.#options
    return setInterval(() => {
      for (let i = 0; i < hostile; i++) {
        const rubbish = Uint8Array.from({ length: 64 }, () => this.#random() * 256)
        Bun.connect({
          hostname,
          port,
          ...defined({ tls }),
          socket: { data() {}, error() {}, open: (socket) => void socket.end(rubbish) },
        }).catch(() => {})
      }
    }, 1_000)
  }
}

function hostName(at: number): string {
  return `h${String(at).padStart(TEMPLATE_HOST.length - 1, '0')}`
}

function alertOf(id: string): Alert {
  const now = Math.floor(Date.now() / 1000)
  return {
    ...{ id: `sim-${id}`, kind: 'masquerade', state: 'open', time: now, first: now - 9, last: now },
    ...{ count: 3, severity: 'high', certainty: 'confirmed', incident: `sim-${id}` },
    process: { pid: 812, start: now - 60, name: 'nginx', exe: '/usr/sbin/nginx' },
    predicted: { class: 'network scan', confidence: 0.98 },
    claimed: { class: 'nginx', confidence: 0.01 },
    why: ['socket', 'connect', 'poll', 'read', 'write', 'close'].map((syscall) => ({
      syscall,
      seen: 0.3,
      expected: 0.01,
    })),
    model: 'simulated',
    evidence: { from: now - 9, to: now },
  }
}

function waits(times: number[]): Waits {
  times.sort((a, b) => a - b)
  const at = (share: number) =>
    times.length === 0
      ? null
      : round(times[Math.min(times.length - 1, Math.floor(times.length * share))]!)
  return { count: times.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

/** A small generator with a seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
