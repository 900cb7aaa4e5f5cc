/**
 * The agent's own metrics, from the document that `agent status` shows. Rendered from the latest
 * document when somebody asks, so a listener that nobody reads costs nothing. Names begin with
 * `callsign_agent_`, also for CPU and memory: node_exporter has its own `process_…` beside a
 * textfile.
 */
import { METRICS_FILE_EVERY_MS } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import { log } from '../platform/log.ts'
import { MetricsFile } from '../platform/metrics-file.ts'
import { type MetricsListener, openMetricsListener } from '../platform/metrics-listener.ts'
import {
  type AddMetric,
  METRICS_TYPE,
  type MetricSample,
  metricsText,
} from '../wire/metrics-text.ts'
import type { SightStatus } from './sight.ts'
import type { CommonStatus, SendingStatus, StatusDocument } from './status-document.ts'

export interface MetricsSettings {
  /** HOST:PORT, loopback. */
  readonly metrics: string | undefined
  readonly metricsFile: string | undefined
}

/** What takes each status document; `close` ends it. */
export interface Metrics {
  take(status: StatusDocument | SendingStatus): void
  close(): Promise<void>
}

/** @throws AgentError ERR_CONFIG where the address is in use */
export function openMetrics(
  { metrics: address, metricsFile }: MetricsSettings,
  clock: Clock,
): Metrics {
  let latest: StatusDocument | SendingStatus | undefined
  const text = () => (latest === undefined ? '' : agentMetrics(latest))
  const listener: MetricsListener | undefined =
    address === undefined ? undefined : openMetricsListener(address, METRICS_TYPE, text)
  if (listener !== undefined) log.info('Metrics', { url: listener.url })
  const file = metricsFile === undefined ? undefined : new MetricsFile(metricsFile)
  let writtenAtMs = Number.NEGATIVE_INFINITY
  let told: string | undefined
  return {
    take(status) {
      latest = status
      const now = clock.monotonic()
      if (file === undefined || now - writtenAtMs < METRICS_FILE_EVERY_MS) return
      writtenAtMs = now
      const trouble = file.write(agentMetrics(status))
      if (trouble !== undefined && trouble !== told)
        log.warn('Cannot write the metrics file', { file: metricsFile, reason: trouble })
      told = trouble
    },
    async close() {
      file?.remove()
      await listener?.close()
    },
  }
}

export function agentMetrics(status: StatusDocument | SendingStatus): string {
  return metricsText((add) => {
    addCounting(add, status)
    if ('detection' in status) addDetection(add, status)
    else addVectors(add, status)
    addDelivery(add, status)
    addCost(add, status)
  })
}

const one = (value: number): MetricSample[] => [[{}, value]]
const each = (label: string, counts: Readonly<Record<string, number | undefined>>) =>
  Object.entries(counts).map(([name, value]): MetricSample => [{ [label]: name }, value ?? 0])

function addCounting(add: AddMetric, status: CommonStatus & { readonly model?: string }): void {
  const { site, host, version, source, model = '' } = status
  add('callsign_agent_info', 'gauge', 'Version, source and model of the agent.', [
    [{ site, host, version, source: source.name, model: model.slice(0, 16) }, 1],
  ])
  add(
    'callsign_agent_start_time_seconds',
    'gauge',
    'Start time of the agent.',
    one(status.startedMs / 1000),
  )
  add(
    'callsign_agent_last_second_timestamp_seconds',
    'gauge',
    'The last second that was processed; 0 before the first.',
    one(status.lastFrame),
  )
  add(
    'callsign_agent_lag_seconds',
    'gauge',
    'How far the agent was behind the clock.',
    one(status.lagMs / 1000),
  )
  add(
    'callsign_agent_calls_total',
    'counter',
    'System calls that the source reported.',
    one(status.observed.calls),
  )
  add(
    'callsign_agent_calls_dropped_total',
    'counter',
    'Calls that were lost or dropped before they were counted, by reason.',
    each('reason', status.dropped),
  )
  add('callsign_agent_seconds_total', 'counter', 'Seconds taken.', one(status.observed.frames))
  add(
    'callsign_agent_seconds_unjudged_total',
    'counter',
    'Seconds that were counted but not classified, by reason.',
    each('reason', status.unjudged),
  )
  if (status.sight !== undefined) addSight(add, status.sight)
}

function addSight(add: AddMetric, sight: SightStatus): void {
  add(
    'callsign_agent_seconds_with_losses_total',
    'counter',
    'Seconds in which calls were lost on the whole host.',
    one(sight.lossySeconds),
  )
  add(
    'callsign_agent_processes_unseen_total',
    'counter',
    'Processes that were not seen whole, once a second, by reason.',
    each('reason', sight.unseen),
  )
  add('callsign_agent_windows_last_day', 'gauge', 'Windows of the last 24 hours, by result.', [
    [{ result: 'judged' }, sight.day.windows - sight.day.blind],
    [{ result: 'blind' }, sight.day.blind],
  ])
  add(
    'callsign_agent_blind',
    'gauge',
    '1 while this host cannot be seen (alert agent-blinded).',
    one(sight.blind?.isSure === true ? 1 : 0),
  )
  add(
    'callsign_agent_seconds_blind_total',
    'counter',
    'Seconds in which this host could not be seen.',
    one(sight.blindSeconds),
  )
}

