/** Metrics of the aggregator in Prometheus' text format. */
import type { Absence } from '../domain/absence.ts'
import { type AddMetric, type MetricSample, metricsText } from '../wire/metrics-text.ts'
import type { CentralStatus } from './central/central.ts'
import type { HostCost, HostCosts } from './host-costs.ts'
import type { HttpCounts } from './http-counts.ts'
import type { Counts, Store } from './store/store.ts'
import type { Subscriber } from './subscriber.ts'

export interface Gauges {
  readonly version: string
  readonly startedMs: number
  /** Undefined where the broker is not our own. */
  readonly broker: { connections: number; inFlightBytes: number; retained: number } | undefined
  readonly brokerUp: boolean
  /** Undefined where this aggregator does not classify. */
  readonly central: CentralStatus | undefined
  /** Undefined where another aggregator looks for absent hosts, or none. */
  readonly absent: Readonly<Record<Absence, number>> | undefined
  readonly eventStreams: number
  readonly http: HttpCounts
}

export async function renderMetrics(
  store: Store,
  subscriber: Subscriber,
  costs: HostCosts,
  gauges: Gauges,
): Promise<string> {
  const [{ hosts }, groups, used] = await Promise.all([
    store.counts(),
    store.alertGroups(),
    store.usage(),
  ])
  return metricsText((add) => {
    add('callsign_aggregator_info', 'gauge', 'Version of the aggregator.', [
      [{ version: gauges.version }, 1],
    ])
    addMessages(add, subscriber, store)
    add(
      'callsign_alerts',
      'gauge',
      'Alerts in the store.',
      groups.map(({ kind, state, count }) => [{ kind, state }, count]),
    )
    addHosts(add, hosts, gauges.absent)
    addStore(add, store, used.bytes)
    add(
      'callsign_broker_up',
      'gauge',
      '1 while the broker is reachable.',
      one(gauges.brokerUp ? 1 : 0),
    )
    addBrokerLoad(add, gauges.broker)
    addCentral(add, gauges.central)
    add('callsign_event_streams', 'gauge', 'Open event streams.', one(gauges.eventStreams))
    addHttp(add, gauges.http)
    addHostCosts(add, costs)
    addProcess(add, gauges.startedMs)
  })
}

const one = (value: number): MetricSample[] => [[{}, value]]

function addMessages(add: AddMetric, subscriber: Subscriber, store: Store): void {
  const counts = subscriber.counts()
  add(
    'callsign_messages_received_total',
    'counter',
    'Valid messages received.',
    Object.entries(counts.received).map(([kind, value]) => [{ kind }, value]),
  )
  add(
    'callsign_messages_refused_total',
    'counter',
    'Messages, packets and connections that were refused, by reason.',
    [...counts.refused].map(([reason, value]) => [{ reason }, value]),
  )
  add(
    'callsign_duplicates_total',
    'counter',
    'Messages that were stored already.',
    one(store.tallies().duplicates),
  )
  add('callsign_receipts_total', 'counter', 'Receipts published.', one(counts.receipts))
  add('callsign_commits_total', 'counter', 'Transactions committed.', one(counts.commits))
  add(
    'callsign_commit_seconds_total',
    'counter',
    'Time spent in transactions.',
    one(counts.commitSeconds),
  )
  add(
    'callsign_commit_failures_total',
    'counter',
    'Transactions that failed; agents send again.',
    one(counts.commitFailures),
  )
  add('callsign_queued_bytes', 'gauge', 'Messages waiting for a commit.', one(counts.queuedBytes))
}

function addProcess(add: AddMetric, startedMs: number): void {
  const usage = process.cpuUsage()
  add('process_start_time_seconds', 'gauge', 'Start time of the aggregator.', one(startedMs / 1000))
  add(
    'process_cpu_seconds_total',
    'counter',
    'CPU time of the aggregator.',
    one((usage.user + usage.system) / 1e6),
  )
  add('process_resident_memory_bytes', 'gauge', 'Resident memory.', one(process.memoryUsage.rss()))
}

function addHosts(add: AddMetric, hosts: Counts['hosts'], absent: Gauges['absent']): void {
  add('callsign_hosts', 'gauge', 'Hosts known, by state.', [
    [{ state: 'online' }, hosts.online],
    [{ state: 'offline' }, hosts.offline],
  ])
  add(
    'callsign_hosts_key_changed',
    'gauge',
    'Hosts of which another key than the accepted one signs, and is refused.',
    one(hosts.keyChanged),
  )
  add(
    'callsign_absences',
    'gauge',
    'Open alerts of absence, by what is missing; told by the aggregator that looks.',
    Object.entries(absent ?? {}).map(([what, value]) => [{ what }, value]),
  )
}

function addStore(add: AddMetric, store: Store, bytes: number): void {
  const { evicted, late } = store.tallies()
  add(
    'callsign_evicted_total',
    'counter',
    'Rows evicted from the store by a limit or by age.',
    Object.entries(evicted).map(([what, value]) => [{ what }, value]),
  )
  add(
    'callsign_summaries_late_total',
    'counter',
    'Summaries that arrived too late for the totals.',
    [[{}, late]],
  )
  add('callsign_store_bytes', 'gauge', 'Size of the store.', [[{}, bytes]])
  add('callsign_store_set_aside_total', 'counter', 'Damaged store files that were renamed.', [
    [{}, store.setAside.length],
  ])
}

