/**
 * `agent allow NAME`: says "this is fine" about the alerts of a name; a running agent hears of it within seconds. Without
 * --class a rule does not cover what looks malicious: that has to be said by naming the class.
 */
import { defineCommand } from 'citty'
import type { AllowRule } from '../domain/allow.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { ALLOW_RULES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts'
import { changeLocal, lookLocal } from '../operate/local-alerts.ts'
import { loadSettings } from '../settings/settings.ts'
import { durationMs } from '../settings/values.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'allow',
    description: 'Says "this is fine": alerts of a name that are not wanted',
    examples: [
      'agent allow backup --reason "restic under an old name"',
      'agent allow build --class miner --until 7d # also though it looks malicious',
      'agent allow --list',
      'agent allow backup --remove',
    ],
  },
  args: {
    name: {
      type: 'positional',
      description: 'name of the process',
      valueHint: 'NAME',
      required: false,
    },
    class: { type: 'string', description: 'only while it behaves like this class', valueHint: 'C' },
    until: { type: 'string', description: 'for so long (7d) or until a date', valueHint: 'WHEN' },
    reason: { type: 'string', description: 'why, for whoever reads it later', valueHint: 'TEXT' },
    list: { type: 'boolean', description: 'shows what is allowed' },
    remove: { type: 'boolean', description: 'takes the rules of this name back' },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const directory = loadSettings(args).settings.state
    if (args.list) return list(directory, args.json === true)
    const { name } = args
    if (name === undefined || name === '' || name.length > NAME_BYTES_MAX) {
      throw new AgentError('ERR_USAGE', 'Cannot allow: no name of a process is given', {
        hint: 'Use "agent allow NAME", or "agent allow --list"',
      })
    }
    if (args.remove) return remove(directory, name, args.class)
    const now = Math.floor(Date.now() / 1000)
    const rule: AllowRule = {
      name,
      ...defined({ class: args.class }),
      ...(args.until === undefined ? {} : { until: secondOf(args.until, now) }),
      ...(args.reason === undefined ? {} : { reason: args.reason.slice(0, 500) }),
      made: now,
    }
    if (!changeLocal(directory, (store) => store.allowed.put(rule))) {
      throw new AgentError(
        'ERR_DISK',
        `Cannot allow "${safeText(name)}": the disk refused, or there are ${ALLOW_RULES_MAX} rules already`,
        { hint: 'Take some back with "agent allow NAME --remove"' },
      )
    }
    if (args.json) await writeJson(rule)
    else note(`Allowed: ${words(rule)}`)
  },
})

async function list(directory: string, asJson: boolean): Promise<void> {
  const rules = lookLocal(directory, (store) => store.allowed.list())
  if (asJson) for (const rule of rules) await writeJson(rule)
  else if (rules.length === 0) note('Nothing is allowed')
  else await writeOut(columns(rules.map((rule) => [words(rule), safeText(rule.reason ?? '')])))
}

function remove(directory: string, name: string, of: string | undefined): void {
  const removed = changeLocal(directory, (store) => store.allowed.remove(name, of))
  if (removed === 0) {
    throw new AgentError('ERR_INPUT', `Cannot remove "${safeText(name)}": it was not allowed`, {
      hint: 'List what is with "agent allow --list"',
    })
  }
  note(`Removed ${removed} ${removed === 1 ? 'rule' : 'rules'} of ${safeText(name)}`)
}

function words({ name, class: of, until }: AllowRule): string {
  const like =
    of === undefined
      ? 'whatever it does that is not malicious'
      : `while it behaves like ${safeText(of)}`
  const end =
    until === undefined
      ? 'until removed'
      : `until ${new Date(until * 1000).toISOString().slice(0, 16)}Z`
  return `${safeText(name)}, ${like}, ${end}`
}

/** A length of time from now, or a date, as Unix seconds. */
function secondOf(when: string, now: number): number {
  const date = Date.parse(when)
  if (/^\d{4}-/.test(when) && Number.isFinite(date)) return Math.floor(date / 1000)
  try {
    return now + Math.ceil(durationMs(when) / 1000)
  } catch (cause) {
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --until "${safeText(when)}": it is no length of time (30m, 7d) and no date (2027-01-31)`,
      { cause },
    )
  }
}
