/**
 * The aggregator's page: hosts, alerts as they come, one of them in detail.
 *
 * What is shown is kept in the address (`#kind=…&alert=…`), so that it can be sent to a colleague
 * and the back button works. Events change what is loaded; after an interruption everything is
 * asked for anew. All drawing happens once a frame, however many events come.
 */
import { detailOf as alertDetail, fillRow } from './alert-view.ts'
import {
  type AlertDetail,
  ApiError,
  type Counts,
  get,
  type Host,
  type HostAlert,
  type HostProcesses,
  listen,
  type Page,
} from './api.ts'
import { arrange, element, name } from './element.ts'
import { fillHost, detailOf as hostDetail, hostKey } from './host-view.ts'
import { amount, clockTime, headline, KIND_LABEL, relativeTime } from './words.ts'

const PAGE_ROWS = 100
const ROWS_MAX = 2_000
/** Hosts are listed up to here, those that need attention first; a search finds the others. */
const HOSTS_ROWS = 200
const HOSTS_AGAIN_MS = 2_000
const SEARCH_AFTER_MS = 150
const SUMMARY_AGAIN_MS = 15_000
/** Below this many hosts a search box is only in the way. */
const SEARCH_FROM = 12

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T
const page = {
  layout: byId('layout'),
  hosts: byId<HTMLUListElement>('hosts'),
  hostsNote: byId('hosts-note'),
  search: byId<HTMLInputElement>('host-search'),
  alerts: byId<HTMLOListElement>('alerts'),
  empty: byId('empty'),
  trouble: byId('trouble'),
  older: byId<HTMLButtonElement>('older'),
  detail: byId('detail'),
  filters: byId<HTMLFormElement>('filters'),
  link: byId('link'),
  linkWords: byId('link-words'),
  announcer: byId('announcer'),
  main: byId('main'),
  online: byId('tally-online'),
  offline: byId('tally-offline'),
  active: byId('tally-active'),
}

const alerts = new Map<string, HostAlert>()
const hosts = new Map<string, Host>()
const rows = new Map<string, { item: HTMLLIElement; link: HTMLAnchorElement; shown?: HostAlert }>()
const hostRows = new Map<string, { item: HTMLLIElement; link: HTMLAnchorElement }>()
/** Alerts as the API orders them: active ones first, then by last change. */
let order: string[] = []
let next: string | null = null
let moreHosts = false
let counts: Counts = { hosts: { online: 0, offline: 0 }, alerts: { active: 0, total: 0 } }
let loaded = false
let trouble: string | undefined
let lostAt: number | undefined
let hello = { version: '', broker: '' }
let address = readAddress()
let drawing = false

// --- The address ---------------------------------------------------------------------------------

interface Address {
  readonly kind: string
  readonly state: string
  /** site/host */
  readonly host: string
  /** Key of the alert in detail. */
  readonly alert: string
  /** site/host of the host in detail. */
  readonly show: string
}

function readAddress(): Address {
  const given = new URLSearchParams(location.hash.slice(1))
  const read = (key: string): string => given.get(key) ?? ''
  return {
    kind: read('kind'),
    state: read('state'),
    host: read('host'),
    alert: read('alert'),
    show: read('show'),
  }
}

function addressOf(changes: Partial<Address>): string {
  const wanted = Object.entries({ ...address, ...changes }).filter(([, value]) => value !== '')
  return `#${new URLSearchParams(wanted)}`
}

function filterQuery(): Record<string, string> {
  const [site = '', host = ''] = address.host.split('/')
  return {
    ...(address.kind === '' ? {} : { kind: address.kind }),
    ...(address.state === '' ? {} : { state: address.state }),
    ...(address.host === '' ? {} : { site, host }),
  }
}

function passesFilter(alert: HostAlert): boolean {
  return (
    (address.kind === '' || address.kind.split(',').includes(alert.kind)) &&
    (address.state === '' || address.state.split(',').includes(alert.state)) &&
    (address.host === '' || address.host === hostKey(alert))
  )
}

// --- Loading -------------------------------------------------------------------------------------

const alertKey = (alert: HostAlert): string => `${hostKey(alert)}/${alert.id}`
let asked = 0

