/**
 * A fleet in one process and in virtual time: real outboxes and publishers, a real subscriber and
 * SQLite store, and between them a simulated network. A seed decides what happens: alerts and
 * summaries, bad networks, crashes of agents and aggregator, commits that fail before or after
 * they are done, clocks that are set, disks that are restored from a snapshot. Then everything
 * heals, and what ARCHITECTURE.md promises must hold:
 *
 *   - each alert is stored once, in its newest state; nothing is stored that nobody sent
 *   - nothing is receipted that is not in the store
 *   - summaries are added up once; one that is missing was counted as late
 *   - every outbox empties, and its ledger balances
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import type { Arrival, Store } from '../../src/aggregator/store/store.ts'
import { Subscriber } from '../../src/aggregator/subscriber.ts'
import type { Alert } from '../../src/domain/alert.ts'
import type { Summary } from '../../src/domain/summary.ts'
import { openIdentity } from '../../src/platform/identity.ts'
import type { Log } from '../../src/platform/log.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { decodeReceipt } from '../../src/wire/receipt-message.ts'
import { encodeAggregatorStatus } from '../../src/wire/status-message.ts'
import { aggregatorStatusTopic, parseTopic } from '../../src/wire/topics.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { FAIR, Network, type Packet, type Weather } from './network.ts'
import { Random } from './random.ts'
import { NodeClock, settle, VirtualTime } from './virtual-time.ts'

export const SITE = 'lab'
const START_MS = 1_795_000_000_000
const HOUR_MS = 3_600_000
/** How long faults go on, and how long a healed world has to become quiet. */
const TROUBLE_MS = 12 * 60_000
const HEALED_MS = 6 * HOUR_MS
const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** One key is enough for all hosts: each pins it as its own. */
const HOST_KEY = openIdentity('1'.repeat(64))
const AGGREGATOR_KEY = openIdentity('a'.repeat(64))

/** A promise that is not kept: a node that is gone answers nothing. */
const never = () => new Promise<never>(() => {})

/** What a seed did, for a report. */
export interface Course {
  readonly alerts: number
  readonly summaries: number
  readonly faults: Readonly<Record<string, number>>
}

class World {
  readonly time = new VirtualTime()
  readonly random: Random
  readonly network: Network
  readonly folder: string
  readonly hosts: SimulatedHost[]
  readonly aggregator: SimulatedAggregator
  readonly faults: Record<string, number> = {}
  /** Versions of alerts that were receipted, as `host/boot/seq`. */
  readonly receipted = new Set<string>()

  constructor(seed: number, folder: string) {
    this.random = new Random(seed)
    this.folder = folder
    this.network = new Network(this.time, this.random)
    this.aggregator = new SimulatedAggregator(this)
    this.hosts = Array.from(
      { length: this.random.between(1, 3) },
      (_, i) => new SimulatedHost(this, `host-${i}`),
    )
  }

  note(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1
  }

  async live(): Promise<void> {
    this.aggregator.start()
    for (const host of this.hosts) host.start()
    const untilMs = this.time.nowMs + TROUBLE_MS
    while (this.time.nowMs < untilMs) {
      await this.time.run(this.random.between(10, 20_000))
      this.#happen()
      await settle()
    }
    this.#heal()
    await this.time.run(HEALED_MS, () => this.hosts.every(({ isIdle }) => isIdle))
    // What is under way twice arrives, too.
    await this.time.run(60_000)
  }

  #happen(): void {
    const { random, network, aggregator } = this
    const host = random.oneOf(this.hosts)
    const what = random.between(0, 19)
    if (what < 8) host.alert()
    else if (what < 11) host.summarise()
    else if (what === 11) this.#setWeather()
    else if (what === 12) host.crash()
    else if (what === 13) aggregator.crash()
    else if (what === 14) {
      this.note('network down')
      network.isDown = !network.isDown
      if (network.isDown) network.restart(false)
    } else if (what === 15) {
      this.note('broker restart')
      network.restart(random.chance(0.5))
    } else if (what === 16) aggregator.failCommits()
    else if (what === 17) host.setClock()
    else if (what === 18) host.snapshot()
    else host.restoreSnapshot()
  }

  #setWeather(): void {
    const { random } = this
    this.note('bad network')
    const weather: Weather = {
      breaks: random.chance(0.5) ? 0.05 : 0,
      acknowledgementLost: random.chance(0.5) ? 0.2 : 0,
      twice: random.chance(0.5) ? 0.3 : 0,
      delayMs: random.oneOf([20, 400, 15_000]),
    }
    this.network.weather = weather
  }

  #heal(): void {
    this.network.weather = FAIR
    this.network.isDown = false
    this.aggregator.heal()
  }

  async close(): Promise<void> {
    for (const host of this.hosts) host.close()
    await this.aggregator.close()
  }
}

