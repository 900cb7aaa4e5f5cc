/** The fleet's model on a host: how it is fetched, which one is used, and when it is given up. */
import { afterAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FleetModelKeeper } from '../../src/agent/fleet-model.ts'
import { beginFleetModel, FleetModelFiles } from '../../src/agent/fleet-model-files.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import type { FleetState } from '../../src/domain/fleet-state.ts'
import type { Model } from '../../src/model/model.ts'
import { openShippedModel, signModel } from '../../src/operate/models.ts'
import { createLog } from '../../src/platform/log.ts'
import { canaryPlace } from '../../src/wire/fleet-document.ts'
import { decodeFleetModel, encodeFleetModel } from '../../src/wire/fleet-model.ts'
import { namedModel, type Offered, offerModel } from '../support/pushed-model.ts'
import { canMount, smallDisks } from '../support/small-disk.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { writeTinyModel } from '../support/tiny-model.ts'
import { sampleAlert } from '../wire/samples.ts'

const directory = temporaryDirectories()
const smallDisk = smallDisks()
const NOW = Math.floor(Date.now() / 1000)
const folder = directory()
const store = new SqliteStore(join(folder, 'aggregate.db'))
const log = createLog({ write: () => {} })
afterAll(() => store.close())

const first = namedModel(folder, 'first')
const second = namedModel(folder, 'second')
const offer = (which: string, changes: { canary?: number; site?: string } = {}) =>
  offerModel(store, {
    ...{ directory: which, site: 'lab', canary: 100, lifeMs: 86_400_000, nowMs: NOW * 1000 },
    ...changes,
  })

function host(options: { key?: string; state?: string; name?: string } = {}) {
  const state = options.state ?? directory()
  const files = new FleetModelFiles(state)
  const local = LocalStore.open(join(state, 'local.db'))
  const asked: (string | undefined)[] = []
  const states: FleetState[] = []
  const models: Model[] = []
  let now = NOW
  const open = (digest = 'f'.repeat(64)) => {
    const keeper = new FleetModelKeeper(
      {
        ...{ site: 'lab', host: options.name ?? 'web-1', files, alerts: local.alerts },
        ...{ labels: local.labels, now: () => now, log, openLocal: openShippedModel },
        ...(options.key === undefined ? {} : { key: options.key }),
      },
      digest,
    )
    keeper.onAsk = (topic) => asked.push(topic)
    keeper.onState = (one) => states.push(one)
    return keeper
  }
  const keeper = open()
  return {
    ...{ state, files, local, asked, states, keeper, open },
    at(seconds: number) {
      now = NOW + seconds
    },
    /** As an agent between two seconds. @returns digest of the model that it goes over to */
    async take(of = keeper): Promise<string | undefined> {
      await of.settled()
      const next = of.take()
      if (next === undefined) return undefined
      next.taken()
      models.push(next.model)
      await next.model.close()
      return next.model.digest
    },
    async receiveAll({ head, parts }: Offered, of = keeper): Promise<string | undefined> {
      expect(of.receive(head)).toBeUndefined()
      for (const part of parts) expect(of.part(part)).toBeUndefined()
      return this.take(of)
    },
    raise(count: number, seconds: number) {
      local.alerts.put(
        Array.from({ length: count }, (_, n) => {
          const time = NOW + seconds + n
          return { ...sampleAlert, id: `${seconds}-${n}`, time, first: time }
        }),
      )
    },
  }
}

