/**
 * `agent allow`: suppresses expected alerts; a running agent reads it within seconds. Given an
 * alert's id, the rule names all that is known of that alert and nothing wider. A rule that names
 * no behaviour does not cover critical ones.
 */
import { defineCommand } from 'citty'
import type { Alert } from '../domain/alert.ts'
import type { AllowSubject } from '../domain/allow.ts'
import { ALLOW_FIELDS, type AllowRule, allowedBy, isSameCause } from '../domain/allow.ts'
import { BEHAVIOUR_IDS, BEHAVIOURS, type BehaviourId, isBehaviourId } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { ALLOW_RULES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts'
import { changeLocal, lookLocal } from '../operate/local-alerts.ts'
import { loadSettings } from '../settings/settings.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'
import { secondOf } from './when.ts'

const DAY_SECONDS = 86_400

export default defineCommand({
  meta: {
    name: 'allow',
    description: 'Suppresses alerts that are expected',
    examples: [
      'agent allow 5f0c9e1d2a3b4c5d --reason "nightly build" # exactly the cause of that alert',
      'agent allow backup --until 7d # by name, except critical behaviours',
      'agent allow --exe /opt/acme/bin/agent --behaviour network-scan',
      'agent allow backup --dry-run # which alerts of the last day it would have suppressed',
      'agent allow --list',
      'agent allow backup --remove',
    ],
  },
  args: {
    what: {
      type: 'positional',
      description: 'id of an alert, or name of a process',
      valueHint: 'ID|NAME',
      required: false,
    },
    exe: { type: 'string', description: 'only this executable', valueHint: 'PATH' },
    user: { type: 'string', description: 'only this user', valueHint: 'USER' },
    unit: { type: 'string', description: 'only in this systemd unit', valueHint: 'UNIT' },
    container: { type: 'string', description: 'only in this container', valueHint: 'ID' },
    class: { type: 'string', description: 'only if it behaves like this class', valueHint: 'C' },
    behaviour: {
      type: 'string',
      description: `only this behaviour: ${BEHAVIOUR_IDS.join(', ')}`,
      valueHint: 'B',
    },
    until: {
      type: 'string',
      description: 'end of the rule: a duration (7d) or a date',
      valueHint: 'WHEN',
    },
    reason: { type: 'string', description: 'reason, stored with the rule', valueHint: 'TEXT' },
    'dry-run': {
      type: 'boolean',
      description: 'print which alerts of the last day it would have suppressed; change nothing',
    },
    list: { type: 'boolean', description: 'list the rules' },
    remove: { type: 'boolean', description: 'remove the matching rules' },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const directory = loadSettings(args).settings.state
    if (args.list) return list(directory, args.json === true)
    const now = Math.floor(Date.now() / 1000)
    const rule: AllowRule = {
      ...causeOf(directory, args),
      ...defined({
        until: args.until === undefined ? undefined : secondOf(args.until, '--until', now),
        reason: args.reason?.slice(0, 500),
      }),
      made: now,
    }
    if (args.remove) return remove(directory, rule)
    if (args['dry-run']) return dryRun(directory, rule, now, args.json === true)
    if (!changeLocal(directory, (store) => store.allowed.put(rule))) {
      throw new AgentError(
        'ERR_DISK',
        `Cannot allow ${subjectWords(rule)}: the disk cannot be written, or the limit of ${ALLOW_RULES_MAX} rules is reached`,
        { hint: 'Remove some with "agent allow NAME --remove"' },
      )
    }
    if (args.json) await writeJson(rule)
    else note(`Allowed: ${words(rule)}`)
  },
})

interface CauseArgs {
  readonly what?: string | undefined
  readonly exe?: string | undefined
  readonly user?: string | undefined
  readonly unit?: string | undefined
  readonly container?: string | undefined
  readonly class?: string | undefined
  readonly behaviour?: string | undefined
}

/** What the rule is about: an alert in full, or the parts that are named. */
function causeOf(directory: string, args: CauseArgs): AllowRule {
  const { what, behaviour } = args
  if (behaviour !== undefined && !isBehaviourId(behaviour)) {
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --behaviour "${safeText(behaviour)}": it must be one of ${BEHAVIOUR_IDS.join(', ')}`,
    )
  }
  const alert =
    what !== undefined && /^[0-9a-f]{16}$/.test(what) ? alertOf(directory, what) : undefined
  const named = defined({
    exe: args.exe,
    user: args.user,
    unit: args.unit,
    container: args.container,
    class: args.class,
    behaviour: behaviour as BehaviourId | undefined,
  })
  if (alert !== undefined) return { ...ruleOf(alert), ...named }
  const rule: AllowRule = { ...defined({ name: what === '' ? undefined : what }), ...named }
  if (Object.keys(rule).length === 0 || (what?.length ?? 0) > NAME_BYTES_MAX) {
    throw new AgentError('ERR_USAGE', 'Cannot allow: no alert, name or other property is given', {
      hint: 'Use "agent allow ID", "agent allow NAME", or "agent allow --list"',
    })
  }
  return rule
}

function alertOf(directory: string, id: string): Alert {
  const alert = lookLocal(directory, (store) => store.alerts.get(id))
  if (alert !== undefined) return alert
  throw new AgentError('ERR_INPUT', `Cannot allow "${id}": there is no such alert`, {
    hint: 'List them with "agent alerts"',
  })
}

function ruleOf({ process, predicted, behaviour }: Alert): AllowRule {
  return defined({
    name: process.name,
    exe: process.exe,
    user: process.user,
    unit: process.unit,
    container: process.container,
    class: behaviour === undefined && predicted.class !== '' ? predicted.class : undefined,
    behaviour,
  })
}

async function list(directory: string, asJson: boolean): Promise<void> {
  const rules = lookLocal(directory, (store) => store.allowed.list())
  if (asJson) for (const rule of rules) await writeJson(rule)
  else if (rules.length === 0) note('There are no allow rules')
  else await writeOut(columns(rules.map((rule) => [words(rule), safeText(rule.reason ?? '')])))
}

function remove(directory: string, rule: AllowRule): void {
  // A rule that names nothing but a process goes with every narrower one of that name.
  const isNameOnly = isSameCause(rule, defined({ name: rule.name }))
  const removed = changeLocal(directory, (store) =>
    store.allowed.remove((old) => (isNameOnly ? old.name === rule.name : isSameCause(old, rule))),
  )
  if (removed.length === 0) {
    throw new AgentError('ERR_INPUT', `Cannot remove: ${subjectWords(rule)} is not allowed`, {
      hint: 'List the rules with "agent allow --list"',
    })
  }
  for (const old of removed) note(`Removed: ${words(old)}`)
}

async function dryRun(
  directory: string,
  rule: AllowRule,
  now: number,
  asJson: boolean,
): Promise<void> {
  const covered = lookLocal(directory, (store) =>
    store.alerts
      .list({ limit: Number.MAX_SAFE_INTEGER })
      .filter(({ last }) => last >= now - DAY_SECONDS)
      .filter((alert) => allowedBy([rule], subjectOf(alert), now) !== undefined),
  )
  if (asJson) for (const alert of covered) await writeJson(alert)
  else {
    if (covered.length > 0)
      await writeOut(
        columns(
          covered.map(({ id, kind, severity, process, predicted }) => [
            id,
            kind,
            severity,
            safeText(process.name),
            safeText(predicted.class),
          ]),
        ),
      )
    note(`Would have suppressed ${covered.length} of the last day's alerts. Nothing was changed`)
  }
}

function subjectOf({ process, predicted, behaviour, severity }: Alert): AllowSubject {
  const { name, exe, container, user, unit } = process
  return { name, exe, container, user, unit, class: predicted.class, behaviour, severity }
}

function subjectWords(rule: AllowRule): string {
  const parts = ALLOW_FIELDS.filter((field) => field !== 'class' && rule[field] !== undefined).map(
    (field) => (field === 'name' ? safeText(rule.name!) : `${field} ${safeText(rule[field]!)}`),
  )
  return parts.length === 0 ? 'any process' : parts.join(', ')
}

function words(rule: AllowRule): string {
  const { class: of, behaviour, until } = rule
  const like =
    behaviour !== undefined
      ? `while it behaves like ${BEHAVIOURS[behaviour].name}`
      : of !== undefined
        ? `while it behaves like ${safeText(of)}`
        : 'except critical behaviours'
  const end =
    until === undefined
      ? 'until removed'
      : `until ${new Date(until * 1000).toISOString().slice(0, 16)}Z`
  return `${subjectWords(rule)}, ${like}, ${end}`
}
