/** Operators over HTTP: who may change something, what is kept of it, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectClient, type Running, startRunning, until } from './running.ts'

let running: Running
const directory = mkdtempSync(join(tmpdir(), 'operators-'))
const login = (text: string) => ({ authorization: `Basic ${btoa(text)}` })
const ANNA = login('anna:secret')
const READER = login('@grafana:look')

beforeAll(async () => {
  const passwordFile = join(directory, 'people')
  writeFileSync(passwordFile, 'anna:secret\n@grafana:look\n', { mode: 0o600 })
  running = await startRunning({ http: { host: '127.0.0.1', port: 0, passwordFile } })
  const web1 = await connectClient(running.brokerUrl, 'web-1')
  await web1.alert({ id: 'x', incident: 'i', severity: 'critical' }, 1)
})
afterAll(async () => {
  await running.close()
  rmSync(directory, { recursive: true, force: true })
})

const ADDRESS = '/api/v1/incidents/i/actions?site=lab&host=web-1'
function post(
  body: unknown,
  { headers = ANNA as Record<string, string>, address = ADDRESS } = {},
): Promise<Response> {
  return running.get(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
const ask = async <T>(path: string): Promise<T> =>
  (await (await running.get(path, { headers: READER })).json()) as T
const code = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: { code: string } }).error.code

describe('POST /api/v1/incidents/ID/actions', () => {
  test('does what an operator asks, and keeps who and when', async () => {
    const before = Math.floor(Date.now() / 1_000)
    const done = await post({ action: 'assign', value: 'ben' })
    expect(done.status).toBe(201)
    expect(await done.json()).toMatchObject({ actor: 'anna', action: 'assign', value: 'ben' })
    expect((await post({ action: 'acknowledge' })).status).toBe(201)
    expect((await post({ action: 'mute' })).status).toBe(201)
    const { incident, actions } = await ask<{
      incident: { triage: { mutedUntil: number } }
      actions: { actor: string; time: number }[]
    }>('/api/v1/incidents/i')
    expect(incident).toMatchObject({
      severity: 'critical',
      triage: { state: 'muted', assignee: 'ben', acknowledged: { by: 'anna' } },
    } as object)
    expect(incident.triage.mutedUntil).toBeGreaterThanOrEqual(before + 86_400)
    expect(actions.map(({ actor }) => actor)).toEqual(['anna', 'anna', 'anna'])
    expect(actions[0]!.time).toBeGreaterThanOrEqual(before)
    expect(await ask<object>('/api/v1/actions?actor=anna&action=mute,assign')).toMatchObject({
      items: [{ action: 'mute', severity: 'critical' }, { action: 'assign' }],
      next: null,
    })
  })

  test('tells the pages that are open', async () => {
    const stream = await running.get('/api/v1/events', { headers: READER })
    const reader = stream.body!.getReader()
    let text = ''
    await reader.read()
    await post({ action: 'note', value: 'A note' })
    await until('the event', async () => {
      text += new TextDecoder().decode((await reader.read()).value)
      return text.includes('event: action') && text.includes('"value":"A note"')
    })
    await reader.cancel()
  })

  test('knows who is signed in', async () => {
    const me = async (headers: Record<string, string>) =>
      (await running.get('/api/v1/me', { headers })).json()
    expect(await me(ANNA)).toEqual({ name: 'anna', mayAct: true })
    expect(await me(READER)).toEqual({ name: '@grafana', mayAct: false })
  })

  test.each([
    ['a reader', READER, 403, 'not-allowed'],
    ['a wrong password', login('anna:wrong'), 401, 'not-authenticated'],
    ['another site', { ...ANNA, 'sec-fetch-site': 'cross-site' }, 403, 'cross-site'],
    ['a sibling of ours', { ...ANNA, 'sec-fetch-site': 'same-site' }, 403, 'cross-site'],
    ['an older browser elsewhere', { ...ANNA, origin: 'http://evil.example' }, 403, 'cross-site'],
    ['a sandboxed frame', { ...ANNA, origin: 'null' }, 403, 'cross-site'],
    ['a form', { ...ANNA, 'content-type': 'text/plain' }, 415, 'not-json'],
  ])('is refused to %s, and counted', async (_, headers, status, reason) => {
    const counted = reason === 'not-authenticated' ? 'wrong-password' : reason
    const line = `callsign_http_refused_total{reason="${counted}"}`
    const count = async () => {
      const text = await (await running.get('/metrics', { headers: READER })).text()
      return Number(
        text
          .split('\n')
          .find((one) => one.startsWith(line))
          ?.split(' ')[1] ?? 0,
      )
    }
    const before = await count()
    const refused = await post({ action: 'unmute' }, { headers })
    expect(refused.status).toBe(status)
    expect(await code(refused)).toBe(reason)
    expect(await count()).toBe(before + 1)
    expect(await ask<object>('/api/v1/incidents/i')).toMatchObject({
      incident: { triage: { state: 'muted' } },
    })
  })

  test('is given to our own page', async () => {
    const { origin } = new URL(running.url)
    for (const headers of [{ origin }, { origin, 'sec-fetch-site': 'same-origin' }])
      expect(
        (await post({ action: 'note', value: 'x' }, { headers: { ...ANNA, ...headers } })).status,
      ).toBe(201)
  })

  test.each([
    ['no object', '[]'],
    ['no JSON', '{'],
    ['an unknown action', { action: 'delete' }],
    ['a field that is unknown', { action: 'mute', untill: 5 }],
    ['a note without text', { action: 'note', value: ' ' }],
    ['an allowance without a reason', { action: 'allow' }],
    ['a label without one', { action: 'label' }],
    ['a mute that is over', { action: 'mute', until: 5 }],
    ['a mute for ever', { action: 'mute', until: 99_999_999_999 }],
    ['a note that is a book', { action: 'note', value: 'x'.repeat(2_001) }],
  ])('refuses %s', async (_, body) => {
    const refused = await post(body)
    expect(refused.status).toBe(400)
    expect(await code(refused)).toBe('bad-parameter')
  })

  test('refuses what it does not know, and what names no host', async () => {
    const address = (text: string) => ({ address: text })
    const body = { action: 'acknowledge' }
    expect((await post(body, address('/api/v1/incidents/i/actions?site=lab'))).status).toBe(400)
    expect(
      (await post(body, address('/api/v1/incidents/j/actions?site=lab&host=web-1'))).status,
    ).toBe(404)
    expect((await post(body, address('/api/v1/incidents/i'))).status).toBe(405)
    expect((await post(body, address('/'))).status).toBe(405)
    expect((await post('x'.repeat(20_000))).status).toBe(413)
    expect((await running.get('/', { method: 'PUT', headers: ANNA })).status).toBe(405)
  })
})

test('without a password file nobody can act', async () => {
  const open = await startRunning()
  const refused = await open.get(ADDRESS, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"action":"acknowledge"}',
  })
  expect(refused.status).toBe(403)
  expect(await code(refused)).toBe('not-signed-in')
  expect(await open.json<object>('/api/v1/me')).toEqual({ name: null, mayAct: false })
  await open.close()
})

describe('GET /api/v1/incidents', () => {
  test('lists, counts and groups with the same filters', async () => {
    const query = 'q=NGINX&severity=critical,high&state=open&triage=muted&since=1&name=nginx'
    expect(await ask<object>(`/api/v1/incidents?${query}`)).toMatchObject({
      items: [{ id: 'i', host: 'web-1', lead: { id: 'x' } }],
      next: null,
    })
    expect(await ask<object>(`/api/v1/incidents/groups?by=host&${query}`)).toMatchObject({
      items: [{ key: 'lab/web-1', incidents: 1, severity: 'critical' }],
    })
    const times = '/api/v1/incidents/times?since=1699999200&until=1700010000&step=3600'
    expect(await ask<object>(times)).toMatchObject({
      items: [{ at: 1_699_999_200, severity: 'critical', incidents: 1 }],
      step: 3_600,
    })
    expect(await ask<object>('/api/v1/incidents?q=apache')).toEqual({ items: [], next: null })
  })

  for (const query of [
    '?q=',
    '?severity=worst',
    '?order=size',
    '?after=x',
    '?triage=all',
    '?since=-1',
    '?serverity=high',
    '/groups',
    '/groups?by=pid',
    '/times?since=0&until=99999999&step=60',
  ])
    test(`refuses ${query}`, async () => {
      expect((await running.get(`/api/v1/incidents${query}`, { headers: READER })).status).toBe(400)
    })
})

test('answers are compressed where the client can read that', async () => {
  const raw = async (encoding: string) =>
    fetch(`${running.url}/metrics`, {
      headers: { ...READER, 'accept-encoding': encoding },
      decompress: false,
    } as RequestInit)
  const plain = await raw('identity')
  expect(plain.headers.get('content-encoding')).toBeNull()
  const packed = await raw('gzip, br')
  expect(packed.headers.get('content-encoding')).toBe('gzip')
  expect(packed.headers.get('vary')).toBe('accept-encoding')
  const bytes = new Uint8Array(await packed.arrayBuffer())
  expect(bytes.length).toBeLessThan((await plain.arrayBuffer()).byteLength / 2)
  expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toContain('callsign_hosts')
})