async function loadAlerts(more = false): Promise<void> {
  const turn = ++asked
  try {
    const found = await get<Page<HostAlert>>('alerts', {
      ...filterQuery(),
      limit: String(PAGE_ROWS),
      ...(more && next !== null ? { after: next } : {}),
    })
    if (turn !== asked) return
    if (!more) {
      alerts.clear()
      order = []
    }
    for (const alert of found.items) {
      const key = alertKey(alert)
      if (!alerts.has(key)) order.push(key)
      alerts.set(key, alert)
    }
    next = found.next
    loaded = true
    trouble = undefined
  } catch (error) {
    if (turn !== asked) return
    trouble = wordsOf(error)
  }
  draw()
}

let hostsTurn = 0
async function loadHosts(): Promise<void> {
  const turn = ++hostsTurn
  const search = page.search.value.trim()
  try {
    const [found, counted] = await Promise.all([
      get<Page<Host>>('hosts', {
        limit: String(HOSTS_ROWS),
        order: 'attention',
        ...(search === '' ? {} : { search }),
      }),
      get<Counts>('counts'),
    ])
    if (turn !== hostsTurn) return
    hosts.clear()
    for (const host of found.items) hosts.set(hostKey(host), host)
    moreHosts = found.next !== null
    counts = counted
  } catch {
    // The alerts say what the trouble is.
  }
  draw()
}

let hostsSoon: ReturnType<typeof setTimeout> | undefined
function loadHostsSoon(): void {
  if (hostsSoon !== undefined) return
  hostsSoon = setTimeout(() => {
    hostsSoon = undefined
    void loadHosts()
  }, HOSTS_AGAIN_MS)
}

let detailTurn = 0
async function loadDetail(): Promise<void> {
  const turn = ++detailTurn
  const { alert, show } = address
  if (alert === '' && show === '') return showDetail(undefined)
  try {
    const parts = alert !== '' ? await askAlert(alert) : await askHost(show)
    if (turn === detailTurn) showDetail(parts)
  } catch (error) {
    if (turn !== detailTurn) return
    const missing = error instanceof ApiError && error.status === 404
    showDetail([element('p', { class: 'trouble' }, missing ? 'Not in the store.' : wordsOf(error))])
  }
}

async function askAlert(key: string): Promise<HTMLElement[]> {
  const [site = '', host = '', ...id] = key.split('/')
  const path = `alerts/${encodeURIComponent(id.join('/'))}`
  return alertDetail(await get<AlertDetail>(path, { site, host }), now())
}

async function askHost(key: string): Promise<HTMLElement[]> {
  const [site = '', host = ''] = key.split('/')
  const path = `hosts/${encodeURIComponent(host)}/processes`
  return hostDetail(await get<HostProcesses>(path, { site }), now())
}

function wordsOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'The aggregator does not answer.'
}

// --- Drawing -------------------------------------------------------------------------------------

const now = (): number => Date.now() / 1_000

function draw(): void {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    drawAlerts()
    drawHosts()
    drawFilters()
    drawTallies()
    drawTrouble()
  })
}

function drawAlerts(): void {
  order = order.filter((key) => alerts.has(key))
  for (const key of order.splice(ROWS_MAX)) alerts.delete(key)
  const wanted = order.map((key) => {
    const alert = alerts.get(key)!
    let row = rows.get(key)
    if (row === undefined) {
      const link = element('a', { class: 'alert' })
      row = { link, item: element('li', {}, link) }
      rows.set(key, row)
    }
    if (row.shown !== alert) {
      fillRow(row.link, alert, now())
      row.shown = alert
    }
    row.link.href = addressOf({ alert: key, show: '' })
    if (key === address.alert) row.link.setAttribute('aria-current', 'true')
    else row.link.removeAttribute('aria-current')
    return row.item
  })
  arrange(page.alerts, wanted)
  for (const key of rows.keys()) if (!alerts.has(key)) rows.delete(key)
  page.alerts.hidden = wanted.length === 0
  page.older.hidden = next === null || order.length >= ROWS_MAX
  drawEmpty(wanted.length)
}