/** One life of an agent, from start to crash. */
interface Life {
  readonly outbox: Outbox
  readonly publisher: Publisher
  readonly connection: { end: () => void }
  isOver: boolean
}

class SimulatedHost {
  readonly name: string
  readonly clock: NodeClock
  readonly #world: World
  readonly #folder: string
  #life: Life | undefined
  readonly #over: Outbox[] = []
  /** Newest version of each alert that must reach the store. */
  readonly newest = new Map<string, number>()
  /** All that was put into an outbox; two disks may give one number twice. */
  readonly sent: { readonly number: string; readonly id: string; readonly version: number }[] = []
  readonly #closed = new Set<string>()
  #version = 0
  /** Calls of all summaries. */
  calls = 0
  #summarySecond = Math.floor(START_MS / 1000)
  #snapshot: { readonly newest: ReadonlyMap<string, number>; readonly calls: number } | undefined
  /** Once a disk was restored, what was on the other one may be lost. */
  wasRestored = false
  summaries = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
    this.clock = new NodeClock(world.time, START_MS)
    this.#folder = join(world.folder, name)
    mkdirSync(this.#folder)
  }

  start(): void {
    const { network, random } = this.#world
    const outbox = Outbox.open(join(this.#folder, 'outbox.db'), {
      ...{ site: SITE, host: this.name, log: QUIET },
      now: () => this.clock.now(),
    })
    const connection = { end: () => {} }
    const life: Life = {
      ...{ outbox, connection, isOver: false },
      publisher: new Publisher({
        ...{ outbox, site: SITE, host: this.name, clock: this.clock, log: QUIET },
        broker: { url: 'mqtt://simulated', tls: false, host: 'simulated', port: 1883 },
        presence: { version: '0.0.0', model: 'none', source: 'none' },
        random: () => random.unit(),
        signer: HOST_KEY,
        connect: async (_address, options) => {
          if (life.isOver) return never()
          const opened = await network.connect(options)
          connection.end = () => opened.destroy()
          return life.isOver ? never() : opened
        },
      }),
    }
    this.#life = life
    life.publisher.start()
  }

  get isIdle(): boolean {
    return this.#life?.outbox.queued === 0
  }

  get outbox(): Outbox {
    return this.#life!.outbox
  }