describe('FleetModelKeeper', () => {
  test('asks for one part after the other, checks the whole, and uses it over a restart', async () => {
    const offered = await offer(first)
    const web = host()
    const { keeper, asked, states } = web
    expect(keeper.state).toEqual({ version: 0, state: 'waiting' })
    expect(await web.receiveAll(offered)).toBe(offered.digest)
    const topics = offered.parts.map((_, i) => `callsign/v1/lab/fleet/model-${i}`)
    expect(asked).toEqual([...topics, undefined])
    const { version } = offered
    expect(states.map(({ state }) => state)).toEqual(['fetching', 'active'])
    expect(keeper.state).toEqual({ version, state: 'active' })
    const kept = join(web.state, 'models', offered.digest.slice(0, 16))
    expect(readdirSync(kept).sort()).toEqual(['manifest.json', 'model.onnx', 'references.bin'])
    for (const name of readdirSync(kept))
      expect(readFileSync(join(kept, name)).equals(readFileSync(join(first, name)))).toBe(true)
    // The retained head comes with each connection.
    expect(keeper.receive(offered.head)).toBeUndefined()
    beginFleetModel(web.files, { accepts: true, now: NOW + 10, log })
    expect(web.open(offered.digest).state).toEqual({ version, state: 'active' })
    // Taken no more: forgotten.
    beginFleetModel(web.files, { accepts: false, now: NOW + 10, log })
    expect(web.files.get()).toBeUndefined()
  })

  test('the same model again is a new version and nothing else; another one takes its place', async () => {
    const web = host()
    const one = await offer(first)
    await web.receiveAll(one)
    const again = await offer(first)
    web.asked.length = 0
    expect(web.keeper.receive(again.head)).toBeUndefined()
    expect([web.asked, await web.take()]).toEqual([[], undefined])
    expect(web.keeper.state).toEqual({ version: again.version, state: 'active' })
    const other = await offer(second)
    expect(await web.receiveAll(other)).toBe(other.digest)
    expect(web.files.get()).toMatchObject({
      ...{ use: { digest: other.digest }, before: { digest: one.digest } },
    })
  })

  test('keeps no part that is not the one of the head, and asks again, later and later', async () => {
    const web = host()
    const { keeper, asked } = web
    const { head, parts, digest } = await offer(first)
    expect(keeper.part(parts[0]!)).toBe('unasked')
    expect(keeper.receive(head)).toBeUndefined()
    expect(keeper.part(parts[1]!)).toBe('bad-part')
    expect(keeper.part(parts[0]!.subarray(1))).toBe('bad-part')
    expect(keeper.part(new Uint8Array(10_000_000))).toBe('bad-part')
    expect(readFileSync(join(web.state, 'models', 'fleet.part'))).toHaveLength(0)
    const times: number[] = []
    for (let second = 0; second < 4 * 3600; second += 10) {
      web.at(second)
      const before = asked.length
      keeper.tick()
      if (asked.length > before) times.push(second)
    }
    expect(times).toEqual([60, 180, 420, 900, 1860, 3780, 7380, 10980])
    for (const part of parts) expect(keeper.part(part)).toBeUndefined()
    expect(await web.take()).toBe(digest)
  })

  test.skipIf(!canMount)('a disk without room is left alone; the model comes later', async () => {
    const disk = smallDisk(2_000)
    const web = host({ state: disk.path })
    const offered = await offer(first)
    expect(web.keeper.receive(offered.head)).toBeUndefined()
    web.keeper.tick()
    expect([web.asked, web.keeper.state.state]).toEqual([[], 'fetching'])
    expect(existsSync(join(disk.path, 'models', 'fleet.part'))).toBe(false)
    spawnSync('mount', ['-o', 'remount,size=100m', disk.path])
    web.keeper.tick()
    expect(web.asked).toEqual([])
    web.at(3_600)
    web.keeper.tick()
    for (const part of offered.parts.slice(0, -1)) expect(web.keeper.part(part)).toBeUndefined()
    // It fills while it is fetched.
    disk.fill()
    expect(web.keeper.part(offered.parts.at(-1)!)).toBe('disk')
    expect(existsSync(join(disk.path, 'models', 'fleet.part'))).toBe(false)
    disk.free()
    web.at(7_200)
    web.keeper.tick()
    for (const part of offered.parts) expect(web.keeper.part(part)).toBeUndefined()
    expect(await web.take()).toBe(offered.digest)
  })

  test('refuses what no agent can watch with, and does not fetch it again', async () => {
    const tiny = await writeTinyModel()
    await expect(offer(tiny)).rejects.toThrow(/no "detection"/)
    // An aggregator of another version may know better.
    const { head, parts } = await offer(first)
    const decoded = decodeFleetModel(head)
    if (!decoded.ok) throw new Error('not decoded')
    const lying = { ...decoded.value, digest: 'a'.repeat(64), version: decoded.value.version + 1 }
    const web = host()
    await web.receiveAll({ head: encodeFleetModel(lying), parts, version: 0, digest: '' })
    expect(web.keeper.state.state).toBe('refused')
    expect(readdirSync(join(web.state, 'models'))).toEqual(['fleet.json'])
    web.asked.length = 0
    const newer = encodeFleetModel({ ...lying, version: lying.version + 1 })
    expect(web.keeper.receive(newer)).toBeUndefined()
    expect(web.keeper.state).toEqual({ version: lying.version + 1, state: 'refused' })
    web.keeper.tick()
    expect(web.asked).toEqual([])
  })

  test('takes no version twice, no older one, none of another site, expired or damaged', async () => {
    const older = await offer(first)
    const newer = await offer(second)
    const oslo = await offer(first, { site: 'oslo' })
    const web = host()
    await web.receiveAll(newer)
    expect(web.keeper.receive(older.head)).toBe('old-version')
    expect(web.keeper.receive(oslo.head)).toBe('other-site')
    const decoded = decodeFleetModel(newer.head)
    if (!decoded.ok) throw new Error('not decoded')
    const next = { ...decoded.value, version: newer.version + 1 }
    expect(web.keeper.receive(encodeFleetModel({ ...next, expires: NOW }))).toBe('expired')
    expect(web.keeper.receive(encodeFleetModel({ ...next, parts: [] }))).toBe('bad-field(parts)')
    const [manifest, ...rest] = next.files
    const long = [{ ...manifest!, bytes: 16_000_000 }, ...rest]
    expect(web.keeper.receive(encodeFleetModel({ ...next, files: long }))).toBe('too-long')
    const path = [{ ...manifest!, name: '../in-use' as never }, ...rest]
    expect(web.keeper.receive(encodeFleetModel({ ...next, files: path }))).toBe(
      'bad-field(files.name)',
    )
    expect(web.keeper.state).toEqual({ version: newer.version, state: 'active' })
  })

  test('waits where it is for a share of the hosts, and begins when its turn has come', async () => {
    const { head, parts } = await offer(first, { canary: 30 })
    const names = Array.from({ length: 40 }, (_, n) => `host-${n}`)
    const within = names.find((name) => canaryPlace('lab', name) < 30)!
    const beyond = names.find((name) => canaryPlace('lab', name) >= 30)!
    const waiting = host({ name: beyond })
    expect(waiting.keeper.receive(head)).toBeUndefined()
    expect([waiting.keeper.state.state, waiting.asked]).toEqual(['waiting', []])
    const decoded = decodeFleetModel(head)
    if (!decoded.ok) throw new Error('not decoded')
    const spread = encodeFleetModel({ ...decoded.value, spread: 1_000 })
    const canary = host({ name: within })
    expect(canary.keeper.receive(spread)).toBeUndefined()
    const turn = (1_000 * canaryPlace('lab', within)) / 30
    canary.at(Math.floor(turn))
    canary.keeper.tick()
    expect(canary.asked).toEqual([])
    canary.at(Math.ceil(turn))
    canary.keeper.tick()
    expect(canary.asked).toEqual(['callsign/v1/lab/fleet/model-0'])
    expect(canary.keeper.part(parts[0]!)).toBeUndefined()
  })

  test('goes back where its first hour raises more alerts, to the one before it, and not to it again', async () => {
    const good = await offer(first)
    const bad = await offer(second)
    const web = host()
    await web.receiveAll(good)
    web.at(7_200)
    await web.receiveAll(bad)
    web.raise(3, 7_300)
    web.keeper.tick()
    expect(web.keeper.state.state).toBe('active')
    web.raise(1, 7_400)
    web.at(7_500)
    web.keeper.tick()
    expect(web.keeper.state).toEqual({ version: bad.version, state: 'rolled-back' })
    expect(await web.take()).toBe(good.digest)
    expect(web.files.get()).toMatchObject({ use: { digest: good.digest }, refused: [bad.digest] })
    expect(existsSync(join(web.state, 'models', bad.digest.slice(0, 16)))).toBe(false)
    const again = await offer(second)
    web.asked.length = 0
    expect(web.keeper.receive(again.head)).toBeUndefined()
    expect(web.keeper.state).toEqual({ version: again.version, state: 'rolled-back' })
    expect(web.asked).toEqual([])
  })

  test('goes back in its first hour also while a newer one is fetched', async () => {
    const bad = await offer(first)
    const newer = await offer(second)
    const web = host()
    await web.receiveAll(bad)
    web.at(100)
    expect(web.keeper.receive(newer.head)).toBeUndefined()
    expect(web.keeper.state.state).toBe('fetching')
    web.raise(4, 150)
    web.at(200)
    web.keeper.tick()
    expect(web.files.get()).toMatchObject({
      refused: [bad.digest],
      wanted: { digest: newer.digest },
    })
    expect(web.files.get()?.use).toBeUndefined()
    await web.receiveAll(newer)
    expect(web.files.get()).toMatchObject({ state: 'active', use: { digest: newer.digest } })
  })

  test("goes back to the host's own when it expires", async () => {
    const offered = await offer(first)
    const web = host()
    await web.receiveAll(offered)
    web.at(86_400)
    web.keeper.tick()
    const own = await openShippedModel()
    await own.close()
    expect(await web.take()).toBe(own.digest)
    expect(web.keeper.state).toEqual({ version: offered.version, state: 'expired' })
    expect(readdirSync(join(web.state, 'models'))).toEqual(['fleet.json'])
  })

  test('with a key, uses only what was signed with it', async () => {
    const pair = generateKeys()
    const web = host({ key: pair.publicKey })
    await web.receiveAll(await offer(first))
    expect(web.keeper.state.state).toBe('refused')
    const signed = namedModel(folder, 'signed')
    await signModel(signed, generateKeys().privateKey)
    await web.receiveAll(await offer(signed))
    expect(web.keeper.state.state).toBe('refused')
    const right = namedModel(folder, 'right')
    await signModel(right, pair.privateKey)
    const offered = await offer(right)
    expect(await web.receiveAll(offered)).toBe(offered.digest)
    expect(web.keeper.state.state).toBe('active')
  })

  test('a model with which the agent ends again and again is not begun with any more', async () => {
    const offered = await offer(first)
    const web = host()
    await web.receiveAll(offered)
    const begin = (now: number) => beginFleetModel(web.files, { accepts: true, now, log })
    for (let start = 1; start <= 3; start++) {
      begin(NOW + start)
      expect(web.files.get()?.use?.digest).toBe(offered.digest)
    }
    begin(NOW + 4)
    expect(web.files.get()).toMatchObject({ state: 'rolled-back', refused: [offered.digest] })
    expect(web.files.get()?.use).toBeUndefined()
    expect(web.open().receive((await offer(first)).head)).toBeUndefined()
    expect(web.asked.at(-1)).toBeUndefined()
  })

  test('a model that lies there damaged is fetched', async () => {
    const offered = await offer(first)
    const web = host()
    await web.receiveAll(offered)
    writeFileSync(join(web.files.directory(offered), 'model.onnx'), 'damaged')
    web.files.forget()
    const keeper = web.open()
    expect(keeper.receive(offered.head)).toBeUndefined()
    expect(await web.take(keeper)).toBeUndefined()
    keeper.tick()
    for (const part of offered.parts) expect(keeper.part(part)).toBeUndefined()
    expect(await web.take(keeper)).toBe(offered.digest)
  })
})

function generateKeys() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