function drawEmpty(shown: number): void {
  page.empty.hidden = !loaded || shown > 0
  if (page.empty.hidden) return
  const filtered = address.kind !== '' || address.state !== '' || address.host !== ''
  if (filtered)
    page.empty.replaceChildren(
      element('p', {}, 'No alert matches the filter.'),
      element(
        'p',
        {},
        element('a', { href: addressOf({ kind: '', state: '', host: '' }) }, 'Show all'),
      ),
    )
  else if (hostCount() === 0)
    page.empty.replaceChildren(
      element('p', {}, 'No host has reported yet. On each host, run:'),
      element(
        'pre',
        { tabindex: '0' },
        `agent watch --broker ${hello.broker || 'mqtt://HOST:PORT'}`,
      ),
    )
  else
    page.empty.replaceChildren(element('p', {}, 'No alerts. Every process behaves like its name.'))
}

const hostCount = (): number => counts.hosts.online + counts.hosts.offline

function drawHosts(): void {
  const search = page.search.value.trim()
  const wanted = [...hosts].map(([key, host]) => {
    let row = hostRows.get(key)
    if (row === undefined) {
      const link = element('a', { class: 'host' })
      row = { link, item: element('li', {}, link) }
      hostRows.set(key, row)
    }
    fillHost(row.link, host, now())
    row.link.href = addressOf({ show: key, alert: '' })
    if (key === address.show) row.link.setAttribute('aria-current', 'true')
    else row.link.removeAttribute('aria-current')
    return row.item
  })
  arrange(page.hosts, wanted)
  for (const key of hostRows.keys()) if (!hosts.has(key)) hostRows.delete(key)
  page.search.hidden = hostCount() < SEARCH_FROM && search === ''
  const note = moreHosts
    ? `${wanted.length} of ${search === '' ? amount(hostCount()) : 'those found'} are listed. Search to find others.`
    : wanted.length > 0
      ? ''
      : search === ''
        ? 'None yet.'
        : 'No host of that name.'
  page.hostsNote.textContent = note
  page.hostsNote.hidden = note === ''
}

function drawFilters(): void {
  const { kind, state, host } = page.filters.elements as unknown as Record<
    string,
    HTMLSelectElement
  >
  const keys = [
    ...new Set([...hosts.keys(), ...(address.host === '' ? [] : [address.host])]),
  ].sort()
  const present = Array.from(host!.options, (option) => option.value).slice(1)
  if (keys.join('\n') !== present.join('\n')) {
    const sites = new Set(keys.map((key) => key.split('/')[0]))
    host!.replaceChildren(
      element('option', { value: '' }, 'All hosts'),
      ...keys.map((key) =>
        element('option', { value: key }, sites.size > 1 ? key : (key.split('/')[1] ?? key)),
      ),
    )
  }
  kind!.value = address.kind
  state!.value = address.state
  host!.value = address.host
}

function drawTallies(): void {
  const { active } = counts.alerts
  page.online.textContent = String(counts.hosts.online)
  page.offline.textContent = String(counts.hosts.offline)
  page.active.textContent = String(active)
  page.active.dataset.some = String(active > 0)
  document.title = active > 0 ? `(${active}) Callsign` : 'Callsign'
}

function drawTrouble(): void {
  const words =
    lostAt !== undefined && loaded
      ? `The aggregator does not answer. What you see is from ${clockTime(lostAt, now())}; this page keeps trying.`
      : trouble
  page.trouble.hidden = words === undefined
  if (page.trouble.textContent !== (words ?? '')) page.trouble.textContent = words ?? ''
  page.link.dataset.state = lostAt === undefined ? (loaded ? 'live' : 'connecting') : 'lost'
  page.linkWords.textContent =
    lostAt === undefined ? (loaded ? 'Live' : 'Connecting') : 'Reconnecting'
}

