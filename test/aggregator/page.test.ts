/** The page in a real browser: what arrives is shown, what operators do is kept, and every view can be read by all. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { type Client, connectClient, type Running, startRunning, until } from './running.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)
const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8')
/** Name, address and what is there when the view is loaded. */
const VIEWS = [
  ['overview', '#/', '.tiles'],
  ['incidents', '#/incidents?show=all', '.row'],
  ['groups', '#/incidents?show=all&group=host', '.row'],
  ['one incident', '#/incident/lab/web-1/live', '.why'],
  ['hosts', '#/hosts', '.row'],
  ['one host', '#/host/lab/web-1', '.table'],
  ['a program', '#/program/nginx', '.table'],
  ['fleet', '#/fleet', '.table, .note'],
  ['audit', '#/audit', '.log, .audit, .empty'],
  ['what is not there', '#/incident/lab/web-1/none', '.trouble'],
  ['no view', '#/nowhere', 'h1'],
] as const

// scripts/test.sh installs chromium; without it there is nothing that could look at the page.
describe.skipIf(executablePath === undefined)('the page', () => {
  const directory = mkdtempSync(join(tmpdir(), 'page-'))
  const passwordFile = join(directory, 'people')
  const credentials = { username: 'anna', password: 'secret' }
  let browser: Browser
  let context: BrowserContext
  let running: Running
  let web1: Client
  let page: Page
  const faults: string[] = []
  const asked = new Set<string>()
  const now = Math.floor(Date.now() / 1000)
  const times = (ago = 0) => {
    const last = now - ago
    return { time: last, first: last - 9, last, evidence: { from: last - 9, to: last } }
  }
  const start = (ports: { broker: number; http: number }) =>
    startRunning({
      broker: { kind: 'embedded', host: '127.0.0.1', port: ports.broker },
      http: { host: '127.0.0.1', port: ports.http, passwordFile },
    })
  const go = async (hash: string, wanted: string) => {
    await page.goto(`${running.url}/${hash}`)
    await page.locator(`main ${wanted}`).first().waitFor()
  }

  beforeAll(async () => {
    writeFileSync(passwordFile, 'anna:secret\n@screen:look\n', { mode: 0o600 })
    running = await start({ broker: 0, http: 0 })
    web1 = await connectClient(running.brokerUrl, 'web-1')
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] })
    context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      httpCredentials: credentials,
      timezoneId: 'Europe/Berlin',
    })
    page = await context.newPage()
    page.setDefaultTimeout(20_000)
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text())
    })
    page.on('request', (request) => asked.add(new URL(request.url()).origin))
    await page.goto(running.url)
    await page.locator('#link[data-state=live]').waitFor()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await running?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('says how to begin while no host has reported', async () => {
    await page.locator('.empty').waitFor()
    const words = await page.locator('.empty').textContent()
    expect(words).toContain('No host has reported yet')
    await until('the address of the broker', async () =>
      ((await page.locator('.empty').textContent()) ?? '').includes(
        `agent watch --broker ${running.brokerUrl}`,
      ),
    )
  }, 30_000)

  test('shows a host and an incident as they come, and the incident in detail', async () => {
    await web1.status()
    await web1.alert({ id: 'live', incident: 'live', ...times() }, 1)
    const row = page.locator('.row', { hasText: 'nginx behaves like a network scan' })
    await row.waitFor()
    expect(await row.textContent()).toContain('High')
    await row.focus()
    await page.keyboard.press('Enter')
    await page.locator('.incident-head h1').waitFor()
    expect(await page.locator('.sentence').textContent()).toMatch(
      /^Process 812 has the name nginx but has behaved like a network scan since \d\d:\d\d:\d\d (CET|GMT\+1)\.$/,
    )
    const why = await page.locator('.why').textContent()
    expect(why).toContain('310 times the usual')
    expect(why).toContain('usual, but missing')
    // A second without the call, one with it, and the call that is usual and was never made.
    const cells = page.locator('.heat tbody tr').first().locator('.cell')
    expect(await cells.allTextContents()).toEqual([
      ...[
        'none',
        'none',
        '1',
        '2',
        'about 5',
        'about 10',
        'about 10',
        'about 19',
        'about 39',
        'about 77',
      ],
    ])
    expect(await page.locator('.heat tbody tr').nth(1).textContent()).toContain('epoll_wait')
    expect(await page.locator('.because').textContent()).toContain('no package owns /tmp/.x/nginx')
    const facts = await page.locator('main').textContent()
    for (const fact of [
      'www-data (uid 33)',
      'systemd (1)',
      '(deleted)',
      '10.0.0.5:4444',
      'agent explain live',
    ])
      expect(facts).toContain(fact)

    // What changes while one looks at it changes before one's eyes.
    await web1.alert({ id: 'more', incident: 'live', severity: 'critical', ...times() }, 2)
    await page.locator('.incident-head[data-severity=critical]').waitFor()
    expect(await page.locator('.incident-head').textContent()).toContain('2 alerts, 2 open')
  }, 60_000)

  test('an operator acknowledges, assigns, notes, mutes and labels; others see it, and who it was', async () => {
    const second = await context.newPage()
    await second.goto(`${running.url}/#/incidents`)
    await second.locator('.row').first().waitFor()
    await page.locator('[data-key=button-acknowledge]').click()
    await page.locator('.incident-head', { hasText: 'Acknowledged' }).waitFor()
    await second.locator('.row', { hasText: 'Acknowledged' }).waitFor()
    await page.locator('[data-key=button-assign]').click()
    await page.locator('[data-key=button-assign]', { hasText: 'Unassign me' }).waitFor()
    await page.locator('details[data-key=note] summary').click()
    await page.locator('details[data-key=note] textarea').fill('<b>Looked</b> at it')
    await page.locator('[data-key=submit-note]').click()
    await page.locator('.log blockquote', { hasText: '<b>Looked</b> at it' }).waitFor()
    await page.locator('details[data-key=label] summary').click()
    await page.locator('details[data-key=label] input').fill('bad')
    await page.locator('[data-key=submit-label]').click()
    await page.locator('.log', { hasText: 'labelled it "bad"' }).waitFor()
    await page.locator('details[data-key=mute] summary').click()
    await page.locator('[data-key=submit-mute]').click()
    await page.locator('.incident-head', { hasText: 'Muted' }).waitFor()
    await second.locator('.empty', { hasText: 'Nothing needs attention' }).waitFor()
    await page.locator('[data-key=button-unmute]').click()
    await second.locator('.row').first().waitFor()
    await second.close()
    await go('#/audit', '.audit')
    const audit = await page.locator('main').textContent()
    expect(audit).toContain('anna acknowledged it')
    expect(audit).toContain('anna muted it until')
  }, 60_000)

  test('a reader is told that they cannot act', async () => {
    const other = await browser.newContext({
      httpCredentials: { username: '@screen', password: 'look' },
    })
    const reader = await other.newPage()
    await reader.goto(`${running.url}/#/incident/lab/web-1/live`)
    await reader.locator('.incident-head').waitFor()
    await reader.locator('.note', { hasText: '@screen may read and change nothing' }).waitFor()
    expect(await reader.locator('[data-key=button-acknowledge]').count()).toBe(0)
    await other.close()
  }, 60_000)

  test('filters, searches and groups, and keeps that in the address', async () => {
    await web1.alert(
      {
        id: 'new',
        incident: 'new',
        kind: 'novelty',
        severity: 'low',
        claimed: { class: '', confidence: 0 },
        ...times(4_000),
      },
      3,
    )
    await web1.alert({ id: 'old', incident: 'old', state: 'closed', ...times(90_000) }, 4)
    await go('#/incidents?show=all', '.row >> nth=2')
    await page.locator('select[name=severity]').selectOption('low')
    await until('one row', async () => (await page.locator('.row').count()) === 1)
    expect(page.url()).toContain('severity=low')
    await page.locator('select[name=severity]').selectOption('')
    await page.locator('select[name=range]').selectOption('24h')
    await until('two rows', async () => (await page.locator('.row').count()) === 2)
    await page.keyboard.press('Escape')
    await page.locator('.toolbar input').pressSequentially('web-1 /TMP/.x', { delay: 5 })
    await until('the search', async () => page.url().includes('q=web-1'))
    expect(await page.evaluate('document.activeElement.name')).toBe('q')
    await page.locator('.toolbar input').fill('no such thing')
    await page.locator('.empty', { hasText: 'No incident matches' }).waitFor()
    await page.locator('.empty a').click()
    await page.locator('.row').first().waitFor()
    await page.locator('select[name=group]').selectOption('host')
    await page
      .locator('.row', { hasText: '1 incidents, 1 open' })
      .or(page.locator('.row', { hasText: 'incidents' }))
      .first()
      .waitFor()
    await page.goBack()
  }, 60_000)

  test('is used by keys: rows, search, help', async () => {
    await go('#/incidents?show=all', '.row >> nth=2')
    const rowAt = () => page.evaluate<string>('document.activeElement.dataset.row ?? ""')
    await page.keyboard.press('j')
    const first = await rowAt()
    expect(first).toBe('lab/web-1/live')
    await page.keyboard.press('j')
    expect(await rowAt()).not.toBe(first)
    await page.keyboard.press('k')
    expect(await rowAt()).toBe(first)
    // A row that has the focus keeps it when the list is drawn again.
    await web1.alert({ id: 'live', incident: 'live', state: 'update', count: 9, ...times() }, 5)
    await page.waitForTimeout(1_500)
    expect(await rowAt()).toBe(first)
    await page.keyboard.press('/')
    expect(await page.evaluate('document.activeElement.type')).toBe('search')
    await page.keyboard.press('j')
    expect(await page.locator('.toolbar input').inputValue()).toBe('j')
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.locator('#help[open]').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('#help[open]').waitFor({ state: 'detached' })
  }, 60_000)

  test('shows times in UTC where that is wanted, always with their zone', async () => {
    await go('#/incident/lab/web-1/live', '.sentence')
    const sentence = () => page.locator('.sentence').textContent()
    expect(await sentence()).toMatch(/(CET|GMT\+1)\.$/)
    await page.locator('#zone').click()
    await until('UTC', async () => /UTC\.$/.test((await sentence()) ?? ''))
    await page.reload()
    await page.locator('.sentence').waitFor()
    expect(await sentence()).toMatch(/UTC\.$/)
    await page.locator('#zone').click()
  }, 60_000)

  test("shows a host's processes, what they behave like, its ledger and its charts", async () => {
    const hour = 3_600
    for (let i = 3; i >= 0; i--) {
      const to = now - i * hour
      await web1.publish(
        agentTopics('lab', 'web-1').summary,
        encodeSummary(
          {
            ...sampleSummary,
            from: to - 59,
            to,
            processes: [
              ...sampleSummary.processes,
              {
                pid: 9,
                start: 1,
                name: 'ls',
                active: 2,
                calls: 40,
                class: 'linpeas',
                confidence: 0.43,
                top: [[0, 40]],
              },
            ],
          },
          { site: 'lab', host: 'web-1', boot: 1, seq: 10 - i },
        ),
      )
    }
    await go('#/host/lab/web-1', '.table')
    await until('the charts', async () => (await page.locator('.plot canvas').count()) === 3)
    const words = (await page.locator('main').textContent()) ?? ''
    expect(words).toContain('epoll_wait 65 %')
    expect(words).toContain('2 late, 10 lost(sysdig)')
    expect(words).toContain(
      'at most 2.4 % of hours hold an alert by chance, from 40 ordinary hours',
    )
    // Below the floor a class is no accusation: it is not said.
    expect(words).not.toContain('linpeas')
    expect(await page.locator('.table tr', { hasText: 'pid 9' }).textContent()).toContain(
      'not known',
    )
    await go('#/', '.guarantee')
    expect(await page.locator('.guarantee').textContent()).toContain(
      'at most 0.6 hours a day hold an alert, over 1 host',
    )
    await go('#/host/lab/web-1', '.table')
    await page.locator('.table a', { hasText: 'nginx' }).click()
    await page.locator('h1', { hasText: 'nginx' }).waitFor()
    expect(await page.locator('.table').textContent()).toContain('web-1')
  }, 60_000)

  test('keeps hostile names as text, and marks those that deceive', async () => {
    const hostile = '<img src=x onerror="document.title=`owned`">'
    const { behaviour: _, ...plain } = sampleAlert
    const send = (host: string, id: string, name: string) =>
      // Straight as JSON: our own encoder would make it safe already.
      web1.publish(
        `callsign/v1/lab/${host}/alert`,
        new TextEncoder().encode(
          JSON.stringify({
            ...{ ...plain, v: 1, id, incident: id, boot: 1, seq: 1, site: 'lab', host, ...times() },
            ...{ process: { pid: 1, start: 1, name, exe: `javascript:${name}` } },
            ...{ predicted: { class: 'a\u202egnp.exe\nnext\u0007', confidence: 1 } },
            ...{ why: [{ syscall: hostile, seen: 1, expected: 0 }], model: hostile },
            ...{ technique: 'javascript:alert(1)', because: [hostile], peers: [hostile] },
          }),
        ),
      )
    await send('<b>bold<b>', '"><script>document.title=`owned`</script>', hostile)
    await send('db-primary.a-very-long-name.of-a-site.example.net', 'odd', '\u0430pache2')
    await send('db-primary.a-very-long-name.of-a-site.example.net', 'tags', 'ssh\u{e0041}d')
    await go('#/incidents', '.row >> text=<img src=x')
    await page.locator('.odd', { hasText: 'Latin and Cyrillic letters' }).waitFor()
    expect(await page.locator('.hidden-char').first().textContent()).toBe('U+E0041')
    await page.locator('.row', { hasText: '<img src=x' }).click()
    await page.locator('.why').waitFor()
    const shown = (await page.locator('main').textContent()) ?? ''
    expect(shown).toContain(hostile)
    expect(shown).toContain('a?gnp.exe?next?')
    const made = await page.evaluate<Record<string, unknown>>(`({
      markup: document.querySelectorAll('img, b, main script').length,
      scripts: document.querySelectorAll('a[href^="javascript:"]').length,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    })`)
    expect(made).toEqual({ markup: 0, scripts: 0, overflow: 0 })
    expect(await page.title()).toEndWith('Callsign')
  }, 60_000)

  for (const [mode, options] of [
    ['light', { colorScheme: 'light', viewport: { width: 1280, height: 900 } }],
    ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 900 } }],
    ['narrow', { colorScheme: 'light', viewport: { width: 360, height: 740 } }],
  ] as const)
    test(`every view passes axe-core: ${mode}`, async () => {
      // Our policy allows no inline script; the checker is one.
      const checked = await browser.newContext({
        ...options,
        httpCredentials: credentials,
        bypassCSP: true,
      })
      const looking = await checked.newPage()
      const found: string[] = []
      for (const [name, hash, wanted] of VIEWS) {
        await looking.goto(`${running.url}/${hash}`)
        await looking.locator(`main ${wanted}`).first().waitFor()
        for (const details of await looking.locator('details').all())
          await details.evaluate((one) => one.setAttribute('open', ''))
        await looking.evaluate(AXE)
        const { violations } = await looking.evaluate<{
          violations: { id: string; nodes: { html: string }[] }[]
        }>('axe.run(document, { resultTypes: ["violations"] })')
        for (const { id, nodes } of violations) found.push(`${name}: ${id} ${nodes[0]?.html}`)
        const wide = await looking.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        if (wide > 0) found.push(`${name}: ${wide} px too wide`)
      }
      expect(found).toEqual([])
      await checked.close()
    }, 120_000)

  test('has one event stream for all tabs', async () => {
    const tabs = await Promise.all(Array.from({ length: 7 }, () => context.newPage()))
    await Promise.all(tabs.map((tab) => tab.goto(`${running.url}/#/incidents`)))
    for (const tab of tabs) await tab.locator('#link[data-state=live]').waitFor()
    const headers = { authorization: `Basic ${btoa('anna:secret')}` }
    // Streams of contexts that were closed end with the next sign of life.
    await until(
      'one stream',
      async () =>
        (await (await running.get('/metrics', { headers })).text()).includes(
          '\ncallsign_event_streams 1\n',
        ),
      30_000,
    )
    await web1.alert({ id: 'to-all', incident: 'to-all', ...times() }, 20)
    for (const tab of tabs) await tab.locator('[data-row="lab/web-1/to-all"]').waitFor()
    await Promise.all(tabs.map((tab) => tab.close()))
  }, 60_000)

  test('weighs at most 200 kB, and asks nobody but its own server', async () => {
    const files = new Set<string>()
    let bytes = 0
    const fresh = await browser.newContext({ httpCredentials: credentials })
    const first = await fresh.newPage()
    first.on('response', async (response) => {
      const { pathname } = new URL(response.url())
      if (pathname.startsWith('/api/') || files.has(pathname)) return
      files.add(pathname)
      bytes += (await response.body().catch(() => Buffer.alloc(0))).length
    })
    await first.goto(running.url)
    await first.locator('.tiles').waitFor()
    expect(files.size).toBe(3)
    expect(bytes).toBeGreaterThan(50_000)
    expect(bytes).toBeLessThanOrEqual(200_000)
    await fresh.close()
    expect([...asked]).toEqual([new URL(running.url).origin])
  }, 60_000)

  test('says that the aggregator is away, and catches up when it is back', async () => {
    await go('#/incidents', '.row')
    const ports = {
      http: Number(new URL(running.url).port),
      broker: Number(new URL(running.brokerUrl).port),
    }
    await running.close()
    await page.locator('#link[data-state=lost]').waitFor()
    expect(await page.locator('#trouble').textContent()).toContain('does not answer')
    running = await start(ports)
    await page.locator('#link[data-state=live]').waitFor()
    const client = await connectClient(running.brokerUrl, 'web-2')
    await client.alert({ id: 'after', incident: 'after', ...times() }, 1)
    await page.locator('.row', { hasText: 'web-2' }).waitFor()
    expect(await page.locator('.row').count()).toBe(1)
    expect(await page.locator('#trouble').isHidden()).toBe(true)
  }, 60_000)

  test('had no fault, and nothing that its own policy forbids', () => {
    const expected = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|ERR_EMPTY|404/
    expect(faults.filter((fault) => !expected.test(fault))).toEqual([])
  })
})
