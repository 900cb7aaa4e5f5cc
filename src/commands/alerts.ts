/**
 * `agent alerts`: the alerts of this host, newest first, as its local store keeps them; `--follow`
 * goes on as they come.
 */
import { defineCommand } from 'citty'
import type { Alert, AlertKind, AlertState } from '../domain/alert.ts'
import { compareSeverity, SEVERITIES, type Severity } from '../domain/behaviour.ts'
import { AgentError } from '../domain/error.ts'
import { ALERTS_FOLLOW_EVERY_MS } from '../domain/limits.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { alertLines, sentence, who, windows } from '../outputs/alert-words.ts'
import { loadSettings } from '../settings/settings.ts'
import {
  columns,
  jsonArg,
  note,
  paintFor,
  safeText,
  settingArgs,
  shutdownSignal,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'
import { secondOf } from './when.ts'

const KINDS: readonly AlertKind[] = ['novelty', 'non-grata', 'masquerade']

export default defineCommand({
  meta: {
    name: 'alerts',
    description: 'Alerts of this host, newest first',
    examples: [
      'agent alerts',
      'agent alerts --since 1h --severity high',
      'agent alerts --severity low # observations, too',
      'agent alerts --follow',
      'agent explain "$(agent alerts --limit 1 --json | jq -r .id)"',
    ],
  },
  args: {
    limit: { type: 'string', description: 'maximum number of alerts (default 50)', valueHint: 'N' },
    kind: { type: 'string', description: `only ${KINDS.join(', ')}`, valueHint: 'KIND' },
    severity: {
      type: 'string',
      description: `minimum severity: ${SEVERITIES.join(', ')} (default medium)`,
      valueHint: 'S',
    },
    since: {
      type: 'string',
      description: 'only alerts since this time (1h, or a date)',
      valueHint: 'T',
    },
    incident: { type: 'string', description: 'only alerts of this incident', valueHint: 'ID' },
    open: { type: 'boolean', description: 'only open alerts' },
    follow: { type: 'boolean', description: 'keep running and print changes until interrupted' },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const limit = wholeNumber(args.limit, 'limit', 1) ?? 50
    const isWanted = filterOf(args)
    const directory = loadSettings(args).settings.state
    const list = () =>
      lookLocal(directory, (store) =>
        store.alerts.list({ limit: Number.MAX_SAFE_INTEGER }).filter(isWanted),
      )
    const alerts = list()
    if (args.follow) return follow(list, alerts, args.json === true)
    const shown = alerts.slice(0, limit)
    if (args.json) for (const alert of shown) await writeJson(alert)
    else if (shown.length === 0) note('No alerts')
    else await writeOut(columns(shown.map(row)))
  },
})

function filterOf(args: {
  readonly kind?: string | undefined
  readonly severity?: string | undefined
  readonly since?: string | undefined
  readonly incident?: string | undefined
  readonly open?: boolean | undefined
}): (alert: Alert) => boolean {
  const kind = oneOf(KINDS, args.kind, '--kind')
  const severity: Severity = oneOf(SEVERITIES, args.severity, '--severity') ?? 'medium'
  const now = Math.floor(Date.now() / 1000)
  const since = args.since === undefined ? undefined : secondOf(args.since, '--since', now, -1)
  return (alert) =>
    (kind === undefined || alert.kind === kind) &&
    compareSeverity(alert.severity, severity) <= 0 &&
    (since === undefined || alert.last >= since) &&
    (args.incident === undefined || alert.incident.startsWith(args.incident)) &&
    (args.open !== true || alert.state !== 'closed')
}

function oneOf<const T extends string>(
  known: readonly T[],
  value: string | undefined,
  flag: string,
): T | undefined {
  if (value === undefined) return undefined
  const found = known.find((of) => of === value)
  if (found !== undefined) return found
  throw new AgentError(
    'ERR_USAGE',
    `Cannot use ${flag} "${safeText(value)}": it must be one of ${known.join(', ')}`,
  )
}

/**
 * Shows each change of an alert once. The store is read again: the agent that writes it is another
 * process.
 */
async function follow(
  list: () => readonly Alert[],
  seen: readonly Alert[],
  asJson: boolean,
): Promise<void> {
  const signal = shutdownSignal()
  let told = new Map(seen.map((alert) => [alert.id, versionOf(alert)]))
  note('Following alerts; press Ctrl-C to stop')
  const aborted = new Promise((resolve) =>
    signal.addEventListener('abort', resolve, { once: true }),
  )
  while (!signal.aborted) {
    await Promise.race([Bun.sleep(ALERTS_FOLLOW_EVERY_MS), aborted])
    const alerts = list()
    for (const alert of [...alerts].reverse()) {
      if (told.get(alert.id) === versionOf(alert)) continue
      await (asJson ? writeJson(alert) : writeOut(alertLines(alert)))
    }
    told = new Map(alerts.map((alert) => [alert.id, versionOf(alert)]))
  }
}

function versionOf({ state, time, severity, certainty }: Alert): string {
  return `${state} ${time} ${severity} ${certainty}`
}

function row(alert: Alert): string[] {
  const { dim, bold } = paintFor()
  const { id, severity, certainty, state, time, count } = alert
  return [
    id,
    new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' '),
    state === 'closed' ? dim(STATES[state]) : STATES[state],
    severity,
    certainty,
    bold(who(alert)),
    `${sentence(alert)}, ${windows(count)}`,
  ]
}

const STATES: Readonly<Record<AlertState, string>> = {
  open: 'open',
  update: 'open',
  closed: 'over',
}
