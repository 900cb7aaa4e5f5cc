/**
 * `agent demo`: the main job on one machine, without root and without anything installed. Starts an
 * aggregator with its own broker, and an agent per recorded host; each agent first lives through an
 * hour of that host's ordinary life, then through some minutes with attacks, masquerades and
 * novelties in them (models/recordings/demo). Everything is the real thing: the recording was
 * counted on running hosts, alerts go over MQTT on loopback.
 *
 * Ends by itself with --once and if stdout is not a terminal; else the page stays until Ctrl-C. For
 * the page the recording is moved in time, to end when the demo begins: a page that calls a live
 * attack a week old confuses who sees it first.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineCommand } from 'citty'
import { openAgent } from '../agent/agent.ts'
import { type RunOutcome, runAgent } from '../agent/run.ts'
import { recordingSource } from '../agent/sources.ts'
import { singlePassword } from '../aggregator/access.ts'
import { type Aggregator, startAggregator } from '../aggregator/aggregator.ts'
import type { AlertKind } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { openPage } from '../operate/browser.ts'
import type { Model } from '../operate/models.ts'
import { openModelInUse } from '../operate/models.ts'
import { jsonLinesOutput } from '../outputs/json-lines.ts'
import type { Output } from '../outputs/output.ts'
import { terminalOutput } from '../outputs/terminal.ts'
import { readAsset } from '../platform/assets.ts'
import { systemClock } from '../platform/clock.ts'
import { version } from '../platform/embedded.ts'
import { log, setLogLevel } from '../platform/log.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, note, shutdownSignal, wholeNumber } from './common.ts'
import { endOf, recordingOf } from './demo-recording.ts'

/** Both recordings hold several hosts; each agent takes its own host's lines. */
const BASELINE = 'models/recordings/demo/baseline.frames.ndjson.zst'
const RECORDING = 'models/recordings/demo/recording.frames.ndjson.zst'
const HOSTS = ['ac', 'as']
/** The account of the demo's agents; its secret is generated at each start. */
const USER = 'demo/*'
/** Event seconds per second: seven minutes in a third of one. */
const PACE = 20

export default defineCommand({
  meta: {
    name: 'demo',
    description: 'Replays recorded hosts under attack, with an embedded broker and the web page',
    examples: [
      'agent demo                # opens the page; stop with Ctrl-C',
      'agent demo --once --json  # alerts as JSON, then exits',
    ],
  },
  args: {
    once: { type: 'boolean', description: 'exit when the recording ends' },
    pace: {
      type: 'string',
      description: `speed relative to the recording, default ${PACE}`,
      valueHint: 'N',
    },
    ...jsonArg,
  },
  async run({ args }) {
    const pace = wholeNumber(args.pace, 'pace', 1, 100_000) ?? PACE
    const directory = mkdtempSync(join(tmpdir(), 'callsign-demo-'))
    const signal = shutdownSignal()
    // What an operator wants to know of an agent would only be in the way here.
    setLogLevel('warn')
    let aggregator: Aggregator | undefined
    let model: Model | undefined
    try {
      const { settings } = loadSettings({ state: directory })
      model = await openModelInUse(settings.model, settings.state)
      const secret = crypto.randomUUID()
      signal.throwIfAborted()
      aggregator = await startAggregator({
        store: join(directory, 'aggregate.db'),
        broker: {
          kind: 'embedded',
          host: '127.0.0.1',
          port: 0,
          authenticate: singlePassword(USER, secret),
        },
        http: { host: '127.0.0.1', port: 0 },
        site: 'demo',
        version,
        clock: systemClock,
        log,
        signal,
      })
      const stays = !args.once && process.stdout.isTTY === true
      note(`Page: ${aggregator.url}/`)
      if (stays) openPage(`${aggregator.url}/`)
      const agents = new DemoAgents(model, {
        broker: aggregator.brokerUrl,
        secret,
        directory,
        pace,
        asJson: args.json === true,
        endsAt: stays ? Math.floor(systemClock.now() / 1000) : undefined,
      })
      const stay = stays ? untilAborted(signal, HOSTS.length) : undefined
      const runs = HOSTS.map((host) => agents.run(host, signal, stay))
      // Each has closed its files before any error goes on.
      await Promise.allSettled(runs)
      const failed = (await Promise.all(runs)).find(({ error }) => error !== undefined)
      if (failed !== undefined) throw failed.error
      note(closingLine(agents.seen, await storedAlerts(aggregator.url)))
      return signal.aborted && !stays ? EXIT.interrupted : EXIT.ok
    } finally {
      await aggregator?.close()
      await model?.close()
      rmSync(directory, { recursive: true, force: true })
    }
  },
})

