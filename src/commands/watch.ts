/**
 * `agent watch`: the main job. A live source, a pipe or a file goes through the pipeline; alerts go
 * to the terminal, the local store and, with --broker, over MQTT.
 *
 * The source is chosen before anything is opened: where the kernel counts for us, this process
 * drops its capabilities by re-executing itself, so the process that parses, classifies and sends
 * has none.
 */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { defineCommand } from 'citty'
import { type Agent, type AgentOptions, openAgent } from '../agent/agent.ts'
import { latenessOf } from '../agent/ingest.ts'
import { openMetrics } from '../agent/metrics.ts'
import { reload, tellReloaded } from '../agent/reload.ts'
import { runAgent } from '../agent/run.ts'
import { chooseSource, leaderNameOf, processStart } from '../agent/sources.ts'
import type { CommonStatus } from '../agent/status-document.ts'
import { openSender } from '../agent/vectors-sender.ts'
import { defined } from '../domain/defined.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { isHost, type Source, type SourceFormat } from '../domain/source.ts'
import { keepRenewed } from '../operate/enrol.ts'
import { adoptReader, prepareReader } from '../operate/facts-reader.ts'
import { fleetModelsOf } from '../operate/fleet-models.ts'
import { selfCommand } from '../operate/kernel-collector.ts'
import { openModelInUse } from '../operate/models.ts'
import { jsonLinesOutput } from '../outputs/json-lines.ts'
import { terminalOutput } from '../outputs/terminal.ts'
import { systemClock } from '../platform/clock.ts'
import { shrinkHeap } from '../platform/heap.ts'
import { closeSandbox, type OwnFiles } from '../platform/linux/sandbox.ts'
import { type ServiceManager, serviceManager } from '../platform/linux/service-manager.ts'
import { log } from '../platform/log.ts'
import { giveBackPages } from '../platform/pages.ts'
import { METRICS_SETTINGS, OUTPUT_SETTINGS, type Settings } from '../settings/keys.ts'
import { loadSettings } from '../settings/settings.ts'
import { isStateFile } from '../settings/state-directory.ts'
import { agentFlags } from './agent-flags.ts'
import {
  jsonArg,
  onReload,
  outputsIn,
  settingArgs,
  shutdownAfter,
  shutdownSignal,
} from './common.ts'
import { userInput } from './input-flags.ts'
import { inputExitCode, requireCounted, requireObserved } from './input-report.ts'
import { inputLedger, isFiltered, noteLedger, noteSent } from './run-report.ts'

export default defineCommand({
  meta: {
    name: 'watch',
    description: 'Watches this host and raises alerts about processes',
    examples: [
      'sudo agent watch # the best available source; alerts on the terminal',
      'sudo agent watch --broker mqtts://mq.example --ca ca.pem --site berlin',
      "sysdig -p '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name' 'evt.dir=< or evt.type=procexit' | agent watch --source -",
      'agent watch --source monday.scap --json',
      'sudo agent watch --send vectors --broker mqtts://mq.example # no model here: "agent aggregate --classify" has it',
      'sudo agent watch --webhook https://ntfy.example/alerts --webhook-template ntfy',
    ],
  },
  args: {
    ...settingArgs(
      ...(['source', 'sysdigMode', 'cpuMax', 'adapt', 'homeAssistant', 'modelKey'] as const),
      ...OUTPUT_SETTINGS,
      ...METRICS_SETTINGS,
    ),
    ...agentFlags,
    ...jsonArg,
  },
  async run({ args }) {
    const { settings, file } = loadSettings(args)
    const stop = shutdownSignal()
    // Who classifies elsewhere asks nothing about processes.
    const sendsVectors = settings.send.includes('vectors')
    const { source, why } = await chooseSource(settings.source, {
      signal: stop,
      stateDirectory: settings.state,
      sysdigMode: settings.sysdigMode,
      files: filesOf(settings, file),
      succession: successionOf(settings, file),
      beforeShedding: (user) => {
        if (!sendsVectors) prepareReader(selfCommand('read-facts'), user)
      },
    })
    const isThisHost = source.name !== 'file' && source.name !== 'pipe'
    // A source that leaves root its rights: then they are still here to be handed on.
    if (isThisHost && !sendsVectors) prepareReader(selfCommand('read-facts'), undefined)
    const signal = shutdownAfter(args.duration)
    stop.throwIfAborted()
    keepRenewed(settings.state, systemClock.now, log)
    if (sendsVectors) return sendVectors({ source, why, settings, signal }, args)
    const fleetModels =
      isThisHost || source.name === 'pipe'
        ? fleetModelsOf(settings, Math.floor(systemClock.now() / 1000))
        : undefined
    const model = await openModelInUse(settings.model, settings.state)
    shrinkHeap()
    giveBackPages()
    stop.throwIfAborted()
    const live = source.name !== 'file'
    const agent = openAgent({
      settings,
      model,
      source: { name: source.name, why },
      resume: isThisHost,
      // A recording has no CPU limit.
      live: true,
      ...(live && source.name !== 'pipe' && settings.adapt === 'auto'
        ? { adaptCommand: adaptCommand(settings) }
        : {}),
      secretIds: live,
      ...defined({ reader: isThisHost ? adoptReader() : undefined, fleetModels }),
      chosen: outputsIn(settings),
      outputs: [args.json ? jsonLinesOutput() : terminalOutput()],
      cpuMax: live ? settings.cpuMax : 0,
      counter: counterFor(source),
    })
    const metrics = openMetrics(settings, systemClock)
    log.info('Watching', { source: source.name, why, model: model.manifest.name })
    const manager = serviceManager()
    onReload(() => readAgain(agent, settings, args, manager))
    confine(source)
    signal.addEventListener('abort', () => manager.stopping(), { once: true })
    manager.ready()
    const { status, format, error } = await runAgent(
      agent,
      [source],
      {
        ...userInput({ ...args, format: settings.format }),
        onSecond: () => manager.alive(systemClock.monotonic()),
        onStatus: metrics.take,
      },
      signal,
    )
    await metrics.close()
    await agent.close()
    await agent.model.close()
    noteLedger(status, args.json)
    if (error !== undefined) throw error
    const code = exitCodeOf(source, status, format, args)
    return code === EXIT.ok && isFiltered(status) ? EXIT.degraded : code
  },
})

