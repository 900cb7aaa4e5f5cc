import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isLoopback } from '../../src/aggregator/http-guard.ts'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleSummary } from '../wire/samples.ts'
import { type Client, connectClient, type Running, startRunning, until } from './running.ts'

let running: Running
let web1: Client
beforeAll(async () => {
  running = await startRunning()
  web1 = await connectClient(running.brokerUrl, 'web-1')
  const db1 = await connectClient(running.brokerUrl, 'db-1')
  await web1.status()
  await web1.alert({ id: 'm1', kind: 'masquerade', state: 'open' }, 1)
  await web1.alert({ id: 'm1', kind: 'masquerade', state: 'update', count: 5 }, 2)
  await web1.alert({ id: 'n1', kind: 'novelty', state: 'closed' }, 3)
  await db1.alert({ id: 'g1', kind: 'non-grata', state: 'open' }, 1)
})
afterAll(() => running.close())

interface List {
  items: { id: string; host: string }[]
  next: string | null
}
const ids = async (query: string): Promise<string[]> =>
  (await running.json<List>(`/api/v1/alerts${query}`)).items.map(({ id }) => id)

describe('GET /api/v1/alerts', () => {
  test('gives alerts as on the wire, active ones first', async () => {
    const { items, next } = await running.json<List>('/api/v1/alerts')
    expect(items.map(({ id }) => id)).toEqual(['g1', 'm1', 'n1'])
    expect(items[1]).toMatchObject({
      v: 1,
      boot: 1,
      seq: 2,
      site: 'lab',
      host: 'web-1',
      state: 'update',
      count: 5,
      process: { pid: 812, name: 'nginx' },
      why: [{ syscall: 'socket', seen: 0.31, expected: 0.001 }, {}],
    })
    expect(next).toBeNull()
  })

  test('filters by host, kind and state, also by several', async () => {
    expect(await ids('?host=web-1')).toEqual(['m1', 'n1'])
    expect(await ids('?kind=non-grata')).toEqual(['g1'])
    expect(await ids('?kind=non-grata,novelty')).toEqual(['g1', 'n1'])
    expect(await ids('?state=open,update')).toEqual(['g1', 'm1'])
    expect(await ids('?host=web-1&state=closed&kind=novelty&site=lab')).toEqual(['n1'])
    expect(await ids('?host=nobody')).toEqual([])
  })

  test('walks through pages by "next" and "after"', async () => {
    const first = await running.json<List>('/api/v1/alerts?limit=2')
    expect(first.items).toHaveLength(2)
    const second = await running.json<List>(`/api/v1/alerts?limit=2&after=${first.next}`)
    expect(second.items.map(({ id }) => id)).toEqual(['n1'])
    expect(second.next).toBeNull()
  })

  for (const query of [
    '?limit=0',
    '?limit=1001',
    '?limit=ten',
    '?limit=-1',
    '?limit=1e2',
    '?limit=',
    '?after=x',
    '?after=99999999999999999999',
    '?kind=all',
    '?state=OPEN',
    '?state=open,',
    '?host=a/b',
    '?host=%2B',
    `?host=${'x'.repeat(300)}`,
    '?site=%00',
    '?stat=open',
    '?limit=1&limit=2',
  ])
    test(`refuses ${query.slice(0, 40)} with 400 and a reason`, async () => {
      const response = await running.get(`/api/v1/alerts${query}`)
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual({
        error: { code: 'bad-parameter', message: expect.any(String) },
      })
    })

  test('takes a limit of 1000', async () => {
    expect((await running.get('/api/v1/alerts?limit=1000')).status).toBe(200)
  })
})

test('GET /api/v1/alerts/ID gives one alert with its history', async () => {
  const alert = await running.json<{ id: string; history: { state: string; count: number }[] }>(
    '/api/v1/alerts/m1',
  )
  expect(alert).toMatchObject({ id: 'm1', state: 'update', received: expect.any(Number) })
  expect(alert.history).toMatchObject([{ state: 'open' }, { state: 'update', count: 5 }])
  expect((await running.get('/api/v1/alerts/m1?host=db-1')).status).toBe(404)
  for (const id of ['nope', '%', '%00', `${'x'.repeat(200)}`, 'm1/more'])
    expect((await running.get(`/api/v1/alerts/${id}`)).status).toBe(404)
})

test('GET /api/v1/hosts tells who is there, and how many alerts are active', async () => {
  const { items } = await running.json<{ items: unknown[] }>('/api/v1/hosts')
  expect(items).toMatchObject([
    { host: 'db-1', state: 'offline', reason: 'unknown', alerts: { active: 1, total: 1 } },
    { host: 'web-1', state: 'online', source: 'sysdig', alerts: { active: 1, total: 2 } },
  ])
  const page = await running.json<{ items: unknown[]; next: string }>('/api/v1/hosts?limit=1')
  expect(page.next).toBe('0/lab/db-1')
  const rest = await running.json<{ items: { host: string }[]; next: null }>(
    `/api/v1/hosts?limit=1&after=${encodeURIComponent(page.next)}`,
  )
  expect(rest.items.map(({ host }) => host)).toEqual(['web-1'])
  expect(rest.next).toBeNull()
  expect((await running.get('/api/v1/hosts?state=asleep')).status).toBe(400)
})

