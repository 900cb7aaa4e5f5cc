/** The page in a real browser: what arrives is shown, and stays text whatever it says. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleSummary } from '../wire/samples.ts'
import {
  type Client,
  connectClient,
  type Running,
  sampleStatus,
  startRunning,
  until,
} from './running.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

/** Asks until the text is as wanted. */
async function expectSoon(ask: () => Promise<string | null>, wanted: RegExp): Promise<void> {
  await until(String(wanted), async () => wanted.test((await ask()) ?? ''))
}

// scripts/test.sh installs chromium; without it there is nothing that could look at the page.
describe.skipIf(executablePath === undefined)('the page', () => {
  let browser: Browser
  let running: Running
  let web1: Client
  let page: Page
  const faults: string[] = []

  beforeAll(async () => {
    running = await startRunning()
    web1 = await connectClient(running.brokerUrl, 'web-1')
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] })
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    page.setDefaultTimeout(20_000)
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text())
    })
    await page.goto(running.url)
    await page.locator('#link[data-state=live]').waitFor()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await running?.close()
  })

  test('says how to begin while nobody has reported', async () => {
    const words = await page.locator('#empty').textContent()
    expect(words).toContain('No host has reported yet')
    expect(words).toContain(`agent watch --broker ${running.brokerUrl}`)
  }, 30_000)

  test('shows a host and an alert as they come, and the alert in detail', async () => {
    await web1.status()
    await page.locator('.host', { hasText: 'web-1' }).waitFor()
    expect(await page.locator('#tally-online').textContent()).toBe('1')
    const now = Math.floor(Date.now() / 1000)
    const times = { time: now, first: now - 9, last: now, evidence: { from: now - 9, to: now } }
    await web1.alert({ id: 'live', ...times }, 1)
    const row = page.locator('.alert', { hasText: 'nginx behaves like nmap' })
    await row.waitFor()
    expect(await row.textContent()).toContain('97 %')
    await row.focus()
    await page.keyboard.press('Enter')
    const detail = page.locator('#detail')
    await detail.locator('h2').waitFor()
    expect(await detail.locator('h2').textContent()).toMatch(
      /^Process 812 has the name nginx but has behaved like nmap since \d\d:\d\d:\d\d\.$/,
    )
    const why = await detail.locator('.why').textContent()
    expect(why).toContain('socket')
    expect(why).toContain('310 times the usual')
    expect(why).toContain('usual, but missing')

    // What changes while one looks at it changes before one's eyes.
    await web1.alert({ id: 'live', ...times, state: 'closed', count: 12 }, 2)
    await detail.locator('.history li').nth(1).waitFor()
    expect(await detail.locator('h2').textContent()).toContain('behaved like nmap from')
    await page.keyboard.press('Escape')
    await detail.waitFor({ state: 'hidden' })
    expect(await page.evaluate('document.activeElement.matches(".alert")')).toBe(true)
  }, 60_000)

  test('filters by kind and state, and shows all again', async () => {
    await web1.alert({ id: 'new', kind: 'novelty', claimed: { class: '', confidence: 0 } }, 3)
    await page.locator('.alert', { hasText: 'is new on this host' }).waitFor()
    expect(await page.locator('.alert').count()).toBe(2)
    await page.locator('select[name=kind]').selectOption('novelty')
    await page.locator('.alert', { hasText: 'nmap' }).waitFor({ state: 'detached' })
    expect(page.url()).toContain('kind=novelty')
    await page.locator('select[name=state]').selectOption('closed')
    await page.locator('#empty', { hasText: 'No alert matches' }).waitFor()
    await page.locator('#empty a').click()
    await page.locator('.alert').nth(1).waitFor()
  }, 60_000)

  test('puts an alert that is open again on top, before and after a reload', async () => {
    const times = { time: 1_700_000_100, last: 1_700_000_100 }
    for (let seq = 100; seq < 110; seq++)
      await web1.alert({ id: `closed-${seq}`, state: 'closed' }, seq)
    await web1.alert({ id: 'again', state: 'closed' }, 110)
    await web1.alert({ id: 'later', state: 'closed' }, 111)
    await page.locator('.alert').nth(12).waitFor()
    const first = () => page.locator('a.alert').first().getAttribute('href')
    await web1.alert({ id: 'again', state: 'open', ...times }, 112)
    await expectSoon(first, /again/)
    await page.reload()
    await page.locator('.alert').nth(5).waitFor()
    expect(await first()).toMatch(/again/)
    await web1.alert({ id: 'again', state: 'closed', ...times }, 113)
  }, 30_000)

  test('counts and finds hosts beyond those that it lists', async () => {
    const status = { v: 1, state: 'online', site: 'lab', boot: 1, time: 1, version: '' } as const
    const batch = Array.from({ length: 1_200 }, (_, i) => ({
      kind: 'status' as const,
      message: { ...status, host: `many-${i}`, model: '', source: '' },
    }))
    await running.store.commit(batch, Date.now())
    await page.reload()
    await expectSoon(() => page.locator('#tally-online').textContent(), /^12\d\d$/)
    expect(await page.locator('#hosts-note').textContent()).toMatch(/^200 of 1[.,]?2/)
    expect(await page.locator('.host', { hasText: 'many-1199' }).count()).toBe(0)
    await page.locator('#host-search').fill('MANY-1199')
    await page.locator('.host', { hasText: 'many-1199' }).waitFor()
    expect(await page.locator('.host').count()).toBe(1)
    await page.locator('#host-search').fill('')
    await page.locator('.host').nth(100).waitFor()
  }, 30_000)

  test("shows a host's processes", async () => {
    const origin = { site: 'lab', host: 'web-1', boot: 1, seq: 4 }
    const now = Math.floor(Date.now() / 1000)
    await web1.publish(
      agentTopics('lab', 'web-1').summary,
      encodeSummary({ ...sampleSummary, from: now - 59, to: now }, origin),
    )
    await page.locator('.host', { hasText: 'web-1' }).click()
    await page.locator('.processes li').nth(1).waitFor()
    const words = await page.locator('.processes').textContent()
    expect(words).toContain('12,345 calls, active for 58 s')
    expect(words).toContain('epoll_wait 65 %')
    await page.locator('.close').click()
  }, 60_000)

  test('keeps hostile names as text', async () => {
    const hostile = '<img src=x onerror="document.title=`owned`">'
    const disguised = 'a\u202egnp.exe\nnext\u0007'
    const client = await connectClient(running.brokerUrl, 'odd')
    // Straight as JSON: our own encoder would make it safe already.
    await client.publish(
      'callsign/v1/lab/<b>bold<b>/alert',
      new TextEncoder().encode(
        JSON.stringify({
          v: 1,
          id: '"><script>document.title=`owned`</script>',
          boot: 1,
          seq: 1,
          kind: 'masquerade',
          state: 'open',
          site: 'lab',
          host: '<b>bold<b>',
          time: 1_700_000_000,
          first: 1_700_000_000,
          last: 1_700_000_000,
          count: 1,
          process: { pid: 1, start: 1, name: hostile, exe: `javascript:${hostile}` },
          predicted: { class: disguised, confidence: 1 },
          claimed: { class: hostile, confidence: 0 },
          why: [{ syscall: hostile, seen: 1, expected: 0 }],
          model: hostile,
          technique: 'javascript:alert(1)',
          evidence: { from: 1, to: 2 },
        }),
      ),
    )
    await client.status({ host: 'odd', source: hostile, version: hostile, boot: 1 })
    const row = page.locator('.alert', { hasText: '<img src=x' })
    await row.waitFor()
    await row.click()
    await page.locator('#detail .why').waitFor()
    const shown = await page.locator('#detail').textContent()
    expect(shown).toContain(hostile)
    expect(shown).toContain('a?gnp.exe?next?')
    await page.locator('#detail summary').click()
    expect(await page.locator('#detail pre').textContent()).toContain(
      '"technique": "javascript:alert(1)"',
    )
    const made = await page.evaluate<Record<string, unknown>>(`({
      markup: document.querySelectorAll('img, b, #detail script').length,
      scripts: document.querySelectorAll('a[href^="javascript:"]').length,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    })`)
    expect(made).toEqual({ markup: 0, scripts: 0, overflow: 0 })
    expect(await page.title()).toEndWith('Callsign')
    await page.locator('.close').click()
  }, 60_000)

  test('fits a telephone', async () => {
    await page.setViewportSize({ width: 390, height: 844 })
    const wide = () =>
      page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    expect(await wide()).toBe(0)
    await page.locator('.alert').first().click()
    await page.locator('#detail .why').waitFor()
    expect(await wide()).toBe(0)
    await page.locator('.close').click()
    await page.setViewportSize({ width: 1280, height: 900 })
  }, 60_000)

  test('says that the aggregator is away, and catches up when it is back', async () => {
    const [http, broker] = [new URL(running.url), new URL(running.brokerUrl)]
    await web1.status({ ...sampleStatus })
    await running.close()
    await page.locator('#link[data-state=lost]').waitFor()
    expect(await page.locator('#trouble').textContent()).toContain('does not answer')
    running = await startRunning({
      broker: { kind: 'embedded', host: '127.0.0.1', port: Number(broker.port) },
      http: { host: '127.0.0.1', port: Number(http.port) },
    })
    await page.locator('#link[data-state=live]').waitFor()
    const client = await connectClient(running.brokerUrl, 'web-2')
    await client.alert({ id: 'after' }, 1)
    await page.locator('.alert', { hasText: 'web-2' }).waitFor()
    expect(await page.locator('.alert').count()).toBe(1)
  }, 60_000)

  test('had no fault, and nothing that its own policy forbids', () => {
    expect(
      faults.filter(
        (fault) =>
          !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|ERR_EMPTY/.test(fault),
      ),
    ).toEqual([])
  })
})
