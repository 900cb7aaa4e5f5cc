/**
 * MQTT topics of agents and aggregators (docs/reference/topics.md):
 * callsign/v1/<site>/<host>/<what>.
 *
 * Site and host come from flags and host names, so they are checked once, at start: a slash, a
 * wildcard or a control character would let one host publish or subscribe as another. The host
 * names `aggregator` and `fleet` are reserved: their topics belong to the aggregator.
 */
import { AgentError } from '../domain/error.ts'
import type { FleetSubject } from '../domain/fleet-state.ts'
import { TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'

export const TOPIC_ROOT = 'callsign/v1'

const RESERVED_HOSTS = new Set(['aggregator', 'fleet'])

/** Documents, and the parts of a model. */
const FLEET_TOPIC = /^(policy|model(-\d{1,3})?)$/

const HOST_TOPICS = [
  'status',
  'alert',
  'summary',
  'vectors',
  'receipt',
  'request',
  'windows',
] as const

export interface AgentTopics {
  readonly status: string
  readonly alert: string
  readonly summary: string
  readonly vectors: string
  readonly receipt: string
  /** What the aggregator asks this host, and the answer. */
  readonly request: string
  readonly windows: string
  readonly aggregatorStatus: string
  readonly fleetPolicy: string
}

export type TopicKind = (typeof HOST_TOPICS)[number]

/** Neither numbered nor receipted. */
type Beside = 'vectors' | 'windows'

export type ParsedTopic =
  | { readonly kind: Exclude<TopicKind, Beside>; readonly site: string; readonly host: string }
  | { readonly kind: 'vectors'; readonly site: string; readonly host: string }
  | { readonly kind: 'windows'; readonly site: string; readonly host: string }
  | { readonly kind: 'aggregator-status' | 'fleet'; readonly site: string }

/** Whether `agentTopics` accepts a text as one level of a topic. */
export function isTopicPart(text: string): boolean {
  return (
    text.length > 0 &&
    text.length <= TOPIC_PART_CHARS_MAX &&
    !/[/+#]/.test(text) &&
    text.isWellFormed() &&
    safeName(text) === text &&
    text.trim() === text
  )
}

export function isHostName(text: string): boolean {
  return isTopicPart(text) && !RESERVED_HOSTS.has(text)
}

export function agentTopics(site: string, host: string): AgentTopics {
  checkSite(site)
  if (!isHostName(host)) {
    throw new AgentError(
      'ERR_CONFIG',
      `Cannot use host "${safeName(host).slice(0, 80)}" in topics: it must be 1 to ${TOPIC_PART_CHARS_MAX} printable characters without "/", "+" and "#", and not "aggregator" or "fleet"`,
      { hint: 'Give another name with --host' },
    )
  }
  const base = `${TOPIC_ROOT}/${site}/${host}`
  return {
    status: `${base}/status`,
    alert: `${base}/alert`,
    summary: `${base}/summary`,
    vectors: `${base}/vectors`,
    receipt: `${base}/receipt`,
    request: `${base}/request`,
    windows: `${base}/windows`,
    aggregatorStatus: aggregatorStatusTopic(site),
    fleetPolicy: fleetTopic(site, 'policy'),
  }
}

export function aggregatorStatusTopic(site: string): string {
  return `${TOPIC_ROOT}/${checkSite(site)}/aggregator/status`
}

export function fleetTopic(site: string, what: FleetSubject): string {
  return `${TOPIC_ROOT}/${checkSite(site)}/fleet/${what}`
}

/** @param part of a model, from 0 */
export function fleetPartTopic(site: string, part: number): string {
  return `${fleetTopic(site, 'model')}-${part}`
}

export function requestTopic(site: string, host: string): string {
  return agentTopics(site, host).request
}

export function receiptTopic(site: string, host: string): string {
  return agentTopics(site, host).receipt
}

/**
 * What an aggregator subscribes to. `site` '+' means every site; `$share` only if the broker
 * supports it.
 */
export function aggregatorFilters(site = '+', shared = false): string[] {
  if (site !== '+') checkSite(site)
  const prefix = shared ? '$share/aggregators/' : ''
  return ['status', 'alert', 'summary', 'windows'].map(
    (kind) => `${prefix}${TOPIC_ROOT}/${site}/+/${kind}`,
  )
}

/** Vectors of all hosts: never shared, for a host's messages belong to one instance. */
export function vectorsFilter(): string {
  return `${TOPIC_ROOT}/+/+/vectors`
}

export function parseTopic(topic: string): ParsedTopic | undefined {
  const parts = topic.split('/')
  if (parts.length !== 5 || `${parts[0]}/${parts[1]}` !== TOPIC_ROOT) return undefined
  const [, , site = '', host = '', kind = ''] = parts
  if (!isTopicPart(site)) return undefined
  if (host === 'aggregator' && kind === 'status') return { kind: 'aggregator-status', site }
  if (host === 'fleet' && FLEET_TOPIC.test(kind)) return { kind: 'fleet', site }
  if (!isHostName(host)) return undefined
  const known = HOST_TOPICS.find((one) => one === kind)
  return known === undefined ? undefined : { kind: known, site, host }
}

function checkSite(site: string): string {
  if (isTopicPart(site)) return site
  throw new AgentError(
    'ERR_CONFIG',
    `Cannot use site "${safeName(site).slice(0, 80)}" in topics: it must be 1 to ${TOPIC_PART_CHARS_MAX} printable characters without "/", "+" and "#"`,
    { hint: 'Give another name with --site' },
  )
}