function addDetection(add: AddMetric, { detection, governor, adaptation }: StatusDocument): void {
  const { alerts, undecided, openAlerts = {}, hostLevel } = detection
  add('callsign_agent_windows_judged_total', 'counter', 'Windows judged.', one(detection.judged))
  add(
    'callsign_agent_windows_undecided_total',
    'counter',
    'Windows without a decision, by reason.',
    each('reason', undecided),
  )
  add(
    'callsign_agent_windows_unjudged_total',
    'counter',
    'Windows skipped to stay below --cpu-max, by reason.',
    each('reason', governor.unjudged),
  )
  add(
    'callsign_agent_reduced_seconds_total',
    'counter',
    'Seconds with reduced classification to stay below --cpu-max, by level.',
    governor.reducedSeconds.map((seconds, i) => [{ level: String(i + 1) }, seconds]),
  )
  add('callsign_agent_alerts_total', 'counter', 'Alerts, by what became of them.', [
    [{ result: 'opened' }, alerts.opened],
    [{ result: 'reopened' }, alerts.reopened],
    [{ result: 'merged' }, alerts.merged],
    [{ result: 'held' }, alerts.held],
    [{ result: 'withheld' }, alerts.withheld],
  ])
  add(
    'callsign_agent_alerts_open',
    'gauge',
    'Open alerts, by severity and certainty.',
    (['critical', 'high', 'medium', 'low'] as const).flatMap((severity) =>
      (['confirmed', 'provisional'] as const).map(
        (certainty): MetricSample => [
          { severity, certainty },
          openAlerts[severity]?.[certainty] ?? 0,
        ],
      ),
    ),
  )
  add(
    'callsign_agent_learning',
    'gauge',
    '1 while new programs are learned without an alert.',
    one(detection.learning ? 1 : 0),
  )
  add(
    'callsign_agent_baseline_state',
    'gauge',
    '1 for the state that the baseline of this host is in.',
    [[{ state: detection.memory.state }, 1]],
  )
  add(
    'callsign_agent_baseline_names',
    'gauge',
    'Names in the baseline of this host.',
    one(detection.memory.names),
  )
  add(
    'callsign_agent_known_ratio',
    'gauge',
    'Share of the last windows whose name has a class.',
    one(adaptation.known),
  )
  if (hostLevel.alertHoursMax !== undefined)
    add(
      'callsign_agent_alert_hours_max_ratio',
      'gauge',
      'Share of hours that hold an alert by chance, at most, as the hours of this host say.',
      one(hostLevel.alertHoursMax),
    )
}

function addVectors(add: AddMetric, { vectors }: SendingStatus): void {
  add('callsign_agent_vectors_total', 'counter', 'Seconds of vectors, by what became of them.', [
    [{ result: 'sent' }, vectors.sent],
    [{ result: 'dropped' }, vectors.dropped],
  ])
}

function addDelivery(add: AddMetric, status: StatusDocument | SendingStatus): void {
  add('callsign_agent_messages_total', 'counter', 'Messages, by what became of them.', [
    [{ result: 'created' }, status.created],
    [{ result: 'acknowledged' }, status.acknowledged],
    [{ result: 'merged' }, status.merged],
  ])
  add('callsign_agent_messages_queued', 'gauge', 'Messages that wait.', one(status.queued))
  add(
    'callsign_agent_messages_undelivered_total',
    'counter',
    'Messages that were given up, by reason.',
    each('reason', status.undelivered),
  )
  if (status.publisher !== undefined)
    add(
      'callsign_agent_broker_connected',
      'gauge',
      '1 while the broker is connected.',
      one(status.publisher.connection === 'connected' ? 1 : 0),
    )
  if (!('outputs' in status)) return
  const outputs = Object.entries(status.outputs)
  add(
    'callsign_agent_output_taken_total',
    'counter',
    'Alerts and summaries that an output took.',
    outputs.map(([output, { taken }]) => [{ output }, taken]),
  )
  add(
    'callsign_agent_output_refused_total',
    'counter',
    'Alerts and summaries that an output could not take, by reason.',
    outputs.flatMap(([output, { refused }]) =>
      Object.entries(refused).map(([reason, n]): MetricSample => [{ output, reason }, n]),
    ),
  )
}

function addCost(add: AddMetric, { cost }: CommonStatus): void {
  add(
    'callsign_agent_cpu_seconds_total',
    'counter',
    'CPU time of the agent and its helper processes.',
    one(cost.cpuSeconds),
  )
  add(
    'callsign_agent_resident_bytes',
    'gauge',
    'Resident memory of the agent and its helper processes.',
    one(cost.rssBytes),
  )
}