test('GET /api/v1/hosts finds a host by part of its name, and refuses what is no question', async () => {
  const names = async (query: string) =>
    (await running.json<{ items: { host: string }[] }>(`/api/v1/hosts${query}`)).items.map(
      ({ host }) => host,
    )
  expect(await names('?search=LAB/we')).toEqual(['web-1'])
  expect(await names('?order=attention&search=1')).toEqual(['db-1', 'web-1'])
  expect(await names('?search=%25')).toEqual([])
  for (const query of ['?search=', '?after=x', '?order=size'])
    expect((await running.get(`/api/v1/hosts${query}`)).status).toBe(400)
})

test('GET /api/v1/counts counts all, whatever a list shows', async () => {
  expect(await running.json('/api/v1/counts')).toMatchObject({
    hosts: { online: 1, offline: 1, keyChanged: 0 },
    alerts: { active: 2, total: 3 },
    store: { bytes: expect.any(Number), oldestAlert: expect.any(Number) },
  } as object)
})

test('GET /api/v1/hosts/HOST/processes says "no summary yet" and knows no strangers', async () => {
  expect(await running.json('/api/v1/hosts/web-1/processes')).toMatchObject({
    items: [],
    next: null,
    summary: null,
    host: { host: 'web-1' },
  })
  expect((await running.get('/api/v1/hosts/nobody/processes')).status).toBe(404)
  expect((await running.get('/api/v1/hosts/web-1')).status).toBe(404)
})

describe('GET /api/v1/events', () => {
  /** Reads a stream until the text shows what is waited for. */
  async function readUntil(response: Response, wanted: string): Promise<string> {
    const reader = response.body!.getReader()
    let text = ''
    while (!text.includes(wanted)) {
      const { value, done } = await reader.read()
      if (done) break
      text += new TextDecoder().decode(value)
    }
    await reader.cancel()
    return text
  }

  test('tells alerts and hosts as they come', async () => {
    const response = await running.get('/api/v1/events')
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const reading = readUntil(response, '"id":"live"')
    await until('the stream', async () => (await running.metric('callsign_event_streams')) > 0)
    await web1.alert({ id: 'live', kind: 'novelty' }, 10)
    const text = await reading
    expect(text).toContain('event: hello\ndata: {"version":"1.2.3","broker":"mqtt://127.0.0.1:')
    expect(text).toMatch(/id: \w+-\d+\nevent: alert\ndata: \{"v":1,"id":"live"/)
    await until('its end', async () => (await running.metric('callsign_event_streams')) === 0)
  })

  test('gives one who comes back what he missed', async () => {
    await web1.alert({ id: 'missed-1' }, 20)
    const first = await readUntil(await running.get('/api/v1/events'), 'event: hello')
    const last = /id: (\S+)/.exec(first)![1]!
    await web1.alert({ id: 'missed-2' }, 21)
    const again = await running.get('/api/v1/events', { headers: { 'last-event-id': last } })
    const text = await readUntil(again, 'event: hello')
    expect(text).toContain('missed-2')
    expect(text).not.toContain('missed-1')
  })

  test('tells one from another run to begin anew', async () => {
    const stale = await running.get('/api/v1/events', { headers: { 'last-event-id': 'other-7' } })
    expect(await readUntil(stale, 'event: hello')).toContain('event: reset')
  })
})

test('GET /metrics is what Prometheus reads', async () => {
  const response = await running.get('/metrics')
  expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4')
  const text = await response.text()
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [\d.e+-]+)$/,
    )
  expect(await running.metric('callsign_messages_received_total{kind="alert"}')).toBeGreaterThan(3)
  expect(await running.metric('callsign_hosts{state="online"}')).toBe(1)
  expect(await running.metric('callsign_broker_up')).toBe(1)
})

test('GET /metrics tells what each agent costs its host, a repeated summary once', async () => {
  const topic = agentTopics('lab', 'cost-1').summary
  for (const seq of [1, 2, 2]) {
    const origin = { site: 'lab', host: 'cost-1', boot: 1, seq }
    await web1.publish(topic, encodeSummary(sampleSummary, origin))
  }
  const cost = (name: string, more = '') =>
    running.metric(`callsign_host_agent_${name}{site="lab",host="cost-1"${more}}`)
  await until('both summaries', async () => (await cost('cpu_seconds_total')) >= 0.5)
  expect(await cost('cpu_seconds_total')).toBe(0.5)
  expect(await cost('resident_bytes')).toBe(90_000_000)
  expect(await cost('calls_total')).toBe(24_800)
  expect(await cost('calls_dropped_total', ',reason="lost(sysdig)"')).toBe(20)
  expect(await cost('lag_seconds')).toBe(0.012)
})

