/**
 * Assembles the aggregator: store, broker, subscriber, page; started in this order and stopped in
 * reverse, so that received messages are committed and receipted before the end.
 *
 * Killed without warning it loses nothing either: agents keep what was not receipted.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { SITES_MAX, STORE_PAUSE_MS } from '../domain/limits.ts'
import type { Output } from '../outputs/output.ts'
import { Outputs } from '../outputs/outputs.ts'
import type { Clock } from '../platform/clock.ts'
import { openIdentity } from '../platform/identity.ts'
import type { Log } from '../platform/log.ts'
import { SAME_HOST } from '../wire/enrolment-message.ts'
import type { Signer } from '../wire/signed.ts'
import { type AbsenceOptions, type AbsenceParts, AbsenceWatch } from './absence/watch.ts'
import { type Authenticate, readPasswordFile } from './access.ts'
import { takeActions } from './actions.ts'
import { answerGuarantee } from './api-guarantee.ts'
import { Central, type CentralOptions, type CentralParts } from './central/central.ts'
import { type BrokerLink, startEmbedded } from './embedded.ts'
import { Enrolment } from './enrolment.ts'
import { EventHub } from './events.ts'
import { connectExternal, type ExternalOptions } from './external.ts'
import { FleetDocuments, type FleetDocumentsParts } from './fleet-documents.ts'
import { HostCosts } from './host-costs.ts'
import { type HttpServer, startHttp } from './http.ts'
import { HttpCounts } from './http-counts.ts'
import { isLoopback } from './http-guard.ts'
import { renderMetrics } from './metrics.ts'
import { loadPage } from './page.ts'
import { ProgramNames } from './program-names.ts'
import type { ActionRecord } from './store/incident.ts'
import { type OpenedStore, openStore } from './store/open.ts'
import type { Store, StoreChange } from './store/store.ts'
import { Subscriber } from './subscriber.ts'
import { publishWindowRequests } from './window-requests.ts'

export interface Listener {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly passwordFile?: string
  /** In place of a file: set where a program starts an aggregator for its own agents. */
  readonly authenticate?: Authenticate
}

export interface AggregatorOptions {
  /**
   * SQLite file, made if absent; or the address of a PostgreSQL database, which other aggregators
   * may share.
   */
  readonly store: string
  /** How long and how much it keeps, as `--retain` has it. */
  readonly retain?: string
  /** `embedded` is a broker of our own, `external` another program's. */
  readonly broker:
    | ({ readonly kind: 'embedded' } & Listener)
    | ({ readonly kind: 'external' } & ExternalOptions)
  readonly http: Listener
  /** Names under which the page may be asked for, beside addresses and this host's own name. */
  readonly httpNames?: readonly string[]
  /** Listens beyond loopback though every client that reaches it may send for any host, or read. */
  readonly allowAnonymous?: boolean
  /** Refuses what is unsigned, also of hosts that have never signed. */
  readonly requireSignatures?: boolean
  /** Hosts get certificates here, and the embedded broker asks for them. */
  readonly enrol?: boolean
  /** Announced from the start; other sites are announced when they are first heard of. */
  readonly site?: string
  /** Classifies hosts that send their vectors. */
  readonly classify?: CentralOptions
  /** Hosts that are absent are alerts; undefined: they are not. */
  readonly absence?: AbsenceOptions
  /** Where these alerts go beside the store. */
  readonly outputs?: readonly Output[]
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  /** Aborted: stop waiting for a broker that is away. */
  readonly signal?: AbortSignal
}

export interface Aggregator {
  /** As an agent would give it to --broker. */
  readonly brokerUrl: string
  readonly url: string
  /** Its receipts are signed with this key. */
  readonly publicKey: string
  readonly store: Store
  close(): Promise<void>
}

const TIDY_EVERY_MS = 60_000

/**
 * Resolves when both ports answer.
 *
 * @throws AgentError where one cannot be had, or the store cannot be opened
 */
export async function startAggregator(options: AggregatorOptions): Promise<Aggregator> {
  checkOpenDoors(options)
  const opened = await openStore(options.store, {
    log: options.log,
    ...defined({ retain: options.retain, signal: options.signal }),
  })
  tellDamage(opened.store, options.log)
  const letIn = options.enrol === true ? await openEnrolment(options, opened.store) : undefined
  return assemble(letIn?.options ?? options, opened, letIn?.enrolment)
}

