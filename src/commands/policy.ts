/**
 * `agent policy`: malicious behaviours and their severities on this host. A running agent reads a
 * change within seconds.
 */
import { defineCommand } from 'citty'
import { fleetRulesIn } from '../agent/fleet-policy.ts'
import {
  BEHAVIOUR_IDS,
  BEHAVIOURS,
  type BehaviourId,
  isBehaviourId,
  isSeverity,
  SEVERITIES,
} from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { PolicyRule } from '../domain/policy.ts'
import { Policy } from '../domain/policy.ts'
import { changeLocal } from '../operate/local-alerts.ts'
import { loadSettings } from '../settings/settings.ts'
import { storeOf } from './aggregator-store.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'
import { pushArgs, pushPolicyFile } from './fleet-push.ts'

export default defineCommand({
  meta: {
    name: 'policy',
    description: 'Malicious behaviours and their severities on this host',
    examples: [
      'agent policy',
      'agent policy network-scan low --reason "this host runs the scanner"',
      'agent policy network-scan --reset',
      'agent policy --reset # all defaults',
      'agent policy push policy.json --site berlin --canary 10 --expires 30d   # where the aggregator is: to its hosts',
    ],
  },
  args: {
    behaviour: {
      type: 'positional',
      description: 'behaviour to change; "push" publishes a policy to the hosts of an aggregator',
      valueHint: 'BEHAVIOUR|push',
      required: false,
    },
    severity: {
      type: 'positional',
      description: `${SEVERITIES.join(', ')}; low is an observation, not an alert; with "push": the file`,
      valueHint: 'SEVERITY|FILE',
      required: false,
    },
    reason: { type: 'string', description: 'reason, stored with the rule', valueHint: 'TEXT' },
    reset: { type: 'boolean', description: 'restore the default' },
    ...pushArgs('with "push": '),
    ...settingArgs('state', 'store', 'site'),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings, origins } = loadSettings(args)
    const directory = settings.state
    const { behaviour, severity, reset, canary, expires } = args
    if (behaviour === 'push')
      return pushPolicyFile(severity, {
        ...{ canary, expires, site: settings.site, json: args.json === true },
        location: storeOf(settings, origins.store === 'flag'),
      })
    if (behaviour !== undefined && !isBehaviourId(behaviour))
      throw unknown('behaviour', behaviour, BEHAVIOUR_IDS)
    if (severity !== undefined && !isSeverity(severity))
      throw unknown('severity', severity, SEVERITIES)
    if (behaviour !== undefined && severity === undefined && reset !== true)
      throw new AgentError('ERR_USAGE', `Cannot change "${behaviour}": no severity is given`, {
        hint: `Give one of ${SEVERITIES.join(', ')}, or --reset`,
      })
    const rules = changeLocal(directory, ({ policy, fleetPolicy }) => {
      if (reset === true)
        policy.remove((rule) => behaviour === undefined || rule.behaviour === behaviour)
      else if (behaviour !== undefined && severity !== undefined) {
        const rule: PolicyRule = {
          ...{ behaviour, severity, made: Math.floor(Date.now() / 1000) },
          ...defined({ reason: args.reason?.slice(0, 500) }),
        }
        if (!policy.put(rule))
          throw new AgentError(
            'ERR_DISK',
            `Cannot change "${behaviour}": the disk cannot be written`,
          )
      }
      return [...fleetRulesIn(fleetPolicy, Date.now() / 1000), ...policy.list()]
    })
    if (behaviour !== undefined)
      note(`${BEHAVIOURS[behaviour].name}: ${new Policy(rules).severityOf(behaviour)}`)
    else await show(rules, args.json === true)
  },
})

async function show(rules: readonly PolicyRule[], asJson: boolean): Promise<void> {
  const policy = new Policy(rules)
  const reasonOf = (id: BehaviourId) => rules.findLast((rule) => rule.behaviour === id)?.reason
  if (asJson) {
    for (const id of BEHAVIOUR_IDS)
      await writeJson({
        ...BEHAVIOURS[id],
        severity: policy.severityOf(id),
        default: BEHAVIOURS[id].severity,
        ...defined({ reason: reasonOf(id) }),
      })
    return
  }
  await writeOut(
    columns([
      ['behaviour', 'severity', 'ATT&CK', 'default'],
      ...BEHAVIOUR_IDS.map((id) => [
        id,
        policy.severityOf(id),
        BEHAVIOURS[id].techniques.join(' '),
        policy.severityOf(id) === BEHAVIOURS[id].severity
          ? ''
          : `${BEHAVIOURS[id].severity} ${safeText(reasonOf(id) ?? '')}`,
      ]),
    ]),
  )
}

function unknown(what: string, value: string, known: readonly string[]): AgentError {
  return new AgentError(
    'ERR_USAGE',
    `Cannot use ${what} "${safeText(value)}": it must be one of ${known.join(', ')}`,
  )
}
