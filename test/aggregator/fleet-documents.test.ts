/** Documents for a fleet in both stores, who publishes them, and what hosts have made of them. */
import { describe, expect, test } from 'bun:test'
import { answerApi } from '../../src/aggregator/api.ts'
import { FleetDocuments } from '../../src/aggregator/fleet-documents.ts'
import { pushPolicy } from '../../src/aggregator/push-policy.ts'
import { moveStore } from '../../src/aggregator/store/move.ts'
import { openIdentity, signerOf } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { decodeFleetPolicy } from '../../src/wire/fleet-document.ts'
import { detachSignature } from '../../src/wire/signed.ts'
import { manualClock } from '../support/clock.ts'
import { offerModel } from '../support/pushed-model.ts'
import { status, storeKinds } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const NOW_MS = 1_700_000_000_000
const text = JSON.stringify({ rules: [{ behaviour: 'network-scan', severity: 'low' }] })
const push = { text, site: 'lab', canary: 25, lifeMs: 86_400_000, nowMs: NOW_MS }

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('keeps the newest policy of a site, signed with its key, and moves it', async () => {
      const store = await kind.open()
      const first = await pushPolicy(store, push)
      expect(first).toMatchObject({ version: NOW_MS / 1000, rules: 1, allow: 0, hosts: 0 })
      // The clock may stand still or go back: the version grows.
      const second = await pushPolicy(store, { ...push, nowMs: NOW_MS - 60_000 })
      expect(second.version).toBe(first.version + 1)
      await pushPolicy(store, { ...push, site: 'oslo' })
      const documents = await store.documents()
      expect(documents.map(({ site, what, version }) => [site, what, version])).toEqual([
        ['lab', 'policy', second.version],
        ['oslo', 'policy', first.version],
      ])
      const { payload, signature } = detachSignature(documents[0]!.body, undefined)
      const { publicKey } = openIdentity(await store.identity())
      expect(signerOf(payload, signature!)).toBe(publicKey)
      expect(decodeFleetPolicy(payload)).toMatchObject({ ok: true, value: { canary: 25 } })
      expect(await store.putDocument({ ...documents[0]!, version: first.version })).toBe(false)
      const other = await (kind === sqlite && !postgres.skip ? postgres : sqlite).open()
      await moveStore(store, other)
      expect(await other.documents()).toEqual(documents)
    })

    test('keeps a model with its parts, of one version only, and moves it', async () => {
      const store = await kind.open()
      const parts = [new Uint8Array(65_536).fill(1), new Uint8Array(9).fill(2)]
      const document = { site: 'lab', what: 'model', version: 5, body: new Uint8Array(3) } as const
      expect(await store.putDocument(document, parts)).toBe(true)
      expect(await store.putDocument(document, [])).toBe(false)
      const bytesOf = (all: readonly Uint8Array[]) => all.map((one) => Buffer.from(one))
      expect(bytesOf(await store.documentParts(document))).toEqual(bytesOf(parts))
      const other = await (kind === sqlite && !postgres.skip ? postgres : sqlite).open()
      await moveStore(store, other)
      expect(bytesOf(await other.documentParts(document))).toEqual(bytesOf(parts))
      expect(await store.putDocument({ ...document, version: 6 }, parts.slice(1))).toBe(true)
      expect(await store.documentParts(document)).toEqual([])
      expect(await store.documentParts({ ...document, version: 6 })).toHaveLength(1)
    })

    test('tells who accepts models, and who uses one', async () => {
      const store = await kind.open()
      const offered = await offerModel(store, {
        ...{ directory: 'models/default', site: 'lab', canary: 10 },
        ...{ lifeMs: 86_400_000, nowMs: Date.now() },
      })
      const { version } = offered
      const unseen = { version: 0, state: 'waiting' } as const
      const model = (state: 'active' | 'fetching' | 'refused') => ({ model: { version, state } })
      await store.commit(
        [
          status({ host: 'a', fleet: model('active') }),
          status({ host: 'b', fleet: { ...model('fetching'), policy: unseen } }),
          status({ host: 'c', fleet: model('refused') }),
          status({ host: 'd', fleet: { model: unseen } }),
          // Of an agent that knows policies alone.
          status({ host: 'e', fleet: {} }),
          status({ host: 'f' }),
        ],
        NOW_MS,
      )
      const answer = JSON.parse((await answerApi(store, new URL('http://x/api/v1/fleet'), 0))!)
      expect(answer.documents[0]).toMatchObject({
        ...{ what: 'model', version, canary: 10, digest: offered.digest },
        bytes: offered.parts.reduce((sum, { length }) => sum + length, 0),
        hosts: { active: 1, fetching: 1, refused: 1, older: 1, 'not-accepting': 2 },
      })
      const policy = await pushPolicy(store, push)
      expect([policy.accepting, policy.hosts]).toEqual([2, 6])
    })

    test('says which hosts run what, and what became of a policy', async () => {
      const store = await kind.open()
      const { version } = await pushPolicy(store, push)
      const fleet = (state: 'active' | 'waiting', of = version) => ({
        policy: { version: of, state },
      })
      await store.commit(
        [
          status({ host: 'a', fleet: fleet('active') }),
          status({ host: 'b', fleet: fleet('active') }),
          status({ host: 'c', fleet: fleet('waiting') }),
          status({ host: 'd', fleet: fleet('active', version - 1) }),
          status({ host: 'e', state: 'offline' }),
          status({ host: 'f', site: 'oslo', fleet: {} }),
        ],
        NOW_MS,
      )
      const answer = JSON.parse((await answerApi(store, new URL('http://x/api/v1/fleet'), 0))!)
      expect(answer.documents).toMatchObject([
        {
          ...{ site: 'lab', what: 'policy', version, canary: 25 },
          rules: [{ behaviour: 'network-scan', severity: 'low' }],
          hosts: { active: 2, waiting: 1, older: 1, 'not-accepting': 1, 'rolled-back': 0 },
        },
      ])
      expect(answer.runs[0]).toMatchObject({ site: 'lab', hosts: 2, fleet: fleet('active') })
      expect(answer.runs.at(-1)).toMatchObject({ site: 'oslo', hosts: 1, online: 1, fleet: {} })
      expect((await store.hosts({ limit: 1 })).items[0]).toMatchObject({ fleet: fleet('active') })
      // It takes part no more.
      await store.commit([status({ host: 'a', boot: 2 })], NOW_MS)
      expect((await store.hosts({ limit: 1 })).items[0]).not.toHaveProperty('fleet')
    })
  })

