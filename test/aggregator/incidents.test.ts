/** Incidents and what operators do about them: the same in both stores. */
import { describe, expect, test } from 'bun:test'
import type { Action, ActionKind, IncidentKey } from '../../src/aggregator/store/incident.ts'
import { moveStore } from '../../src/aggregator/store/move.ts'
import { SCHEMA } from '../../src/aggregator/store/sqlite-schema.ts'
import type { Store } from '../../src/aggregator/store/store.ts'
import { openDatabase } from '../../src/platform/sqlite.ts'
import { sampleAlert } from '../wire/samples.ts'
import { alert, retain, status, storeKinds } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const NOW_S = 1_700_000_100
const NOW_MS = NOW_S * 1_000
const key = (incident: string, host = 'a'): IncidentKey => ({ site: 'lab', host, incident })
const action = (kind: ActionKind, value = '', until = 0): Action => ({ action: kind, value, until })

const list = async (store: Store, query = {}) =>
  (await store.incidents.list({ limit: 100, order: 'urgency', now: NOW_S, ...query })).items
const idsOf = async (store: Store, query = {}) => (await list(store, query)).map(({ id }) => id)
const one = async (store: Store, id: string, now = NOW_S) =>
  (await store.incidents.find(id, { now }, 100))!

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    const { open } = kind

    test('an incident is its alerts added up: the worst leads, the last one open keeps it open', async () => {
      const store = await open()
      const times = (first: number, last: number) => ({ first, last, incident: 'i' })
      await store.commit(
        [
          alert({ id: 'x', severity: 'medium', ...times(10, 20) }, { seq: 1 }),
          alert({ id: 'y', severity: 'critical', ...times(30, 40) }, { seq: 2 }),
          alert({ id: 'z', incident: 'other' }, { host: 'b', seq: 1 }),
        ],
        NOW_MS,
      )
      const [first] = await list(store, { host: 'a' })
      expect(first).toMatchObject({
        id: 'i',
        state: 'open',
        severity: 'critical',
        certainty: 'confirmed',
        alerts: { active: 2, total: 2 },
        first: 10,
        last: 40,
        changed: NOW_S,
        triage: { state: 'new', notes: 0 },
        lead: { id: 'y' },
      })
      const closed = { state: 'closed', severity: 'critical' } as const
      await store.commit([alert({ id: 'y', ...closed, ...times(30, 50) }, { seq: 3 })], NOW_MS)
      expect(await one(store, 'i')).toMatchObject({
        incident: { state: 'open', alerts: { active: 1, total: 2 }, last: 50 },
        alerts: [expect.stringContaining('"id":"y"'), expect.stringContaining('"id":"x"')],
      })
      await store.commit(
        [alert({ id: 'x', state: 'closed', ...times(10, 60) }, { seq: 4 })],
        NOW_MS,
      )
      expect((await list(store, { state: 'closed' })).map(({ id }) => id)).toEqual(['i'])
    })

    test('list() has open ones first and the worst of these, in pages', async () => {
      const store = await open()
      const severities = ['low', 'critical', 'medium', 'high', 'critical'] as const
      for (const [i, severity] of severities.entries())
        await store.commit(
          [
            alert(
              { id: `${i}`, incident: `${i}`, severity, state: i === 4 ? 'closed' : 'open' },
              { seq: i + 1 },
            ),
          ],
          NOW_MS + i,
        )
      expect(await idsOf(store)).toEqual(['1', '3', '2', '0', '4'])
      expect(await idsOf(store, { order: 'time' })).toEqual(['4', '3', '2', '1', '0'])
      for (const order of ['urgency', 'time'] as const) {
        const seen: string[] = []
        let after: string | null = null
        do {
          const page: Awaited<ReturnType<Store['incidents']['list']>> = await store.incidents.list({
            limit: 2,
            order,
            now: NOW_S,
            ...(after === null ? {} : { after }),
          })
          seen.push(...page.items.map(({ id }) => id))
          after = page.next
        } while (after !== null)
        expect(seen).toEqual(await idsOf(store, { order }))
      }
    })

    test('list() filters by words, severity, state, time, program and host', async () => {
      const store = await open()
      const { process } = sampleAlert
      const at = (first: number, last: number) => ({ first, last })
      await store.commit(
        [
          alert({ id: 'a', incident: 'a', severity: 'critical', ...at(100, 200) }, { seq: 1 }),
          alert(
            {
              id: 'b',
              incident: 'b',
              process: { ...process, name: 'kworker', exe: '/dev/shm/50%_off' },
              ...at(300, 400),
            },
            { seq: 2 },
          ),
          alert(
            { id: 'c', incident: 'c', severity: 'low', ...at(350, 900) },
            { host: 'b', seq: 1 },
          ),
        ],
        NOW_MS,
      )
      expect(await idsOf(store, { q: 'KWORKER' })).toEqual(['b'])
      expect(await idsOf(store, { q: '/DEV/shm 50%_' })).toEqual(['b'])
      expect(await idsOf(store, { q: '50_' })).toEqual([])
      expect(await idsOf(store, { q: 'T1046 www-data' })).toEqual(['a', 'b', 'c'])
      expect(await idsOf(store, { severities: ['critical', 'low'] })).toEqual(['a', 'c'])
      expect(await idsOf(store, { since: 250, until: 320 })).toEqual(['b'])
      expect(await idsOf(store, { since: 399 })).toEqual(['b', 'c'])
      expect(await idsOf(store, { name: 'kworker' })).toEqual(['b'])
      expect(await idsOf(store, { host: 'b' })).toEqual(['c'])
      expect(await idsOf(store, { site: 'elsewhere' })).toEqual([])
    })

    test('groups() and times() count what a filter leaves', async () => {
      const store = await open()
      const put = (id: string, severity: 'critical' | 'low', host: string, first: number) =>
        alert({ id, incident: id, severity, first, last: first + 5 }, { host, seq: first })
      await store.commit(
        [
          put('1', 'critical', 'a', 3_700),
          put('2', 'low', 'a', 3_800),
          put('3', 'low', 'b', 7_300),
        ],
        NOW_MS,
      )
      const filter = { now: NOW_S }
      const groups = (by: 'severity' | 'host' | 'behaviour', more = {}) =>
        store.incidents.groups(by, { ...filter, ...more }, 10)
      expect(await groups('host')).toMatchObject([
        { key: 'lab/a', incidents: 2, open: 2, severity: 'critical', changed: NOW_S },
        { key: 'lab/b', incidents: 1, open: 1, severity: 'low' },
      ])
      expect(await groups('severity', { host: 'a' })).toMatchObject([
        { key: 'critical', incidents: 1 },
        { key: 'low', incidents: 1 },
      ])
      expect(await groups('behaviour')).toMatchObject([{ key: 'network-scan', incidents: 3 }])
      expect(await store.incidents.times({ ...filter, since: 0, until: 9_000 }, 3_600)).toEqual([
        { at: 3_600, severity: 'critical', incidents: 1 },
        { at: 3_600, severity: 'low', incidents: 1 },
        { at: 7_200, severity: 'low', incidents: 1 },
      ])
    })

    test('act() keeps who did what and when, and changes the list', async () => {
      const store = await open()
      await store.commit([alert({ id: 'x', incident: 'i' }, { seq: 1 })], NOW_MS)
      const act = (what: Action, actor = 'anna', at = NOW_MS) =>
        store.act(key('i'), what, actor, at)
      expect(await act(action('acknowledge'))).toEqual({
        ...{ row: expect.any(Number), time: NOW_S, actor: 'anna', ...key('i') },
        ...{ action: 'acknowledge', value: '', until: 0, severity: 'high' },
      })
      await act(action('assign', 'ben'))
      await act(action('note', 'A scan of ours, see the ticket'), 'ben', NOW_MS + 5_000)
      await act(action('label', 'fine'))
      expect((await one(store, 'i')).incident.triage).toEqual({
        state: 'acknowledged',
        acknowledged: { by: 'anna', at: NOW_S },
        assignee: 'ben',
        label: 'fine',
        notes: 1,
      })
      expect(
        (await one(store, 'i')).actions.map(({ actor, action: what }) => [actor, what]),
      ).toEqual([
        ['anna', 'label'],
        ['ben', 'note'],
        ['anna', 'assign'],
        ['anna', 'acknowledge'],
      ])
      await act(action('mute', '', NOW_S + 60))
      expect(await idsOf(store, { triage: ['new', 'acknowledged'] })).toEqual([])
      expect(await idsOf(store, { triage: ['muted'] })).toEqual(['i'])
      // A mute ends by itself.
      expect(await idsOf(store, { triage: ['acknowledged'], now: NOW_S + 61 })).toEqual(['i'])
      await act(action('unacknowledge'))
      await act(action('unmute'))
      expect(await idsOf(store, { triage: ['new'] })).toEqual(['i'])
      expect(await idsOf(store, { assignee: 'ben' })).toEqual(['i'])
      expect(await store.act(key('i', 'b'), action('acknowledge'), 'anna', NOW_MS)).toBeUndefined()
      const page = await store.incidents.actions({ limit: 2, actor: 'anna' })
      expect(page.items.map(({ action: what }) => what)).toEqual(['unmute', 'unacknowledge'])
      const rest = await store.incidents.actions({ limit: 9, actor: 'anna', after: page.next! })
      expect(rest.items).toHaveLength(4)
    })

    test('what becomes worse than it was when it was seen to is new again', async () => {
      const store = await open()
      const medium = { incident: 'i', severity: 'medium' } as const
      await store.commit([alert({ id: 'x', ...medium }, { seq: 1 })], NOW_MS)
      for (const what of [
        action('acknowledge'),
        action('mute', '', NOW_S + 999),
        action('allow', 'ours', NOW_S + 999),
      ])
        await store.act(key('i'), what, 'anna', NOW_MS)
      await store.commit([alert({ id: 'y', ...medium }, { seq: 2 })], NOW_MS)
      expect((await one(store, 'i')).incident.triage.state).toBe('allowed')
      await store.commit([alert({ id: 'z', ...medium, severity: 'high' }, { seq: 3 })], NOW_MS)
      expect((await one(store, 'i')).incident.triage).toEqual({ state: 'new', notes: 0 })
    })

    test('allow() holds for later incidents of that name and behaviour on that host, unless worse', async () => {
      const store = await open()
      const put = (id: string, changes: object, host = 'a', seq = id.length) =>
        store.commit(
          [alert({ id, incident: id, severity: 'medium', ...changes }, { host, seq })],
          NOW_MS,
        )
      await put('i', {})
      await put('earlier', {})
      await store.act(key('i'), action('allow', 'a scan of ours', NOW_S + 999), 'anna', NOW_MS)
      await put('alike', {})
      await put('other-behaviour', { behaviour: 'file-encryption' })
      await put('other-name', { process: { ...sampleAlert.process, name: 'httpd' } })
      await put('worse', { severity: 'critical' })
      await put('elsewhere', {}, 'b')
      expect((await idsOf(store, { triage: ['allowed'] })).sort()).toEqual([
        'alike',
        'earlier',
        'i',
      ])
      expect(await idsOf(store, { triage: ['allowed'], now: NOW_S + 1_000 })).toEqual([])
      await store.act(key('alike'), action('disallow'), 'anna', NOW_MS)
      expect(await idsOf(store, { triage: ['allowed'] })).toEqual([])
      await put('after-that', {})
      expect(await idsOf(store, { triage: ['allowed'] })).toEqual([])
    })

    test('an incident goes with its last alert, and moves with the id of its alert', async () => {
      const store = await open(
        retain({ days: { masquerade: 1, 'non-grata': 1, novelty: 1, absence: 1 } }),
      )
      const closed = { state: 'closed' } as const
      await store.commit(
        [
          alert({ id: 'x', incident: 'i', ...closed }, { seq: 1 }),
          alert({ id: 'y', incident: 'j' }, { seq: 2 }),
          status({}),
        ],
        NOW_MS,
      )
      await store.commit([alert({ id: 'y', incident: 'k', state: 'update' }, { seq: 3 })], NOW_MS)
      expect((await idsOf(store)).sort()).toEqual(['i', 'k'])
      await store.act(key('i'), action('note', 'kept'), 'anna', NOW_MS)
      await store.tidy(NOW_MS + 2 * 86_400_000)
      expect(await idsOf(store)).toEqual(['k'])
      // What people did stays in the audit list.
      expect((await store.incidents.actions({ limit: 9 })).items).toHaveLength(1)
    })
  })