/** Only the kernel source leaves this process what it needs and no more. */
function confine({ name }: Source): void {
  if (name !== 'kernel') return
  const unfiltered = closeSandbox()
  if (unfiltered !== undefined) log.warn('Calls are not filtered', { why: unfiltered })
}

/** All that a watching agent uses beside the files of the system. */
function filesOf(settings: Settings, settingsFile: string | undefined): OwnFiles {
  const { state, alertFile, metricsFile, model, ca, cert, key } = settings
  const { brokerPasswordFile, webhookSecretFile } = settings
  // The directory, not the file: a certificate is renewed by a new file of the same name.
  const folder = (path: string | undefined) => (path === undefined ? [] : [dirname(resolve(path))])
  return {
    write: [resolve(state), ...folder(alertFile), ...folder(metricsFile)],
    read: [
      ...(model === undefined ? [] : [resolve(model)]),
      ...[settingsFile, ca, cert, key, brokerPasswordFile, webhookSecretFile].flatMap(folder),
    ],
  }
}

/** What whoever takes root's place must be able to read and write, file by file. */
function successionOf(settings: Settings, settingsFile: string | undefined) {
  const { state, alertFile, metricsFile, model, ca, cert, key } = settings
  const { brokerPasswordFile, webhookSecretFile } = settings
  const given = (paths: readonly (string | undefined)[]) =>
    paths.filter((path) => path !== undefined).map((path) => resolve(path))
  return {
    reads: given([
      ...[settingsFile, ca, cert, key, brokerPasswordFile, webhookSecretFile, model],
      ...(model === undefined ? [] : ['manifest.json', 'model.onnx'].map((of) => join(model, of))),
    ]),
    writes: given([alertFile, metricsFile]).flatMap((path) => [
      dirname(path),
      ...(existsSync(path) ? [path] : []),
    ]),
    isOurs: (name: string) => isStateFile(state, name),
  }
}

function readAgain(
  agent: Agent,
  used: Settings,
  flags: Readonly<Record<string, unknown>>,
  manager: ServiceManager,
): void {
  manager.reloading()
  try {
    tellReloaded(reload(agent, used, loadSettings(flags).settings))
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    log.error('Cannot read the settings again: those in use stay', { error: error.message })
  }
  manager.ready()
}

type WatchArgs = Parameters<typeof userInput>[0] & {
  readonly json?: boolean | undefined
  readonly failOnLoss?: boolean | undefined
}

interface Watched {
  readonly source: Source
  readonly why: string
  readonly settings: Settings
  readonly signal: AbortSignal
}

/** Counts, and leaves classifying to an aggregator. */
async function sendVectors(
  { source, why, settings, signal }: Watched,
  args: WatchArgs,
): Promise<number> {
  const sender = openSender({
    settings,
    source: { name: source.name, why },
    counter: counterFor(source),
    clock: systemClock,
  })
  const metrics = openMetrics(settings, systemClock)
  log.info('Sending vectors', { source: source.name, why })
  const manager = serviceManager()
  confine(source)
  signal.addEventListener('abort', () => manager.stopping(), { once: true })
  manager.ready()
  const { status, format, error, arrived } = await sender.run(
    [source],
    {
      ...userInput({ ...args, format: settings.format }),
      onSecond: () => manager.alive(systemClock.monotonic()),
      onStatus: metrics.take,
    },
    signal,
  )
  await metrics.close()
  sender.close()
  noteSent(status, args.json)
  if (error !== undefined) throw error
  if (!arrived && !isHost(source))
    throw new AgentError(
      'ERR_BROKER',
      `Cannot deliver ${status.vectors.queued} seconds: broker "${settings.broker}" did not accept them in time`,
      { hint: 'Vectors are not kept on disk: run it again when the broker is there' },
    )
  return exitCodeOf(source, status, format, args)
}

function counterFor(source: Source): NonNullable<AgentOptions['counter']> {
  const live = source.name !== 'file'
  return {
    latenessMs: latenessOf(source),
    ...(live ? { leaderName: leaderNameOf, followsClock: true } : {}),
    // The kernel source reports them; a pipe may come from another host.
    ...(source.name === 'sysdig' || source.name === 'bpftrace' ? { startOf: processStart } : {}),
  }
}

function exitCodeOf(
  source: Source,
  status: CommonStatus,
  format: SourceFormat | undefined,
  args: WatchArgs,
): number {
  const ledger = inputLedger(status)
  if (ledger.observed === 0 && shutdownSignal().aborted) return EXIT.interrupted
  if (isHost(source)) requireObserved(ledger, source.name)
  else requireCounted(ledger, source.path === undefined ? 'the input' : `"${source.path}"`)
  return inputExitCode(ledger, format, args)
}

function adaptCommand({ state, model }: Settings): string[] {
  const which = model === undefined ? [] : ['--model', model]
  return selfCommand('adapt', '--now', '--json', '--state', state, ...which)
}