test('FleetDocuments publishes what is new, again now and then, and what could not be published', async () => {
  const store = await sqlite.open()
  const clock = manualClock(NOW_MS)
  const published: string[] = []
  let isUp = false
  const documents = new FleetDocuments(
    {
      ...{ store, clock, log: createLog({ write: () => {} }) },
      retain(topic, payload) {
        if (isUp) published.push(`${topic} ${payload.length > 100}`)
        return isUp ? Promise.resolve() : undefined
      },
    },
    2 ** 30,
  )
  await pushPolicy(store, push)
  await documents.look()
  await documents.look()
  isUp = true
  await documents.look()
  await documents.look()
  expect(published).toEqual(['callsign/v1/lab/fleet/policy true'])
  clock.advance(600_000)
  await documents.look()
  expect(published).toHaveLength(2)
  await pushPolicy(store, push)
  await documents.look()
  expect(published).toHaveLength(3)
  await documents.close()
})

test('FleetDocuments publishes the parts of a model before its head, all or none', async () => {
  const store = await sqlite.open()
  const parts = [new Uint8Array(1), new Uint8Array(2), new Uint8Array(3)]
  await store.putDocument(
    { site: 'lab', what: 'model', version: 1, body: new Uint8Array(1) },
    parts,
  )
  const topics: string[] = []
  let room = 3
  const documents = new FleetDocuments(
    {
      ...{ store, clock: manualClock(NOW_MS), log: createLog({ write: () => {} }) },
      retain(topic) {
        if (room-- <= 0) return undefined
        topics.push(topic.replace('callsign/v1/lab/fleet/', ''))
        return Promise.resolve()
      },
    },
    2 ** 30,
  )
  await documents.look()
  room = 4
  await documents.look()
  await documents.look()
  await documents.close()
  const all = ['model-0', 'model-1', 'model-2']
  expect(topics).toEqual([...all, ...all, 'model'])
})

test('FleetDocuments tells that a broker refuses a document, and says it published none', async () => {
  const store = await sqlite.open()
  const lines: string[] = []
  const documents = new FleetDocuments(
    {
      ...{
        store,
        clock: manualClock(NOW_MS),
        log: createLog({ write: (line) => lines.push(line) }),
      },
      retain: () => Promise.reject(new Error('Not authorized')),
    },
    2 ** 30,
  )
  await pushPolicy(store, push)
  await documents.look()
  await documents.look()
  await documents.close()
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('Cannot publish to the fleet')
  expect(lines[0]).toContain('Not authorized')
})
