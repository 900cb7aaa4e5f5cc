/**
 * The page in a tab: a header that stays, and below it the view that the address names. A view is
 * asked for and drawn as a whole; when something changed on the server it is drawn again, at most
 * once a second, with focus, scroll and open details where they were. While somebody types into the
 * view it waits.
 */
import { type Counts, get, type Me, wordsOfError } from './api.ts'
import { audit } from './audit-view.ts'
import { element } from './element.ts'
import { type FeedMessage, type Hello, listen } from './feed.ts'
import { fleet } from './fleet-view.ts'
import { host } from './host-view.ts'
import { hosts } from './hosts-view.ts'
import { ageTimes } from './incident-row.ts'
import { incident } from './incident-view.ts'
import { incidents } from './incidents-view.ts'
import { startKeys } from './keys.ts'
import { overview } from './overview-view.ts'
import { program } from './program-view.ts'
import { type Filters, link, type Route, readRoute } from './route.ts'
import { chosenZone, clockTime, setZone } from './times.ts'
import type { Shown, ViewContext } from './view.ts'

const AGAIN_MS = 1_000
/** Without events: mutes end, hosts fall silent. */
const REFRESH_MS = 60_000
const AGE_MS = 5_000
const ZONE_KEY = 'callsign-zone'

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T
const now = (): number => Date.now() / 1_000

let route: Route = readRoute('')
let hello: Hello = { version: '', broker: '' }
let me: Me = { name: null, mayAct: false }
let lostAt: number | undefined
let asked = 0
let isWaiting = false

