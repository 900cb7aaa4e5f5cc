/**
 * Outputs that leave the host, each against a real receiver: a file on a disk, a syslog server by
 * UDP and TCP, an HTTP server.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileOutput } from '../../src/outputs/file.ts'
import { type Notice, Notices } from '../../src/outputs/notices.ts'
import { parseSyslogTarget, syslogMessage, syslogOutput } from '../../src/outputs/syslog.ts'
import { type WebhookOptions, webhookOutput } from '../../src/outputs/webhook.ts'
import { requestOf } from '../../src/outputs/webhook-templates.ts'
import { type AlertMessage, toMessage } from '../../src/wire/alert-message.ts'
import { keptValue } from '../support/kept-value.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'
import { sampleAlert, sampleOrigin } from '../wire/samples.ts'

const directory = temporaryDirectories()
const ends: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const alert = (more: Partial<AlertMessage> = {}): AlertMessage => ({
  ...toMessage(sampleAlert, sampleOrigin),
  ...more,
})
const told = (...alerts: AlertMessage[]) => ({ alerts, summary: undefined })

describe('fileOutput()', () => {
  test('appends a line an alert, and keeps so many files of so many bytes', async () => {
    const folder = directory()
    const path = join(folder, 'alerts.ndjson')
    const bytes = JSON.stringify(alert()).length
    const output = fileOutput(path, { bytesMax: 2 * bytes + 10, filesMax: 3 })
    for (let i = 0; i < 9; i++) await output.take(told(alert({ id: `id-${i}`.padEnd(16, '0') })))
    expect(readdirSync(folder).sort()).toEqual([
      'alerts.ndjson',
      'alerts.ndjson.1',
      'alerts.ndjson.2',
    ])
    const last = readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)!
    expect(JSON.parse(last).id).toStartWith('id-8')
    expect(output.refused).toEqual({})
  })

  test('counts what the disk refuses', async () => {
    const output = fileOutput(join(directory(), 'no', 'such', 'folder'))
    await output.take(told(alert(), alert()))
    expect(output.refused).toEqual({ ENOENT: 2 })
  })
})

describe('syslogMessage()', () => {
  test('is a message of RFC 5424: priority, time, host, structured data, words', () => {
    const text = syslogMessage(alert({ severity: 'critical' }), 77)
    expect(text).toMatch(
      /^<82>1 2023-11-14T22:13:30\.000Z web-1 callsign 77 masquerade \[callsign@32473 id="a1b2c3d4e5f60718" /,
    )
    expect(text).toContain('severity="critical"')
  })

  test('no name of a process ends the structured data', () => {
    const evil = alert({ process: { ...alert().process, name: 'x"] evil="1' } })
    expect(syslogMessage(evil, 1)).toContain('name="x\\"\\] evil=\\"1"')
  })
})

test.each(['http://x', 'x', 'udp://', ''])('parseSyslogTarget() refuses %p', (address) => {
  expect(() => parseSyslogTarget(address)).toThrow()
})

describe('syslogOutput()', () => {
  test('sends datagrams', async () => {
    const got: string[] = []
    const server = createSocket('udp4', (message) => got.push(message.toString()))
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    ends.push(() => void server.close())
    const output = syslogOutput(parseSyslogTarget(`udp://127.0.0.1:${server.address().port}`))
    ends.push(() => output.close?.())
    await output.take(told(alert()))
    await until('the datagram', () => got.length === 1)
    expect(got[0]).toStartWith('<83>1 ')
  })

  test('sends lengths and messages by TCP, also those made while the server was away', async () => {
    let got = ''
    const listen = (port: number): Promise<Server> =>
      new Promise((resolve) => {
        const server = createServer((socket) => {
          socket.setEncoding('utf8').on('data', (text: string) => (got += text))
        })
        server.listen(port, '127.0.0.1', () => resolve(server))
      })
    const first = await listen(0)
    const at = first.address()
    const port = typeof at === 'object' && at !== null ? at.port : 0
    await new Promise((resolve) => first.close(resolve))
    const output = syslogOutput(parseSyslogTarget(`tcp://127.0.0.1:${port}`))
    ends.push(() => output.close?.())
    await output.take(told(alert(), alert({ id: 'second'.padEnd(16, '0') })))
    const server = await listen(port)
    ends.push(() => void server.close())
    await until('both messages', () => got.includes('id="second'))
    const [, length, rest] = /^(\d+) ([\s\S]*)$/.exec(got)!
    const framed = Buffer.from(rest!).subarray(0, Number(length)).toString()
    expect(framed).toBe(syslogMessage(alert(), process.pid))
    expect(output.refused).toEqual({})
  })
})

describe('Notices.push()', () => {
  const of = (more: Partial<AlertMessage>) =>
    alert({ incident: 'i', certainty: 'confirmed', ...more })

  test('tells an incident when it is confirmed, when it gets worse, and when its last alert is over', () => {
    const notices = new Notices()
    const statuses = [
      of({ id: 'a', certainty: 'provisional' }),
      of({ id: 'a', severity: 'medium' }),
      of({ id: 'b', severity: 'medium' }),
      of({ id: 'b', severity: 'critical', state: 'update' }),
      of({ id: 'a', state: 'closed' }),
      of({ id: 'b', state: 'closed' }),
      of({ id: 'b', state: 'closed' }),
    ].map((message) => notices.push(message))
    expect(
      statuses.map((notice) => notice && `${notice.status} ${notice.severity} ${notice.alerts}`),
    ).toEqual([
      ...[undefined, 'firing medium 1', undefined, 'firing critical 2'],
      ...[undefined, 'resolved critical 2', undefined],
    ])
  })

  test('says nothing of observations, nor that one is over which was never told', () => {
    const notices = new Notices()
    expect(notices.push(of({ severity: 'low' }))).toBeUndefined()
    expect(notices.push(of({ state: 'closed' }))).toBeUndefined()
  })
})

describe('webhookOutput()', () => {
  function receiver(answer: (attempt: number) => number) {
    const got: { body: string; headers: Headers }[] = []
    let attempts = 0
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const status = answer(attempts++)
        if (status === 200) got.push({ body: await request.text(), headers: request.headers })
        return new Response('', { status })
      },
    })
    ends.push(() => server.stop(true))
    return { got, url: server.url.href, attempts: () => attempts }
  }
  const webhook = (options: Partial<WebhookOptions> & { url: string }) => {
    const output = webhookOutput({
      ...{ template: 'json', queue: keptValue(), now: () => 1_800_000_000_000, retryMs: 5 },
      ...options,
    })
    ends.push(() => output.close?.())
    return output
  }

  test('posts one signed notice an incident', async () => {
    const { got, url } = receiver(() => 200)
    const output = webhook({ url, secret: 's3cret' })
    await output.take(told(alert(), alert({ state: 'update' })))
    await until('the notice', () => got.length === 1)
    const { body, headers } = got[0]!
    expect(JSON.parse(body)).toMatchObject({ status: 'firing', incident: alert().incident })
    const signature = createHmac('sha256', 's3cret').update(`1800000000.${body}`).digest('hex')
    expect(headers.get('x-callsign-signature')).toBe(`sha256=${signature}`)
  })

  test('tries again what a server could not take, in order', async () => {
    const { got, url, attempts } = receiver((attempt) => (attempt < 3 ? 503 : 200))
    const output = webhook({ url })
    await output.take(told(alert({ incident: 'first' }), alert({ incident: 'second' })))
    await until('both', () => got.length === 2)
    expect(attempts()).toBe(5)
    expect(got.map(({ body }) => JSON.parse(body).incident)).toEqual(['first', 'second'])
    expect(output.refused).toEqual({})
  })

  test('gives up what a server refuses for good, and counts it', async () => {
    const { got, url } = receiver((attempt) => (attempt === 0 ? 400 : 200))
    const output = webhook({ url })
    await output.take(told(alert({ incident: 'refused' }), alert({ incident: 'taken' })))
    await until('the second', () => got.length === 1)
    expect(output.refused).toEqual({ 'http-400': 1 })
  })

  test('delivers after a restart what waited before it', async () => {
    const queue = keptValue()
    const away = webhookOutput({
      ...{ url: 'http://127.0.0.1:9/', template: 'json', queue, now: Date.now, retryMs: 60_000 },
    })
    await away.take(told(alert()))
    await away.close?.()
    const { got, url } = receiver(() => 200)
    webhook({ url, queue })
    await until('the notice', () => got.length === 1)
    await until('the empty queue', () => JSON.stringify(queue.get()) === '[]')
  })
})

describe('requestOf()', () => {
  const notice: Notice = {
    ...({ incident: 'i', status: 'firing', severity: 'high', alerts: 1 } as const),
    alert: alert(),
  }

  test('speaks the language of each receiver', () => {
    const of = (template: Parameters<typeof requestOf>[0]) => requestOf(template, notice, 'key')
    expect(JSON.parse(of('slack').body).text).toContain('*HIGH web-1: nginx (pid 812)')
    expect(of('ntfy').headers).toMatchObject({ Priority: '4' })
    const [am] = JSON.parse(of('alertmanager').body)
    expect(am.labels).toMatchObject({ severity: 'high', host: 'web-1', incident: 'i' })
    expect(Date.parse(am.startsAt)).toBe(alert().first * 1000)
    expect(am.endsAt).toBeUndefined()
    expect(JSON.parse(of('pagerduty').body)).toMatchObject({
      routing_key: 'key',
      event_action: 'trigger',
      payload: { severity: 'error', source: 'web-1' },
    })
  })

  test('says when it is over', () => {
    const over = { ...notice, status: 'resolved' } as const
    expect(JSON.parse(requestOf('pagerduty', over).body).event_action).toBe('resolve')
    expect(JSON.parse(requestOf('alertmanager', over).body)[0].endsAt).toBeDefined()
  })
})
