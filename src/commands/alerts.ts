/** `agent alerts`: the alerts of this host, newest first, as its local store keeps them. */
import { defineCommand } from 'citty'
import type { Alert, AlertKind, AlertState } from '../domain/alert.ts'
import { AgentError } from '../domain/error.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { sentence } from '../outputs/alert-words.ts'
import { loadSettings } from '../settings/settings.ts'
import {
  columns,
  jsonArg,
  note,
  paintFor,
  safeText,
  settingArgs,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'

const KINDS: readonly AlertKind[] = ['novelty', 'non-grata', 'masquerade']

export default defineCommand({
  meta: {
    name: 'alerts',
    description: 'Alerts of this host, newest first',
    examples: [
      'agent alerts',
      'agent alerts --kind masquerade --open --json',
      'agent explain "$(agent alerts --limit 1 --json | jq -r .id)"',
    ],
  },
  args: {
    limit: { type: 'string', description: 'at most so many (default 50)', valueHint: 'N' },
    kind: { type: 'string', description: `only ${KINDS.join(', ')}`, valueHint: 'KIND' },
    open: { type: 'boolean', description: 'only those that go on' },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const limit = wholeNumber(args.limit, 'limit', 1) ?? 50
    const kind = KINDS.find((known) => known === args.kind)
    if (args.kind !== undefined && kind === undefined) {
      throw new AgentError(
        'ERR_USAGE',
        `Cannot use --kind "${safeText(args.kind)}": it is none of ${KINDS.join(', ')}`,
      )
    }
    const directory = loadSettings(args).settings.state
    const wanted = (alert: Alert) =>
      (kind === undefined || alert.kind === kind) && (!args.open || alert.state !== 'closed')
    const alerts = lookLocal(directory, (store) =>
      store.alerts.list({ limit: Number.MAX_SAFE_INTEGER }).filter(wanted).slice(0, limit),
    )
    if (args.json) for (const alert of alerts) await writeJson(alert)
    else if (alerts.length === 0) note('No alerts')
    else await writeOut(columns(alerts.map(row)))
  },
})

function row(alert: Alert): string[] {
  const { dim, bold } = paintFor()
  const { id, kind, state, time, count, process } = alert
  return [
    id,
    new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' '),
    state === 'closed' ? dim(STATES[state]) : STATES[state],
    kind,
    `${bold(safeText(process.name))} (${process.pid})`,
    `${sentence(alert)}, ${count} ${count === 1 ? 'window' : 'windows'}`,
  ]
}

const STATES: Readonly<Record<AlertState, string>> = {
  open: 'open',
  update: 'open',
  closed: 'over',
}