test.skipIf(postgres.skip)(
  'moveStore() takes along what operators did',
  async () => {
    const [first, middle, last] = [await sqlite.open(), await postgres.open(), await sqlite.open()]
    await first.commit(
      [
        alert({ id: 'x', incident: 'i', severity: 'low' }, { seq: 1 }),
        alert({ id: 'y', incident: 'j' }, { host: 'b', seq: 1 }),
      ],
      NOW_MS,
    )
    for (const what of [
      action('acknowledge'),
      action('allow', 'ours', NOW_S + 99),
      action('note', 'a note'),
      action('label', 'bad'),
    ])
      await first.act(key('i'), what, 'anna', NOW_MS)
    await moveStore(first, middle)
    await moveStore(middle, last)
    const all = async (store: Store) => ({
      incidents: await list(store),
      actions: (await store.incidents.actions({ limit: 9 })).items.map(({ row, ...rest }) => rest),
    })
    const before = await all(first)
    expect(before.incidents).toHaveLength(2)
    expect(await all(middle)).toEqual(before)
    expect(await all(last)).toEqual(before)
  },
  60_000,
)

test('a file of an earlier version has its incidents after the upgrade', async () => {
  const path = await sqlite.place()
  const db = openDatabase(path, { schema: SCHEMA.slice(0, 3) })
  db.exec(`INSERT INTO hosts VALUES (1, 'lab', 'a', 1, '', 1, 1, 1, 1, '', '', '', 2, 2, -1, 0, 0)`)
  const put = db.prepare(
    `INSERT INTO alerts (hostId, id, kind, state, boot, seq, received, changes, body, site, active, changed)
     VALUES (1, ?, 'masquerade', 'open', 1, ?, 1, 1, ?, 'lab', 1, 5000)`,
  )
  const bodyOf = (id: string, severity: 'low' | 'critical') =>
    JSON.stringify(alert({ id, incident: 'i', severity }, { seq: 1 }).message)
  put.run('x', 1, bodyOf('x', 'low'))
  put.run('y', 2, bodyOf('y', 'critical'))
  db.close()
  const store = await sqlite.open({}, path)
  expect(await list(store, { q: 'NGINX' })).toMatchObject([
    {
      id: 'i',
      severity: 'critical',
      alerts: { active: 2, total: 2 },
      lead: { id: 'y' },
      changed: 5,
    },
  ])
  await store.commit([alert({ id: 'y', incident: 'i', state: 'closed' }, { seq: 9 })], NOW_MS)
  expect(await list(store)).toMatchObject([{ id: 'i', alerts: { active: 1, total: 2 } }])
})

test('lists of incidents are answered from an index, in their order', async () => {
  const path = await sqlite.place()
  await sqlite.open({}, path)
  const db = openDatabase(path, { schema: SCHEMA })
  const planOf = (order: string) =>
    db
      .prepare<{ detail: string }>(
        `EXPLAIN QUERY PLAN SELECT row FROM incidents WHERE ${order.includes('urgency') ? '(urgency, changed, row) < (9, 0, 0)' : '(0, changed, row) < (0, 9, 0)'} ORDER BY ${order} LIMIT 9`,
      )
      .all()
      .map(({ detail }) => detail)
      .join('; ')
  expect(planOf('urgency DESC, changed DESC, row DESC')).toContain('incidentsByUrgency')
  expect(planOf('urgency DESC, changed DESC, row DESC')).not.toContain('TEMP B-TREE')
  expect(planOf('changed DESC, row DESC')).not.toContain('TEMP B-TREE')
  db.close()
})
