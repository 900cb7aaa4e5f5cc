/**
 * `agent explain ID`: one alert in full, for the person who has to decide: what the process calls
 * itself, what it behaves like, which facts and calls decided, what it did around that time, and
 * the commands to run next.
 */
import { defineCommand } from 'citty'
import type { Alert } from '../domain/alert.ts'
import { AgentError } from '../domain/error.ts'
import { type HistoryRow, historyOf } from '../operate/alert-history.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { ENDS, percent, sentence, who, windows } from '../outputs/alert-words.ts'
import { loadSettings } from '../settings/settings.ts'
import { columns, jsonArg, paintFor, safeText, settingArgs, writeJson, writeOut } from './common.ts'

/** Shares that differ by less than this are no difference to look at. */
const NEGLIGIBLE = 0.01

export default defineCommand({
  meta: {
    name: 'explain',
    description: 'Explains one alert and suggests what to check next',
    examples: ['agent explain 5f0c', 'agent explain 5f0c9e1d2a3b4c5d --json'],
  },
  args: {
    id: {
      type: 'positional',
      description: 'id of the alert, or its first characters',
      valueHint: 'ID',
      required: true,
    },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const directory = loadSettings(args).settings.state
    const alert = lookLocal(directory, (store) => store.alerts.get(args.id))
    if (alert === undefined) {
      throw new AgentError(
        'ERR_INPUT',
        `Cannot explain "${safeText(args.id)}": there is no such alert, or the prefix is ambiguous`,
        { hint: 'List them with "agent alerts"' },
      )
    }
    const history = historyOf(directory, alert)
    if (args.json) await writeJson({ ...alert, history })
    else await writeOut(explained(alert, history))
  },
})

/** The whole explanation, as the command prints it. */
export function explained(alert: Alert, history: readonly HistoryRow[]): string {
  const { bold, dim } = paintFor()
  const part = (title: string, body: string) => (body === '' ? '' : `\n${dim(title)}\n${body}`)
  return [
    `${bold(who(alert))} ${sentence(alert)}\n\n`,
    columns(facts(alert)),
    part('Facts that decided', bullets(alert.because ?? [])),
    part('Calls that decided', calls(alert)),
    part('Activity (ten seconds per line; * is the evidence)', seconds(history)),
    part('Next', columns(nextCommands(alert), '  ')),
  ].join('')
}

function facts(alert: Alert): string[][] {
  const { process, claimed, predicted, alternatives = [], evidence } = alert
  const like = [predicted, ...alternatives].filter((of) => of.class !== '')
  const rows: [string, string | undefined][] = [
    ['alert', `${alert.id}, ${alert.kind}, ${alert.severity}, ${alert.certainty}`],
    ['incident', alert.incident === alert.id ? 'this alert is its first' : alert.incident],
    ['state', stateOf(alert)],
    ['evidence', `${evidence.to - evidence.from + 1} s from ${when(evidence.from)}`],
    [
      'calls itself',
      `${safeText(process.name)}${claimed.class === '' ? ' (no class in the model)' : ''}`,
    ],
    ['behaves like', like.map(sure).join(', ') || 'no known program'],
    ['executable', exeWords(process)],
    ['command', process.command === undefined ? undefined : safeText(process.command)],
    ['directory', process.cwd === undefined ? undefined : safeText(process.cwd)],
    ['started', when(process.start)],
    ['user', userWords(process)],
    ['parents', process.parents?.map(({ pid, name }) => `${safeText(name)} (${pid})`).join(' < ')],
    ['unit', process.unit === undefined ? undefined : safeText(process.unit)],
    ['container', process.container === undefined ? undefined : safeText(process.container)],
    ['peers', alert.peers?.map(safeText).join(' ')],
    ['ATT&CK', alert.techniques?.join(' ')],
    ['model', alert.model.slice(0, 16)],
  ]
  return rows.flatMap(([name, text]) => (text === undefined || text === '' ? [] : [[name, text]]))
}

function stateOf({ state, ended, first, last, count }: Alert): string {
  const over =
    state === 'closed' ? `closed${ended === undefined ? '' : `: ${ENDS[ended]}`}` : 'open'
  return `${over}; first ${when(first)}, last ${when(last)}, ${windows(count)}`
}

function exeWords({ exe, deleted, package: owner }: Alert['process']): string | undefined {
  if (exe === undefined) return undefined
  const from = owner === undefined ? '' : ` (package ${safeText(owner)})`
  return `${safeText(exe)}${deleted === true ? ' (deleted)' : ''}${from}`
}

function userWords({ user, uid, loginUid, loginUser }: Alert['process']): string | undefined {
  const login =
    loginUid === undefined || loginUid === uid ? '' : `, logged in as ${named(loginUser, loginUid)}`
  if (user === undefined && uid === undefined) return login === '' ? undefined : login.slice(2)
  return `${named(user, uid)}${login}`
}

function named(user: string | undefined, uid: number | undefined): string {
  if (user === undefined) return `uid ${uid}`
  return `${safeText(user)}${uid === undefined ? '' : ` (uid ${uid})`}`
}

function bullets(lines: readonly string[]): string {
  return lines.map((line) => `  - ${safeText(line)}\n`).join('')
}

function calls({ why, claimed, kind }: Alert): string {
  const differing = why.filter(({ seen, expected }) => Math.abs(seen - expected) >= NEGLIGIBLE)
  if (differing.length === 0) return ''
  const usual = claimed.class === '' || kind === 'novelty' ? 'ordinary' : safeText(claimed.class)
  return columns(
    [
      ['call', 'seen', usual],
      ...differing.map(({ syscall, seen, expected }) => [
        safeText(syscall),
        percent(seen),
        percent(expected),
      ]),
    ],
    '  ',
  )
}

function seconds(history: readonly HistoryRow[]): string {
  return columns(
    history.map(({ from, active, calls: made, top, isEvidence }) => [
      `${isEvidence ? '*' : ' '} ${when(from).slice(11, 19)}`,
      `${made} calls in ${active} s`,
      top.map(([syscall, share]) => `${syscall} ${percent(share)}`).join(', '),
    ]),
    '  ',
  )
}

function nextCommands({ id, process, state }: Alert): string[][] {
  const { pid } = process
  const look =
    state === 'closed'
      ? []
      : [
          [
            `ls -l /proc/${pid}/exe /proc/${pid}/cwd /proc/${pid}/fd`,
            'its executable and open files',
          ],
          [`tr '\\0' ' ' </proc/${pid}/cmdline`, 'its command line'],
        ]
  return [
    ...look,
    [`agent allow ${id} --dry-run`, 'preview an exact rule'],
    [`agent allow ${id} --reason WHY`, 'if it is expected: suppress exactly this'],
    [`agent label ${id} bad`, 'or "fine": keep its windows for training'],
  ]
}

function sure({ class: of, confidence }: Alert['claimed']): string {
  return `${safeText(of)} (${percent(confidence)})`
}

function when(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