test('GET /healthz says that all is well', async () => {
  expect(await running.json('/healthz')).toEqual({ status: 'ok' })
})

describe('every answer', () => {
  for (const path of ['/', '/api/v1/alerts', '/metrics', '/healthz', '/nowhere', '/api/v2/alerts'])
    test(`${path} carries the headers that make it harmless`, async () => {
      const { headers } = await running.get(path)
      expect(headers.get('content-security-policy')).toContain(
        "default-src 'none'; script-src 'self'",
      )
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('access-control-allow-origin')).toBeNull()
    })

  test('to a method that changes things is 405', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const response = await running.get('/api/v1/alerts', { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('GET, HEAD')
    }
  })

  test('to HEAD is that to GET without its body', async () => {
    for (const path of ['/', '/api/v1/alerts', '/healthz', '/api/v1/events']) {
      const response = await running.get(path, { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(await response.text()).toBe('')
    }
    expect((await running.get('/api/v1/alerts?limit=0', { method: 'HEAD' })).status).toBe(400)
  })

  test('to a foreign Host is refused: a page of others cannot read ours (DNS rebinding)', async () => {
    const { port } = new URL(running.url)
    const ask = (host: string) =>
      new Promise<number | undefined>((resolve, reject) =>
        request(
          { host: '127.0.0.1', port, path: '/api/v1/alerts', headers: { host } },
          (response) => {
            response.resume()
            resolve(response.statusCode)
          },
        )
          .on('error', reject)
          .end(),
      )
    expect(await ask('evil.example')).toBe(421)
    expect(await ask(`evil.example:${port}`)).toBe(421)
    expect(await ask('127.0.0.1.evil.example')).toBe(421)
    expect(await ask(`localhost:${port}`)).toBe(200)
    expect(await ask(`127.0.0.1:${port}`)).toBe(200)
    expect(await ask(`[::1]:${port}`)).toBe(200)
  })

  test('beyond loopback is given under addresses, the own name, and names that were allowed', async () => {
    const wide = await startRunning({
      http: { host: '0.0.0.0', port: 0 },
      httpNames: ['fleet.example'],
      allowAnonymous: true,
    })
    const { port } = new URL(wide.url)
    const ask = async (host: string) =>
      (await fetch(`http://127.0.0.1:${port}/api/v1/counts`, { headers: { host } })).status
    for (const host of ['10.1.2.3', `[fd00::1]:${port}`, hostname(), 'Fleet.example:80'])
      expect(await ask(host)).toBe(200)
    expect(await ask('evil.example')).toBe(421)
    await wide.close()
  })
})

test('the page and its files are served, and asked for again only when they changed', async () => {
  const page = await running.get('/')
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const html = await page.text()
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/)
  for (const [, path] of html.matchAll(/(?:src|href)="\.?(\/[^"]+\.(?:js|css))"/g)) {
    const file = await running.get(path!)
    expect(file.status).toBe(200)
    expect(file.headers.get('cache-control')).toContain('immutable')
    expect(file.headers.get('content-type')).toMatch(path!.endsWith('.js') ? /javascript/ : /css/)
  }
  const etag = page.headers.get('etag')!
  const again = await running.get('/', { headers: { 'if-none-match': etag } })
  expect(again.status).toBe(304)
})

test('a password file closes everything but /healthz', async () => {
  const passwordFile = join(running.directory, 'readers')
  writeFileSync(passwordFile, 'operator:secret\n', { mode: 0o600 })
  const closed = await startRunning({ http: { host: '127.0.0.1', port: 0, passwordFile } })
  const as = (login: string) => ({ headers: { authorization: `Basic ${btoa(login)}` } })
  for (const path of ['/', '/api/v1/alerts', '/api/v1/events', '/metrics']) {
    const refused = await closed.get(path)
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toStartWith('Basic realm=')
  }
  expect((await closed.get('/healthz')).status).toBe(200)
  expect((await closed.get('/api/v1/alerts', as('operator:wrong'))).status).toBe(401)
  expect((await closed.get('/api/v1/alerts', as('operator:secret'))).status).toBe(200)
  await closed.close()
})

test('a password file that others may read is refused', async () => {
  const passwordFile = join(running.directory, 'open')
  writeFileSync(passwordFile, 'operator:secret\n', { mode: 0o644 })
  await expect(
    startRunning({ http: { host: '127.0.0.1', port: 0, passwordFile } }),
  ).rejects.toMatchObject({ code: 'ERR_CONFIG', hint: expect.stringContaining('chmod 600') })
})

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.0.0.1.evil.example', false],
  ['10.0.0.1', false],
])('isLoopback(%p) is %p', (host, is) => {
  expect(isLoopback(host)).toBe(is)
})