async function assemble(
  options: AggregatorOptions,
  opened: OpenedStore,
  enrolment: Enrolment | undefined,
): Promise<Aggregator> {
  const { clock, log, version } = options
  const { store } = opened
  const startedMs = clock.now()
  const page = await loadPage()
  let link: BrokerLink | undefined
  const events = new EventHub({
    hello: () => JSON.stringify({ version, broker: link?.url ?? '' }),
  })
  const costs = new HostCosts()
  const programs = new ProgramNames({ store, clock, log })
  const onChange = programs.hearing((one) => tellChange(one, events, costs, clock.now()))
  const onRefused = (reason: string) => subscriber.refuse(reason)
  const central = centralOf(options, { store, clock, log, onChange, onRefused })
  const vectors = defined({ vectors: central })
  const identity = openIdentity(await store.identity())
  const subscriber = new Subscriber({
    ...{ store, clock, log, signer: identity, onChange, ...vectors },
    requireSignatures: options.requireSignatures === true,
  })
  const counts = new HttpCounts()
  let http: HttpServer | undefined
  let upkeep: Upkeep | undefined
  try {
    // The page first: it works without a broker, and must be there when the first alert is.
    http = startHttp({
      ...httpOptions(options.http),
      names: options.httpNames ?? [],
      api: async (url) =>
        answerGuarantee(url, costs) ?? (await opened.ask(url, clock.now() / 1_000)),
      act: takeActions(store, clock, (record) => tellAction(record, events, counts, log)),
      onRefused: (reason) => counts.refuse(reason),
      ...{ events, page, ...defined({ enrolment }) },
      metrics: () =>
        renderMetrics(store, subscriber, costs, {
          ...{ http: counts, version, startedMs },
          ...{ broker: link?.load(), central: central?.status(), absent: upkeep?.absent() },
          brokerUp: link !== undefined && link.failing() === undefined,
          eventStreams: events.streams,
        }),
      failing: () => link?.failing() ?? subscriber.counts().failing,
    })
    link = await openLink(options, store, subscriber, identity, enrolment)
  } catch (error) {
    await http?.close()
    await enrolment?.close()
    await programs.close()
    events.close()
    await opened.close()
    throw error
  }
  subscriber.connect(link)
  if (enrolment !== undefined) enrolment.broker = brokerForHosts(options, link)
  const [linked, served] = [link, http]
  await announceSites(link, store, options.site)
  upkeep = startUpkeep(options, {
    ...{ store, subscriber, signer: identity, onChange, link: linked },
    follow: (change) => tellChange(change, events, costs, 0),
  })

  return {
    brokerUrl: linked.url,
    url: served.url,
    publicKey: identity.publicKey,
    store,
    async close() {
      await upkeep?.close()
      await programs.close()
      // Accepted messages are committed and receipted; no more are accepted, so that this ends.
      linked.quiesce()
      await subscriber.drain()
      await central?.close()
      await linked.close()
      await subscriber.drain()
      events.close()
      await served.close()
      await enrolment?.close()
      await opened.close()
    },
  }
}

function tellDamage({ setAside }: Store, log: Log): void {
  for (const path of setAside)
    log.error('The store was damaged: renamed, and a new one begun', { path })
}

async function openLink(
  options: AggregatorOptions,
  store: Store,
  subscriber: Subscriber,
  signer: Signer,
  enrolment: Enrolment | undefined,
): Promise<BrokerLink> {
  const { broker, clock, log, version, signal } = options
  if (broker.kind === 'external')
    return connectExternal(
      subscriber,
      { ...broker, ...defined({ signal }) },
      {
        ...{ clock, log, version, signer, sharesStore: store.kind === 'postgres' },
        takesVectors: options.classify !== undefined,
      },
    )
  await store.forgetConnections(clock.now())
  const isRevoked = enrolment && ((serial: string) => enrolment.isRevoked(serial))
  return startEmbedded(subscriber, {
    ...embeddedOptions(options, broker),
    signer,
    ...defined({ isRevoked }),
  })
}

/**
 * Listeners without a certificate get one of the fleet's authority; clients of the embedded broker
 * must have one.
 */
async function openEnrolment(
  options: AggregatorOptions,
  store: Store,
): Promise<{ readonly options: AggregatorOptions; readonly enrolment: Enrolment }> {
  const { broker, http, clock, log, httpNames = [] } = options
  const { publicKey } = openIdentity(await store.identity())
  const enrolment = await Enrolment.open({ store, clock, log, aggregatorKey: publicKey })
  const own = enrolment.serverCertificate(httpNames)
  const page = { ...http, tls: http.tls ?? own }
  if (broker.kind === 'external') return { options: { ...options, http: page }, enrolment }
  const clientCa = [enrolment.authority.certificate, broker.tls?.clientCa ?? ''].join('')
  const tls = { ...(broker.tls ?? own), clientCa }
  return { options: { ...options, http: page, broker: { ...broker, tls } }, enrolment }
}

/** Of our own broker only the port is sure: hosts take the name that they enrolled at. */
function brokerForHosts({ broker }: AggregatorOptions, { url }: BrokerLink): string {
  return broker.kind === 'external' ? broker.url : `mqtts://${SAME_HOST}:${URL.parse(url)?.port}`
}

interface Upkeep {
  /** Open alerts of absence, where this aggregator looks for it. */
  absent(): AbsenceWatch['open']
  close(): Promise<void>
}