/** @param parts undefined closes it */
function showDetail(parts: HTMLElement[] | undefined): void {
  const open = parts !== undefined
  const was = page.detail.dataset.of
  const is = address.alert || address.show
  page.detail.hidden = !open
  page.layout.dataset.detail = String(open)
  if (!open) {
    page.detail.replaceChildren()
    delete page.detail.dataset.of
    // Back to where one came from.
    if (was !== undefined) (rows.get(was) ?? hostRows.get(was))?.link.focus({ preventScroll: true })
    return
  }
  const kind = alerts.get(address.alert)?.kind ?? ''
  page.detail.dataset.kind = kind
  const opened = page.detail.querySelector('details')?.open === true && was === is
  const close = element('a', { class: 'close', href: addressOf({ alert: '', show: '' }) }, 'Close')
  page.detail.replaceChildren(close, ...parts)
  const raw = page.detail.querySelector('details')
  if (opened && raw !== null) raw.open = true
  const mark = page.detail.querySelector<HTMLElement>('.tags .mark')
  if (mark?.dataset.kind !== undefined) page.detail.dataset.kind = mark.dataset.kind
  if (was === is) return
  page.detail.dataset.of = is
  page.detail.scrollTop = 0
  page.detail.focus({ preventScroll: true })
  if (matchMedia('(max-width: 60rem)').matches) scrollTo({ top: 0 })
}

// --- What happens --------------------------------------------------------------------------------

addEventListener('hashchange', () => {
  const before = address
  address = readAddress()
  const filtered =
    before.kind !== address.kind || before.state !== address.state || before.host !== address.host
  if (filtered) void loadAlerts()
  void loadDetail()
  draw()
})
page.filters.addEventListener('change', () => {
  const given = new FormData(page.filters)
  const value = (key: string): string => String(given.get(key) ?? '')
  location.hash = addressOf({ kind: value('kind'), state: value('state'), host: value('host') })
})
page.filters.addEventListener('submit', (event) => event.preventDefault())
let searchSoon: ReturnType<typeof setTimeout> | undefined
page.search.addEventListener('input', () => {
  clearTimeout(searchSoon)
  searchSoon = setTimeout(() => void loadHosts(), SEARCH_AFTER_MS)
})
page.older.addEventListener('click', () => void loadAlerts(true))
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && (address.alert !== '' || address.show !== ''))
    location.hash = addressOf({ alert: '', show: '' })
})
// The skip link leads to an element, not to an address of ours.
document.querySelector('.skip')?.addEventListener('click', (event) => {
  event.preventDefault()
  page.main.focus()
})

listen({
  connected(greeting) {
    // "All addresses" is nothing that an agent could be given: the name that this page was asked
    // under is.
    const broker = greeting.broker.replace(/0\.0\.0\.0|\[::\]/, location.hostname)
    hello = { ...greeting, broker }
    lostAt = undefined
    draw()
  },
  reset() {
    lostAt = undefined
    void loadAlerts()
    void loadHosts()
    void loadDetail()
  },
  lost() {
    lostAt ??= now()
    draw()
  },
  alert(alert) {
    const key = alertKey(alert)
    const known = alerts.has(key)
    if (passesFilter(alert) && place(key, alert)) alerts.set(key, alert)
    else alerts.delete(key)
    if (!known && alert.state === 'open') announce(alert)
    if (key === address.alert) void loadDetail()
    loadHostsSoon()
    draw()
  },
  host(host) {
    const key = hostKey(host)
    const known = hosts.get(key)
    if (known !== undefined) hosts.set(key, { ...known, ...host })
    loadHostsSoon()
    draw()
  },
})

/**
 * Puts an alert that has just changed where the API would list it. @returns false where that is not
 * loaded yet
 */
function place(key: string, alert: HostAlert): boolean {
  order = order.filter((other) => other !== key)
  const closed = order.findIndex((other) => alerts.get(other)?.state === 'closed')
  if (alert.state !== 'closed') order.unshift(key)
  else if (closed >= 0) order.splice(closed, 0, key)
  else if (next === null) order.push(key)
  else return false
  return true
}

function announce(alert: HostAlert): void {
  const words = headline(alert).map((part) => (typeof part === 'string' ? part : part.name))
  page.announcer.replaceChildren(
    `${KIND_LABEL[alert.kind]} on `,
    name(alert.host),
    `: ${words.join('')}`,
  )
}

// Times that are told in relation to now grow old by themselves.
setInterval(() => {
  const at = now()
  for (const one of document.querySelectorAll<HTMLElement>('time[data-at]'))
    one.textContent = relativeTime(Number(one.dataset.at), at)
  drawHosts()
}, 5_000)
setInterval(() => {
  if (address.show !== '' && !document.hidden) void loadDetail()
}, SUMMARY_AGAIN_MS)
setInterval(() => void loadHosts(), 60_000)

void loadAlerts()
void loadHosts()
void loadDetail()
