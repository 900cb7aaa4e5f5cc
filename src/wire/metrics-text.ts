/** Prometheus' text format [exposition format 0.0.4]: what the agent and the aggregator answer. */

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type MetricSample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** Adds one metric with all its samples. */
export type AddMetric = (
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: readonly MetricSample[],
) => void

/** @param fill adds the metrics, in the order in which they are written */
export function metricsText(fill: (add: AddMetric) => void): string {
  const lines: string[] = []
  fill((name, type, help, samples) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`${name}${renderLabels(labels)} ${value}`)
  })
  return `${lines.join('\n')}\n`
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