export function startPage(script: string): void {
  setZone(localStorage.getItem(ZONE_KEY) === 'utc' ? 'utc' : 'local')
  drawZone()
  byId('zone').addEventListener('click', () => {
    setZone(chosenZone() === 'utc' ? 'local' : 'utc')
    localStorage.setItem(ZONE_KEY, chosenZone())
    drawZone()
    void show()
  })
  startKeys()
  addEventListener('hashchange', () => go())
  addEventListener('pageshow', (event) => {
    // From the browser's memory: the stream was given up when the page was left.
    if (event.persisted) location.reload()
  })
  // The skip link leads to an element, not to an address of ours.
  document.querySelector('.skip')?.addEventListener('click', (event) => {
    event.preventDefault()
    byId('main').focus()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => void show())
  listen(hear, script)
  setInterval(() => ageTimes(document, now()), AGE_MS)
  setInterval(() => void show(), REFRESH_MS)
  void get<Me>('me').then((found) => {
    me = found
    byId('login').textContent = found.name ?? ''
    void show()
  })
  go()
}

function go(): void {
  const before = JSON.stringify(route)
  const first = byId('main').childElementCount === 0
  route = readRoute(location.hash)
  const isNew = before !== JSON.stringify(route) || first
  if (isNew && !sameView(JSON.parse(before) as Route, route)) {
    byId('main').replaceChildren(element('p', { class: 'loading', role: 'status' }, 'Loading…'))
    scrollTo({ top: 0 })
  }
  markNavigation()
  void show(!first && !sameView(JSON.parse(before) as Route, route))
}

/** The filters of a list may differ: its search keeps the focus. */
function sameView(a: Route, b: Route): boolean {
  return a.view === b.view && ('filters' in a || JSON.stringify(a) === JSON.stringify(b))
}

/** @param focus the view is another one: a screen reader starts at its heading */
async function show(focus = false): Promise<void> {
  const turn = ++asked
  const main = byId('main')
  main.setAttribute('aria-busy', 'true')
  try {
    const shown = await ask(route)
    if (turn !== asked) return
    draw(shown)
    trouble(undefined)
  } catch (error) {
    if (turn !== asked) return
    const words = wordsOfError(error)
    if (main.querySelector('h1') === null)
      main.replaceChildren(
        element('h1', {}, 'Not available'),
        element('p', { class: 'trouble' }, words),
      )
    else trouble(words)
  }
  main.removeAttribute('aria-busy')
  void drawStatus()
  if (focus) main.focus({ preventScroll: true })
}

function ask(at: Route): Promise<Shown> {
  const context: ViewContext = { now: now(), me, hello, reload: () => void show(), filter }
  switch (at.view) {
    case 'overview':
      return overview(at.filters, context)
    case 'incidents':
      return incidents(at.filters, context)
    case 'incident':
      return incident(at, context)
    case 'hosts':
      return hosts(at.filters, context)
    case 'host':
      return host(at, context)
    case 'program':
      return program(at, context)
    case 'fleet':
      return fleet(at.filters, context)
    case 'audit':
      return audit(at.filters, context)
    case 'unknown':
      return Promise.resolve({
        title: 'Not found',
        parts: [
          element('h1', {}, 'There is no such view'),
          element('p', {}, element('a', { href: link([]) }, 'To the overview')),
        ],
      })
  }
}

function filter(changes: Filters): void {
  // The address may have changed, and its event not have come: then this view is gone.
  if (!('filters' in route) || readRoute(location.hash).view !== route.view) return
  location.hash = link([route.view === 'overview' ? '' : route.view], {
    ...route.filters,
    ...changes,
  })
}

/** Puts a view in place of what was shown; what had the focus or was open has and is again. */
function draw({ title, parts }: Shown): void {
  const main = byId('main')
  const active = document.activeElement
  const key = keyOf(active)
  const typed = active instanceof HTMLInputElement ? active : undefined
  const [value, start, end] = [typed?.value, typed?.selectionStart, typed?.selectionEnd]
  const open = [...main.querySelectorAll<HTMLDetailsElement>('details[open][data-key]')].map(
    ({ dataset }) => dataset.key,
  )
  main.replaceChildren(...parts)
  for (const details of main.querySelectorAll<HTMLDetailsElement>('details[data-key]'))
    details.open = open.includes(details.dataset.key)
  document.title = `${title} · Callsign`
  if (key === undefined) return
  const same = [...main.querySelectorAll<HTMLElement>('[data-key], [data-row]')].find(
    (one) => keyOf(one) === key,
  )
  same?.focus({ preventScroll: true })
  if (!(same instanceof HTMLInputElement) || value === undefined) return
  same.value = value
  same.setSelectionRange(start ?? value.length, end ?? value.length)
}

function keyOf(node: Element | null): string | undefined {
  if (!(node instanceof HTMLElement)) return undefined
  return node.dataset.key ?? node.dataset.row
}

function markNavigation(): void {
  const section = { incident: 'incidents', host: 'hosts', program: 'hosts' }[route.view as string]
  for (const one of document.querySelectorAll<HTMLAnchorElement>('nav a[data-view]'))
    if (one.dataset.view === (section ?? route.view)) one.setAttribute('aria-current', 'page')
    else one.removeAttribute('aria-current')
}

// --- Events ------------------------------------------------------------------------------------------

function hear(message: FeedMessage): void {
  switch (message.kind) {
    case 'hello': {
      // "All addresses" is nothing that an agent could be given: the name that this page has is.
      const broker = message.hello.broker.replace(/0\.0\.0\.0|\[::\]/, location.hostname)
      hello = { ...message.hello, broker }
      const back = lostAt !== undefined
      lostAt = undefined
      if (back || route.view === 'overview') showSoon()
      break
    }
    case 'lost':
      lostAt ??= now()
      break
    default:
      showSoon()
  }
  drawConnection(true)
}

function showSoon(): void {
  if (isWaiting) return
  isWaiting = true
  setTimeout(() => {
    isWaiting = false
    if (isTyping()) showSoon()
    else void show()
  }, AGAIN_MS)
}

/** Into a form of the view: drawing again would take away what was typed. */
function isTyping(): boolean {
  const form = document.activeElement?.closest('.act-form')
  if (form == null) return false
  return [...form.querySelectorAll<HTMLInputElement>('input, textarea')].some(
    ({ value }) => value !== '',
  )
}

// --- The header --------------------------------------------------------------------------------------

async function drawStatus(): Promise<void> {
  const counts = await get<Counts>('counts').catch(() => undefined)
  if (counts === undefined) return
  const { online, offline } = counts.hosts
  byId('tally').textContent =
    `${online} of ${online + offline} hosts online, ${counts.alerts.active} alerts open`
}

function drawConnection(heard: boolean): void {
  const state = lostAt !== undefined ? 'lost' : heard ? 'live' : 'connecting'
  const words = { lost: 'Reconnecting', live: 'Live', connecting: 'Connecting' }[state]
  byId('link').dataset.state = state
  byId('link-words').textContent = words
  trouble(undefined)
}

function trouble(words: string | undefined): void {
  const box = byId('trouble')
  const said =
    lostAt !== undefined
      ? `The aggregator does not answer. What you see is from ${clockTime(lostAt, now())}; this page keeps trying.`
      : (words ?? '')
  box.hidden = said === ''
  if (box.textContent !== said) box.textContent = said
}

function drawZone(): void {
  const utc = chosenZone() === 'utc'
  const button = byId('zone')
  button.textContent = utc ? 'Times: UTC' : 'Times: local'
  button.title = utc ? 'Show local times' : 'Show times in UTC'
}
