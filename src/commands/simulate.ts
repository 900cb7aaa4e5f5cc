/**
 * `agent simulate attack`: safe stand-ins of attacks beside a running agent, and whether it found
 * them: the proof, within a minute, that this agent on this host sees.
 */
import { availableParallelism, loadavg } from 'node:os'
import { defineCommand } from 'citty'
import type { Alert } from '../domain/alert.ts'
import { compareSeverity } from '../domain/behaviour.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { SIMULATION_SECONDS_MAX } from '../domain/limits.ts'
import { selfCommand } from '../operate/kernel-collector.ts'
import { lookLocal } from '../operate/local-alerts.ts'
import { sentence } from '../outputs/alert-words.ts'
import { systemClock } from '../platform/clock.ts'
import { loadSettings } from '../settings/settings.ts'
import { ATTACKS, type AttackKind, type RunningAttack, startAttack } from '../simulate/attack.ts'
import { runPart } from '../simulate/parts.ts'
import {
  jsonArg,
  note,
  safeText,
  settingArgs,
  shutdownSignal,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'
import fleet from './simulate-fleet.ts'

const KINDS = Object.keys(ATTACKS) as AttackKind[]
const LOOK_EVERY_MS = 500

const attack = defineCommand({
  meta: {
    name: 'attack',
    description: 'Simulates attacks safely and reports which the running agent found',
    examples: [
      'sudo agent simulate attack # all kinds, about a minute',
      'sudo agent simulate attack reverse-shell',
      'sudo agent simulate attack --json',
    ],
  },
  args: {
    kind: {
      type: 'positional',
      description: `${KINDS.join(', ')}; default: all`,
      valueHint: 'KIND',
      required: false,
    },
    seconds: {
      type: 'string',
      description: `seconds until each must be found (default 45, at most ${SIMULATION_SECONDS_MAX})`,
      valueHint: 'N',
    },
    ...settingArgs('state'),
    ...jsonArg,
  },
  async run({ args }) {
    const { state } = loadSettings(args).settings
    const kinds = args.kind === undefined ? KINDS : KINDS.filter((kind) => kind === args.kind)
    if (kinds.length === 0)
      throw new AgentError(
        'ERR_USAGE',
        `Cannot simulate "${safeText(args.kind!)}": it must be one of ${KINDS.join(', ')}`,
      )
    const seconds = Math.min(wholeNumber(args.seconds, 'seconds', 1) ?? 45, SIMULATION_SECONDS_MAX)
    requireRunning(state)
    const signal = shutdownSignal()
    let missed = 0
    for (const kind of kinds) {
      if (signal.aborted) return EXIT.interrupted
      note(`${kind}: ${ATTACKS[kind]} …`)
      const found = await simulate(kind, state, seconds, signal)
      if (found === undefined) missed++
      if (args.json) await writeJson({ kind, found: found !== undefined, ...found })
      else await writeOut(`${wordsOf(kind, seconds, found)}\n`)
    }
    if (missed > 0)
      throw new AgentError('ERR_FAILED', `Missed ${missed} of ${kinds.length} simulated attacks`, {
        hint: `Run "agent status" to see lost calls and unjudged seconds${busyWords()}`,
      })
    return EXIT.ok
  },
})

/** On a host with so much to do, stand-ins get no CPU and facts come late. */
function busyWords(): string {
  const [load = 0] = loadavg()
  const cores = availableParallelism()
  return load < 2 * cores
    ? ''
    : `; this host is very busy (load ${load.toFixed(0)} on ${cores} processors), try again later`
}

interface Found {
  readonly seconds: number
  readonly alert: Alert
  /** The attack was counted to an alert that was open already, as one cause. */
  readonly joined?: true
}

async function simulate(
  kind: AttackKind,
  state: string,
  seconds: number,
  signal: AbortSignal,
): Promise<Found | undefined> {
  const began = systemClock.now()
  const before = mergedSoFar(state)
  const running = await startAttack(kind, selfCommand)
  try {
    while (!signal.aborted && systemClock.now() - began < seconds * 1000) {
      await Bun.sleep(LOOK_EVERY_MS)
      const alert = alertOn(running, state, Math.floor(began / 1000))
      const seconds = Math.round((systemClock.now() - began) / 1000)
      if (alert !== undefined) return { seconds, alert }
      const joined = mergedSoFar(state) > before ? openAlertLike(kind, state) : undefined
      if (joined !== undefined) return { seconds, alert: joined, joined: true }
    }
    return undefined
  } finally {
    running.stop()
  }
}

function alertOn(running: RunningAttack, state: string, since: number): Alert | undefined {
  return lookLocal(state, (store) => store.alerts.list({ limit: 100 })).find(
    (alert) =>
      alert.last >= since &&
      compareSeverity(alert.severity, 'medium') <= 0 &&
      running.isOurs(alert.process),
  )
}

/** Crossings that the running agent counted to alerts that were open already. */
function mergedSoFar(state: string): number {
  const ledger = lookLocal(state, (store) => store.ledger.get())?.ledger as
    | { detection?: { alerts?: { merged?: number } } }
    | undefined
  return ledger?.detection?.alerts?.merged ?? 0
}

/** Of an attack of the same kind a moment ago. */
function openAlertLike(kind: AttackKind, state: string): Alert | undefined {
  return lookLocal(state, (store) => store.alerts.list({ limit: 100 })).find(
    (alert) => alert.state !== 'closed' && (alert.behaviour ?? alert.kind) === kind,
  )
}

function wordsOf(kind: AttackKind, seconds: number, found: Found | undefined): string {
  if (found === undefined) return `missed  ${kind}: no alert within ${seconds} s`
  const { alert, joined } = found
  if (joined === true)
    return `found   ${kind} after ${found.seconds} s: counted to alert ${alert.id}, which is open; agent explain ${alert.id}`
  return (
    `found   ${kind} after ${found.seconds} s: ${alert.severity}, ${safeText(alert.process.name)} ` +
    `${sentence(alert)}; agent explain ${alert.id}`
  )
}

function requireRunning(state: string): void {
  const saved = lookLocal(state, (store) => store.ledger.get())
  if (saved !== undefined && !saved.ended) return
  throw new AgentError('ERR_NOT_RUNNING', `No agent runs with state "${state}"`, {
    hint: 'Start "agent watch" first, or name its directory with --state DIR',
  })
}

const part = defineCommand({
  meta: {
    name: 'part',
    description: 'One simulated program; started by "agent simulate attack"',
    hidden: true,
    examples: ['agent simulate attack # starts it'],
  },
  args: {
    kind: { type: 'positional', description: 'what to do', valueHint: 'KIND', required: true },
    where: { type: 'positional', description: 'where', valueHint: 'WHERE', required: true },
  },
  run: ({ args }) => runPart(args.kind, args.where, systemClock),
})

export default defineCommand({
  meta: {
    name: 'simulate',
    description: 'Safe simulations of attacks on this host, and the load of many hosts',
    examples: ['sudo agent simulate attack', 'agent simulate fleet --hosts 1000'],
  },
  subCommands: { attack, fleet, part },
})
