/** Notices by e-mail, against a mail server of Python's aiosmtpd. */
import { afterEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { letterOf, mailOutput } from '../../src/outputs/mail.ts'
import { dotted } from '../../src/platform/smtp.ts'
import { mailAddresses } from '../../src/settings/values.ts'
import { type AlertMessage, toMessage } from '../../src/wire/alert-message.ts'
import { keptValue } from '../support/kept-value.ts'
import { until } from '../support/until.ts'
import { sampleAlert, sampleOrigin } from '../wire/samples.ts'

const PYTHON = '/usr/bin/python3'
const SERVER = join(import.meta.dir, '../fixtures/programs/smtp-server.py')
const hasServer = Bun.spawnSync([PYTHON, '-c', 'import aiosmtpd']).success

const ends: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const alert = (more: Partial<AlertMessage> = {}): AlertMessage => ({
  ...toMessage(sampleAlert, sampleOrigin),
  ...more,
})
const told = (...alerts: AlertMessage[]) => ({ alerts, summary: undefined })

interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly thread: string
  readonly id: string
  readonly date: string
  readonly defects: readonly string[]
  readonly text: string
}

async function mailServer(...replies: string[]) {
  const child = Bun.spawn([PYTHON, SERVER, ...replies], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  ends.push(async () => {
    child.stdin.end()
    await child.exited
  })
  const lines: string[] = []
  void (async () => {
    let text = ''
    for await (const bytes of child.stdout) {
      text += new TextDecoder().decode(bytes)
      const whole = text.split('\n')
      text = whole.pop()!
      lines.push(...whole)
    }
  })()
  const first = await until('its port', () => lines[0])
  const got = () => lines.slice(1).map((line) => JSON.parse(line) as Received)
  return { server: `127.0.0.1:${JSON.parse(first).port}`, got }
}

function output(server: string, queue = keptValue(), to = ['ops@example.org', 'sec@example.org']) {
  const made = mailOutput({
    ...{ server, queue, to },
    ...{ now: () => 1_800_000_000_000, retryMs: 5 },
  })
  ends.push(() => made.close?.())
  return made
}

describe.skipIf(!hasServer)('mailOutput()', () => {
  test('sends one message an incident and change, in one thread', async () => {
    const { server, got } = await mailServer()
    const mail = output(server)
    await mail.take(told(alert(), alert({ state: 'update' }), alert({ state: 'closed' })))
    await until('both', () => got().length === 2)
    const [firing, resolved] = got()
    expect(firing).toMatchObject({
      from: 'callsign@web-1',
      to: ['ops@example.org', 'sec@example.org'],
      defects: [],
    })
    expect(firing!.subject).toStartWith('HIGH web-1: nginx (pid 812) behaves like ')
    expect(firing!.text).toContain(`agent explain ${sampleAlert.id}`)
    expect(Date.parse(firing!.date)).toBe(1_800_000_000_000)
    expect(resolved!.subject).toStartWith('Resolved: web-1')
    expect(resolved!.thread).toBe(firing!.thread)
    expect(resolved!.id).not.toBe(firing!.id)
    expect(mail.refused).toEqual({})
  }, 30_000)

  test('a name cannot add a head, an address or an end of the message', async () => {
    const { server, got } = await mailServer()
    const hostile = 'x\r\nBcc: thief@example.com\r\n\r\n.\r\nQUIT\r\n\u00e9\u4e2d'
    const process = { ...sampleAlert.process, name: hostile, exe: hostile }
    // Straight into the output: what comes over the pipeline was made safe before.
    await output(server).take(told({ ...alert(), process, incident: hostile, host: 'a b>\r\nc' }))
    const [message] = await until('it', () => (got().length === 1 ? got() : undefined))
    expect(message!.to).toEqual(['ops@example.org', 'sec@example.org'])
    expect(message!.defects).toEqual([])
    expect(message!.subject).toContain('Bcc: thief@example.com')
    expect(message!.text).toContain('\u00e9\u4e2d')
  }, 30_000)

  test('tries again what the server could not take, and gives up what it refuses', async () => {
    const { server, got } = await mailServer('451 later', '550 not here')
    const mail = output(server)
    await mail.take(
      told(
        alert({ incident: 'first', id: 'first' }),
        alert({ incident: 'second', id: 'second' }),
        alert({ incident: 'third', id: 'third' }),
      ),
    )
    await until('two', () => got().length === 2)
    expect(got().map(({ thread }) => thread)).toEqual(['<second.lab@web-1>', '<third.lab@web-1>'])
    expect(mail.refused).toEqual({ 'smtp-550': 1 })
  }, 30_000)

  test('a mailbox that is gone costs the others nothing, and all of them gone is a refusal', async () => {
    const { server, got } = await mailServer()
    const some = output(server, keptValue(), ['gone@example.org', 'sec@example.org'])
    await some.take(told(alert()))
    await until('it', () => got().length === 1)
    expect(got()[0]!.to).toEqual(['sec@example.org'])
    await until('the count', () => some.refused?.['recipient-550'] === 1)
    const none = output(server, keptValue(), ['gone@example.org', 'gone@example.com'])
    await none.take(told(alert()))
    await until('the refusal', () => none.refused?.['smtp-550'] === 1)
    expect(got()).toHaveLength(1)
  }, 30_000)

  test('delivers after a restart what waited before it', async () => {
    const queue = keptValue()
    const away = output('127.0.0.1:9', queue)
    await away.take(told(alert()))
    await away.close?.()
    const { server, got } = await mailServer()
    output(server, queue)
    await until('the message', () => got().length === 1)
    await until('the empty queue', () => JSON.stringify(queue.get()) === '[]')
  }, 30_000)
})

test('letterOf() is plain ASCII in lines that every server takes', () => {
  const notice = {
    ...({ incident: 'i', status: 'firing', severity: 'high', alerts: 1 } as const),
    alert: alert({ process: { ...sampleAlert.process, name: '\u4e2d'.repeat(200) } }),
  }
  const { message } = letterOf(notice, ['ops@example.org'], 0)
  expect(message).toMatch(/^[\x20-\x7e\n]*$/)
  for (const line of message.split('\n')) expect(line.length).toBeLessThan(998)
})

test('dotted() keeps a line of one dot from ending the message', () =>
  expect(dotted('a\n.\r\n..b\rc')).toBe('a\r\n..\r\n...b\r\nc'))

describe('mailAddresses()', () => {
  test('takes a list', () =>
    expect(mailAddresses('a@b.example, ops+x@c')).toEqual(['a@b.example', 'ops+x@c']))

  test.each([['nobody'], ['a@b>\r\nRCPT TO:<c@d'], ['<a@b>'], ['a b@c'], [''], ['a@b,']])(
    'refuses %j',
    (text) => expect(() => mailAddresses(text)).toThrow(),
  )
})