  alert(): void {
    const { random } = this.#world
    const known = [...this.newest.keys()].filter((id) => !this.#closed.has(id))
    const isNew = known.length === 0 || random.chance(0.4)
    const id = isNew ? `${this.name}-${this.#version}` : random.oneOf(known)
    const closes = !isNew && random.chance(0.3)
    if (closes) this.#closed.add(id)
    const alert: Alert = {
      ...sampleAlert,
      ...{ id, incident: id, count: ++this.#version },
      state: isNew ? 'open' : closes ? 'closed' : 'update',
      time: Math.floor(this.clock.now() / 1000),
    }
    this.newest.set(id, this.#version)
    const [seq] = this.outbox.put([alert])
    const number = `${this.name}/${this.outbox.boot}/${seq}`
    this.sent.push({ number, id, version: this.#version })
  }

  summarise(): void {
    const from = this.#summarySecond
    this.#summarySecond += 60
    const calls = this.#world.random.between(1, 1_000_000)
    const summary: Summary = { ...sampleSummary, from, to: from + 59, calls }
    this.calls += calls
    this.summaries++
    this.outbox.put([], summary)
  }

  crash(): void {
    this.#world.note('agent killed')
    this.#end()
    this.start()
  }

  setClock(): void {
    this.#world.note('clock set')
    this.clock.offsetMs = this.#world.random.oneOf([0, -30_000, -600_000, -300 * 24 * HOUR_MS])
  }

  snapshot(): void {
    this.#world.note('snapshot')
    rmSync(`${this.#folder}.snapshot`, { recursive: true, force: true })
    cpSync(this.#folder, `${this.#folder}.snapshot`, { recursive: true })
    this.#snapshot = { newest: new Map(this.newest), calls: this.calls }
  }

  /**
   * Alerts since then that did not get away are lost with the disk. The clock is right by then: one
   * that stands at the snapshot's time would make new messages look older than the lost ones.
   */
  restoreSnapshot(): void {
    if (this.#snapshot === undefined) return
    this.#world.note('restored from snapshot')
    this.#end()
    rmSync(this.#folder, { recursive: true })
    cpSync(`${this.#folder}.snapshot`, this.#folder, { recursive: true })
    this.wasRestored = true
    this.clock.offsetMs = 0
    this.newest.clear()
    for (const [id, version] of this.#snapshot.newest) this.newest.set(id, version)
    this.start()
  }

  #end(): void {
    const life = this.#life!
    life.isOver = true
    life.connection.end()
    this.#over.push(life.outbox)
  }

  close(): void {
    this.#end()
    for (const outbox of this.#over) outbox.close()
  }
}

type CommitFault = 'none' | 'before' | 'after'

class SimulatedAggregator {
  readonly #world: World
  readonly #path: string
  readonly #clock: NodeClock
  store!: SqliteStore
  #isOver = { value: false }
  #lateBefore = 0
  #fault: CommitFault = 'none'

  constructor(world: World) {
    this.#world = world
    this.#path = join(world.folder, 'aggregate.db')
    this.#clock = new NodeClock(world.time, START_MS)
  }

  start(): void {
    const { network } = this.#world
    const life = { value: false }
    this.#isOver = life
    this.store = new SqliteStore(this.#path)
    const announced = new Set<string>()
    const subscriber = new Subscriber({
      ...{ clock: this.#clock, log: QUIET, onChange: () => {} },
      ...{ store: this.#faulty(this.store, life), signer: AGGREGATOR_KEY },
    })
    subscriber.connect({
      publish: (topic, payload, signature) => {
        if (life.value) return
        this.#noteReceipt(topic, payload)
        network.publish(topic, payload, false, signature)
      },
      announce: (site, again) => {
        if (life.value || (announced.has(site) && again !== true)) return
        announced.add(site)
        this.#announce('online')
      },
    })
    network.consumer = (packet) => this.#take(subscriber, packet)
    this.#announce('online')
  }

  crash(): void {
    this.#world.note('aggregator killed')
    this.#stop()
    this.#announce('offline')
    this.start()
  }

  failCommits(): void {
    this.#fault = this.#world.random.oneOf<CommitFault>(['none', 'before', 'after'])
    if (this.#fault !== 'none') this.#world.note(`commits fail ${this.#fault}`)
  }

  /** Summaries that came too late to be added up, over all lives. */
  get late(): number {
    return this.#lateBefore + this.store.tallies().late
  }

  heal(): void {
    this.#fault = 'none'
    this.#announce('online')
  }

  async close(): Promise<void> {
    this.#stop()
  }

  #stop(): void {
    this.#isOver.value = true
    this.#world.network.consumer = undefined
    this.#lateBefore += this.store.tallies().late
    void this.store.close()
  }

  #announce(state: 'online' | 'offline'): void {
    const payload = encodeAggregatorStatus({
      ...{ v: 1, state, site: SITE, version: '0.0.0' },
      time: Math.floor(this.#clock.now() / 1000),
    })
    const signature = AGGREGATOR_KEY.sign(payload)
    this.#world.network.publish(aggregatorStatusTopic(SITE), payload, true, signature)
  }

  #take(subscriber: Subscriber, packet: Packet): Promise<void> {
    return new Promise((resolve, reject) => {
      subscriber.take(packet, (unsettled) =>
        unsettled === undefined ? resolve() : reject(new Error(unsettled)),
      )
    })
  }

  /** The store as a bad disk and a killed process make it. */
  #faulty(store: SqliteStore, life: { readonly value: boolean }): Store {
    const commit = async (batch: readonly Arrival[], nowMs: number) => {
      if (life.value) return never()
      if (this.#fault === 'before') throw new Error('disk full')
      const changes = await store.commit(batch, nowMs)
      if (this.#fault === 'after') throw new Error('input/output error')
      return changes
    }
    return new Proxy<Store>(store, {
      get: (_, key) => {
        if (key === 'commit') return commit
        const value = Reflect.get(store, key) as unknown
        return typeof value === 'function' ? value.bind(store) : value
      },
    })
  }

  /** Each number of a receipt; ranges are short here. */
  #noteReceipt(topic: string, payload: Uint8Array): void {
    const parsed = parseTopic(topic)
    const receipt = decodeReceipt(payload)
    if (parsed?.kind !== 'receipt' || !receipt.ok) throw new Error(`odd receipt on ${topic}`)
    for (const { boot, from, to } of receipt.value.stored)
      for (let seq = from; seq <= to; seq++)
        this.#world.receipted.add(`${parsed.host}/${boot}/${seq}`)
  }
}

async function alertsIn(store: SqliteStore): Promise<Map<string, number>> {
  const versions = new Map<string, number>()
  let after: string | undefined
  do {
    const page = await store.alerts({ limit: 500, ...(after === undefined ? {} : { after }) })
    for (const body of page.bodies) {
      const { id, count } = JSON.parse(body) as Alert
      if (versions.has(id)) throw new Error(`alert ${id} is listed twice`)
      versions.set(id, count)
    }
    after = page.next ?? undefined
  } while (after !== undefined)
  return versions
}

/** @returns what does not hold */
async function violations(world: World): Promise<string[]> {
  const found: string[] = []
  const stored = await alertsIn(world.aggregator.store)
  for (const host of world.hosts) {
    const { created, acknowledged, queued, merged, dropped } = host.outbox.ledger()
    const gone = Object.values(dropped).reduce((sum, n) => sum + n, 0)
    if (queued > 0) found.push(`${host.name}: ${queued} messages were never delivered`)
    if (created !== acknowledged + queued + merged + gone)
      found.push(
        `${host.name}: ${created} created, ${acknowledged} + ${queued} + ${merged} + ${gone}`,
      )
    if (gone > 0) found.push(`${host.name}: ${gone} messages were given up`)
    for (const [id, version] of host.newest) {
      const has = stored.get(id)
      if (has === undefined || has < version)
        found.push(`${host.name}: ${id} is stored as ${has}, and ${version} was sent last`)
    }
    for (const { number, id, version } of host.sent) {
      if (world.receipted.has(number) && !((stored.get(id) ?? 0) >= version))
        found.push(`${host.name}: version ${version} of ${id} was receipted and is not stored`)
    }
    const hours = (await world.aggregator.store.hours(host.name, SITE, 1_000)) ?? []
    const calls = hours.reduce((sum, hour) => sum + hour.calls, 0)
    // A disk restored from a snapshot may send under new numbers what it had sent before.
    const isWrong = calls > host.calls || (calls < host.calls && world.aggregator.late === 0)
    if (!host.wasRestored && isWrong)
      found.push(`${host.name}: summaries of ${host.calls} calls add up to ${calls}`)
  }
  const sent = new Set(world.hosts.flatMap((host) => host.sent.map(({ id }) => id)))
  for (const id of stored.keys()) if (!sent.has(id)) found.push(`${id} was never sent`)
  return found
}

/** Runs the world of one seed. @returns what does not hold, and what happened */
export async function runWorld(
  seed: number,
  temporary: string,
): Promise<{ readonly violations: string[]; readonly course: Course }> {
  const folder = mkdtempSync(join(temporary, `world-${seed}-`))
  const world = new World(seed, folder)
  const restore = world.time.install()
  try {
    await world.live()
    return {
      violations: await violations(world),
      course: {
        alerts: world.hosts.reduce((sum, { sent }) => sum + sent.length, 0),
        summaries: world.hosts.reduce((sum, { summaries }) => sum + summaries, 0),
        faults: world.faults,
      },
    }
  } finally {
    await world.close()
    restore()
    rmSync(folder, { recursive: true, force: true })
  }
}
