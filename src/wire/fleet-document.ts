/**
 * What an aggregator tells all agents of a site: a retained, signed document on `fleet/policy`, and
 * one on `fleet/model` (fleet-model.ts).
 *
 * `version` only grows, so an old document that somebody publishes again changes nothing. `canary` is
 * the share of the hosts, in percent, that it is for; which hosts these are follows from their names
 * (`canaryPlace`), so that a larger share includes the smaller one. The signature is always the last
 * member of the payload, for agents of either protocol.
 */
import { createHash } from 'node:crypto'
import { type AllowRule, parseAllowRule } from '../domain/allow.ts'
import { BEHAVIOUR_IDS } from '../domain/behaviour.ts'
import type { FleetSubject } from '../domain/fleet-state.ts'
import { ALLOW_RULES_MAX, FLEET_POLICY_BYTES_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { type PolicyRule, parsePolicyRule } from '../domain/policy.ts'
import { type Decoded, type Fields, parseJson, reading, refuse } from '../domain/untrusted.ts'
import { isTopicPart } from './topics.ts'

export interface FleetDocument {
  readonly v: 1
  readonly what: FleetSubject
  readonly site: string
  readonly version: number
  /** Unix seconds. */
  readonly made: number
  readonly expires: number
  /** Percent of the hosts, 1 to 100. */
  readonly canary: number
}

export interface FleetPolicy extends FleetDocument {
  readonly what: 'policy'
  /** Severities of behaviours; what a host's operator says there goes before. */
  readonly rules: readonly PolicyRule[]
  readonly allow: readonly AllowRule[]
}

const utf8 = new TextEncoder()

export function encodeFleetPolicy(policy: FleetPolicy): Uint8Array {
  return utf8.encode(JSON.stringify(policy))
}

/** @param payload without its signature */
export function decodeFleetPolicy(payload: Uint8Array): Decoded<FleetPolicy> {
  return reading(() => {
    const fields = parseJson(payload, FLEET_POLICY_BYTES_MAX)
    return { ...readHead(fields, 'policy'), ...readRules(fields) }
  })
}

/** What an operator writes into a file: `{"rules":[…],"allow":[…]}`. */
export function parsePolicyFile(text: string): Decoded<Pick<FleetPolicy, 'rules' | 'allow'>> {
  return reading(() => {
    const fields = parseJson(text, FLEET_POLICY_BYTES_MAX)
    const rules = readRules(fields)
    const [unknown] = Object.keys(fields.rest())
    if (unknown !== undefined) refuse(`unknown-field(${unknown})`)
    if (rules.rules.length + rules.allow.length === 0) refuse('empty')
    return rules
  })
}

/** Where a host stands among all, 0…100: a canary share includes those below it. */
export function canaryPlace(site: string, host: string): number {
  const digest = createHash('sha256').update(`canary ${site}/${host}`).digest()
  return (digest.readUInt32BE(0) / 2 ** 32) * 100
}

/** Within `reading` only. */
export function readHead<What extends FleetSubject>(fields: Fields, what: What) {
  fields.version(1)
  const site = fields.text('site', TOPIC_PART_CHARS_MAX)
  if (!isTopicPart(site)) refuse('bad-field(site)')
  return {
    v: 1 as const,
    what: fields.oneOf('what', [what]),
    site,
    version: fields.integer('version', 1),
    made: fields.integer('made'),
    expires: fields.integer('expires'),
    canary: fields.integer('canary', 1, 100),
  }
}

/** A rule that is none refuses the whole: half of a policy is another policy. */
function readRules(fields: Fields): Pick<FleetPolicy, 'rules' | 'allow'> {
  const all = <T>(name: string, most: number, parse: (value: unknown) => T | undefined): T[] =>
    fields.or(name, [], (field) =>
      field.list(most).map((value) => parse(value) ?? refuse(`bad-field(${name})`)),
    )
  const rules = all('rules', BEHAVIOUR_IDS.length, parsePolicyRule)
  const allow = all('allow', ALLOW_RULES_MAX, parseAllowRule)
  return { rules, allow }
}
