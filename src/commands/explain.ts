/** `agent explain ID`: one alert in full: who, since when, what it claims, what it behaves like, and which calls decided. */
import { defineCommand } from 'citty'
import type { Alert } from '../domain/alert.ts'
import { AgentError } from '../domain/error.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { sentence } from '../outputs/alert-words.ts'
import { loadSettings } from '../settings/settings.ts'
import { columns, jsonArg, paintFor, safeText, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'explain',
    description: 'Why an alert was raised: which calls decided, seen against expected',
    examples: ['agent explain 5f0c', 'agent explain 5f0c9e1d2a3b4c5d --json'],
  },
  args: {
    id: {
      type: 'positional',
      description: 'id of the alert, or how it begins',
      valueHint: 'ID',
      required: true,
    },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const alert = lookLocal(loadSettings(args).settings.state, (store) => store.alerts.get(args.id))
    if (alert === undefined) {
      throw new AgentError(
        'ERR_INPUT',
        `Cannot explain "${safeText(args.id)}": there is no such alert, or several begin like that`,
        { hint: 'List them with "agent alerts"' },
      )
    }
    await (args.json ? writeJson(alert) : writeOut(explained(alert)))
  },
})

function explained(alert: Alert): string {
  const { bold, dim } = paintFor()
  const { process, claimed, predicted, evidence, why } = alert
  const facts = [
    ['alert', `${alert.id}, ${alert.kind}, ${alert.state === 'closed' ? 'over' : 'open'}`],
    ['process', `${safeText(process.name)}, pid ${process.pid}, started ${when(process.start)}`],
    ...(process.exe === undefined ? [] : [['program', safeText(process.exe)]]),
    ...(process.container === undefined ? [] : [['container', safeText(process.container)]]),
    ['claims', claimed.class === '' ? 'a name of which the model knows no program' : sure(claimed)],
    ['behaves', predicted.class === '' ? 'like nothing known here' : `like ${sure(predicted)}`],
    ['raised', `${when(alert.first)}, last sign ${when(alert.last)}, ${alert.count} windows`],
    ['evidence', `${evidence.to - evidence.from + 1} s, from ${when(evidence.from)}`],
    ...(alert.technique === undefined ? [] : [['technique', `ATT&CK ${alert.technique}`]]),
    ['model', alert.model.slice(0, 16)],
  ]
  const head = `${bold(safeText(process.name))} ${sentence(alert)}\n\n${columns(facts)}`
  if (why.length === 0) return `${head}\n${dim('No call was singled out.')}\n`
  const table = columns([
    ['call', 'seen', 'usual'],
    ...why.map(({ syscall, seen, expected }) => [
      safeText(syscall),
      percent(seen),
      percent(expected),
    ]),
  ])
  const usual =
    claimed.class === '' || alert.kind === 'novelty' ? 'ordinary programs' : safeText(claimed.class)
  return `${head}\n${dim(`What decided, first the most; "usual" is what ${usual} shows:`)}\n${table}`
}

function sure({ class: of, confidence }: Alert['claimed']): string {
  return `${safeText(of)} (${percent(confidence)} sure)`
}

function when(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}