function addHttp(add: AddMetric, { refused, actions }: HttpCounts): void {
  add(
    'callsign_http_refused_total',
    'counter',
    'Requests to the page and the API that were refused, by reason.',
    [...refused].map(([reason, value]): MetricSample => [{ reason }, value]),
  )
  add(
    'callsign_actions_total',
    'counter',
    'Actions of operators on incidents.',
    [...actions].map(([action, value]): MetricSample => [{ action }, value]),
  )
}

/** What classifying hosts that send their vectors takes and gives. */
function addCentral(add: AddMetric, central: CentralStatus | undefined): void {
  if (central === undefined) return
  const { hosts, messages, repeats, windows, leftOut, missing, failed } = central
  const prefix = 'callsign_classify'
  add(`${prefix}_hosts`, 'gauge', 'Hosts that are classified here.', [[{}, hosts]])
  add(`${prefix}_messages_total`, 'counter', 'Messages of vectors by what became of them.', [
    [{ result: 'classified' }, messages],
    [{ result: 'repeat' }, repeats],
  ])
  add(`${prefix}_windows_total`, 'counter', 'Windows of classified hosts.', [
    [{ result: 'judged' }, windows],
    [{ result: 'left-out' }, leftOut],
  ])
  add(`${prefix}_missing_seconds_total`, 'counter', 'Seconds of hosts that never arrived.', [
    [{}, missing],
  ])
  add(`${prefix}_failed_total`, 'counter', 'Seconds that could not be classified.', [[{}, failed]])
  add(`${prefix}_waiting_bytes`, 'gauge', 'Vectors waiting to be classified.', [
    [{}, central.waitingBytes],
  ])
  add(`${prefix}_cpu_seconds_total`, 'counter', 'CPU time of classifying.', [
    [{}, central.cpuSeconds],
  ])
}

function addBrokerLoad(add: AddMetric, load: Gauges['broker']): void {
  if (load === undefined) return
  add('callsign_connections', 'gauge', 'Connections of the broker.', one(load.connections))
  add(
    'callsign_in_flight_bytes',
    'gauge',
    'Bytes that the broker has read and not yet settled.',
    one(load.inFlightBytes),
  )
  add(
    'callsign_retained_messages',
    'gauge',
    'Messages that the broker retains.',
    one(load.retained),
  )
}

/** The agents' own cost, by host. */
function addHostCosts(add: AddMetric, costs: HostCosts): void {
  const hostCosts = [...costs.all]
  const ofHosts = (value: (cost: HostCost) => number): MetricSample[] =>
    hostCosts.map((cost) => [{ site: cost.site, host: cost.host }, value(cost)])
  add(
    'callsign_host_agent_cpu_seconds_total',
    'counter',
    'CPU time of the agent and its collector, as summaries tell it.',
    ofHosts((cost) => cost.cpuSeconds),
  )
  add(
    'callsign_host_agent_resident_bytes',
    'gauge',
    'Resident memory of the agent and its collector.',
    ofHosts((cost) => cost.rssBytes),
  )
  add(
    'callsign_host_agent_calls_total',
    'counter',
    'Calls that the agent counted.',
    ofHosts((cost) => cost.calls),
  )
  add(
    'callsign_host_agent_calls_dropped_total',
    'counter',
    'Calls that were lost or dropped before they were counted, by reason.',
    hostCosts.flatMap(({ site, host, dropped }) =>
      [...dropped].map(([reason, value]): MetricSample => [{ site, host, reason }, value]),
    ),
  )
  add(
    'callsign_host_agent_lag_seconds',
    'gauge',
    'How far the agent was behind the clock.',
    ofHosts((cost) => cost.lagMs / 1000),
  )
  add(
    'callsign_host_agent_reduced_seconds_total',
    'counter',
    'Seconds with reduced classification to stay below --cpu-max, by level.',
    hostCosts
      .filter(({ reducedSeconds }) => reducedSeconds.some((seconds) => seconds > 0))
      .flatMap(({ site, host, reducedSeconds }) =>
        reducedSeconds.map(
          (seconds, i): MetricSample => [{ site, host, level: String(i + 1) }, seconds],
        ),
      ),
  )
  add(
    'callsign_host_agent_windows_unjudged_total',
    'counter',
    'Windows skipped by reduced classification.',
    hostCosts
      .filter(({ unjudged }) => unjudged > 0)
      .map(({ site, host, unjudged }): MetricSample => [{ site, host }, unjudged]),
  )
  add(
    'callsign_host_agent_seconds_unjudged_total',
    'counter',
    'Seconds that were counted but not fully classified, by reason.',
    hostCosts.flatMap(({ site, host, secondsUnjudged }) =>
      [...secondsUnjudged].map(([reason, value]): MetricSample => [{ site, host, reason }, value]),
    ),
  )
  add(
    'callsign_host_agent_missed_total',
    'counter',
    'Alerts held by the rate of alerts, windows not judged because calls were lost, and seconds in which a host could not be seen.',
    hostCosts.flatMap(({ site, host, missed }) =>
      [...missed].map(([reason, value]): MetricSample => [{ site, host, reason }, value]),
    ),
  )
  add(
    'callsign_host_agent_alert_hours_max_ratio',
    'gauge',
    'Share of hours that hold an alert by chance, at most, as the hours of the host say.',
    hostCosts.flatMap(({ site, host, guarantee }): MetricSample[] =>
      guarantee?.alertHoursMax === undefined ? [] : [[{ site, host }, guarantee.alertHoursMax]],
    ),
  )
  add(
    'callsign_host_agent_omitted_total',
    'counter',
    'Summaries of hosts beyond the limit of these metrics.',
    [[{}, costs.omitted]],
  )
}