interface DemoOptions {
  readonly broker: string
  readonly secret: string
  readonly directory: string
  readonly pace: number
  readonly asJson: boolean
  /** Second at which the recording shall end; as it was recorded where undefined. */
  readonly endsAt: number | undefined
}

class DemoAgents {
  /** Kind of each alert, by id. */
  readonly seen = new Map<string, AlertKind>()
  readonly #model: Model
  readonly #options: DemoOptions
  readonly #baseline = readAsset(BASELINE)
  readonly #recording = readAsset(RECORDING)
  readonly #laterSeconds: number

  constructor(model: Model, options: DemoOptions) {
    this.#model = model
    this.#options = options
    const { endsAt } = options
    this.#laterSeconds = endsAt === undefined ? 0 : endsAt - endOf(this.#recording)
  }

  /** One host's agent: what it lived through before, then the recording. */
  async run(host: string, signal: AbortSignal, stay?: () => Promise<void>): Promise<RunOutcome> {
    const { broker, directory, pace, asJson } = this.#options
    const state = join(directory, host)
    await this.#live(host, state, signal)
    signal.throwIfAborted()
    const shown = asJson ? jsonLinesOutput() : terminalOutput(host)
    const outputs = [shown, this.#counted]
    const agent = this.#open(host, state, { broker, learn: '0s' }, outputs)
    const outcome = await runAgent(
      agent,
      [recordingSource(recordingOf(this.#recording, host, this.#laterSeconds))],
      { host, pace, ...defined({ beforeEnd: stay }) },
      signal,
    )
    await agent.close()
    if (outcome.arrived || outcome.error !== undefined || signal.aborted) return outcome
    const error = new AgentError('ERR_BROKER', `Cannot deliver the alerts of "${host}" in time`)
    return { ...outcome, error }
  }

  /** Fills the host's baseline; alerts of that time are discarded. */
  async #live(host: string, state: string, signal: AbortSignal): Promise<void> {
    const agent = this.#open(host, state, { learn: '7d' })
    const before = [recordingSource(recordingOf(this.#baseline, host, this.#laterSeconds))]
    const { error } = await runAgent(agent, before, { host }, signal)
    await agent.close()
    if (error !== undefined) throw error
  }

  #open(
    host: string,
    state: string,
    flags: { broker?: string; learn: string },
    outputs: readonly Output[] = [],
  ) {
    const { settings } = loadSettings({ state, site: 'demo', host, brokerUser: USER, ...flags })
    return openAgent({
      settings: { ...settings, brokerPassword: this.#options.secret },
      model: this.#model,
      source: { name: 'recording', why: 'the demo' },
      resume: false,
      outputs,
    })
  }

  readonly #counted: Output = {
    name: 'count',
    refused: {},
    take: ({ alerts }) => {
      for (const { id, kind } of alerts) this.seen.set(id, kind)
    },
  }
}

/**
 * What `hosts` agents wait for at their end, so that the page stays as it is until the user has
 * seen enough.
 */
function untilAborted(signal: AbortSignal, hosts: number): () => Promise<void> {
  let running = hosts
  return async () => {
    running -= 1
    if (running === 0) note('The recording has ended; press Ctrl-C to close the page')
    if (signal.aborted) return
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  }
}

async function storedAlerts(url: string): Promise<number> {
  const answer = await fetch(`${url}/api/v1/alerts?limit=1000`)
  const { items } = (await answer.json()) as { items: unknown[] }
  return items.length
}

function closingLine(seen: ReadonlyMap<string, string>, stored: number): string {
  const kinds = new Map<string, number>()
  for (const kind of seen.values()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  const words = [...kinds].sort().map(([kind, count]) => `${count} ${kind}`)
  return `${seen.size} alerts made (${words.join(', ')}), ${stored} stored by the aggregator`
}