/** What is done now and then, whether messages come or not. */
function startUpkeep(
  { absence, outputs: wanted = [], clock, log }: AggregatorOptions,
  {
    store,
    subscriber,
    link,
    follow,
    ...parts
  }: Pick<AbsenceParts, 'store' | 'signer' | 'onChange'> & {
    subscriber: Subscriber
    link: BrokerLink
    follow: (change: StoreChange) => void
  },
): Upkeep {
  const numbering = { boot: 0, nextSeq: 1 }
  const outputs = new Outputs({ site: '', host: '', numbering, clock, log }, wanted)
  const away = () => link.failing() ?? subscriber.counts().failing
  const watch = absence && new AbsenceWatch(absence, { ...parts, store, clock, log, outputs, away })
  const retain: FleetDocumentsParts['retain'] = (topic, payload) => link.retain(topic, payload)
  const documents = new FleetDocuments({ store, clock, log, retain })
  const endRequests = publishWindowRequests({
    ...{ store, clock, log },
    publish: (topic, payload) => link.publish(topic, payload),
  })
  const tidy = setInterval(() => subscriber.tidy(), TIDY_EVERY_MS)
  const following = followOthers(store, clock, follow)
  return {
    absent: () => watch?.open,
    async close() {
      clearInterval(tidy)
      clearInterval(following)
      await watch?.close()
      await documents.close()
      await endRequests()
      await outputs.close()
    },
  }
}

function centralOf({ classify }: AggregatorOptions, parts: CentralParts): Central | undefined {
  return classify === undefined ? undefined : new Central(classify, parts)
}

async function announceSites(link: BrokerLink, store: Store, own: string | undefined) {
  const sites = new Set([...(own === undefined ? [] : [own]), ...(await store.sites())])
  for (const site of [...sites].slice(0, SITES_MAX)) link.announce(site)
}

/** What other aggregators store is shown on this one's pages, too. */
function followOthers(
  store: Store,
  clock: Clock,
  tell: (change: StoreChange) => void,
): ReturnType<typeof setInterval> | undefined {
  if (store.follow === undefined) return undefined
  let asking = false
  return setInterval(async () => {
    if (asking) return
    asking = true
    // A database that is away is told by the commits that fail.
    const changes = await store.follow!(clock.now()).catch(() => [])
    asking = false
    for (const change of changes) tell(change)
  }, STORE_PAUSE_MS)
}

/** What was stored, to those who look on: pages, and the counters of /metrics. */
function tellChange(change: StoreChange, events: EventHub, costs: HostCosts, nowMs: number): void {
  if (change.kind === 'refused') return
  if (change.kind === 'summary') costs.add(change.message, nowMs)
  else if (change.kind === 'alert') events.publish('alert', JSON.stringify(change.message))
  else events.publish('host', JSON.stringify(change.host))
}

/** What an operator did: to the pages that are open, the counters and the log. */
function tellAction(record: ActionRecord, events: EventHub, counts: HttpCounts, log: Log): void {
  const { actor, action, site, host, incident } = record
  counts.took(action)
  events.publish('action', JSON.stringify(record))
  log.info('An operator acted', { actor, action, site, host, incident })
}

function httpOptions(listener: Listener) {
  const { host, port, tls } = listener
  return { host, port, ...defined({ tls }), ...passwords(listener) }
}

function embeddedOptions({ site, clock, version }: AggregatorOptions, listener: Listener) {
  return {
    host: listener.host,
    port: listener.port,
    ...defined({ tls: listener.tls }),
    ...passwords(listener),
    ...defined({ site }),
    clock,
    version,
  }
}

function passwords(listener: Listener) {
  const { passwordFile, authenticate } = listener
  if (passwordFile === undefined) return defined({ authenticate })
  return { authenticate: readPasswordFile(passwordFile) }
}

/**
 * @throws AgentError if anyone could send for hosts or read alerts, unless --allow-anonymous is
 *   given
 */
function checkOpenDoors({ broker, http, log, allowAnonymous, enrol }: AggregatorOptions): void {
  const doors: [string, string, Listener, string][] = [
    ['The page and the API', '--http', http, '--http-password-file'],
    ...(broker.kind === 'embedded'
      ? ([['The broker', '--listen', broker, '--password-file']] as const).map(
          (door): [string, string, Listener, string] => [...door],
        )
      : []),
  ]
  for (const [what, flag, door, passwordFlag] of doors) {
    if (isLoopback(door.host)) continue
    const listen = `${door.host}:${door.port}`
    const isEnrolled = flag === '--listen' && enrol === true
    const proven =
      door.passwordFile ?? door.authenticate ?? door.tls?.clientCa ?? (isEnrolled || undefined)
    if (proven === undefined && allowAnonymous !== true)
      throw new AgentError(
        'ERR_CONFIG',
        `Cannot listen at ${flag} ${listen}: without authentication anyone can connect`,
        {
          hint: `Give ${passwordFlag} FILE${flag === '--listen' ? ' or --tls-client-ca FILE' : ''}; --allow-anonymous is for fully trusted networks`,
        },
      )
    const missing = [
      ...(door.tls === undefined && enrol !== true ? ['without TLS (--tls-cert, --tls-key)'] : []),
      ...(proven === undefined ? [`without a password (${passwordFlag})`] : []),
    ]
    if (missing.length > 0)
      log.warn(`${what} can be reached from other hosts ${missing.join(' and ')}`, { listen })
  }
}
