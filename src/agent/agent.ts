/**
 * Builds the pipeline from settings: opens the state directory, restores the state of the last run,
 * and connects the stages together. The only place that knows all of them. Also the way back:
 * `close` leaves everything on disk.
 *
 * State directory: lock.db (one agent a directory), frames.db (rolling buffer), outbox.db, local.db
 * (memory of the host, ledger, alerts), alert-ids.secret, host.key, lib/ (native libraries of the compiled
 * binary), chisels/.
 */
import { join } from 'node:path'
import { LocalStore } from '../buffer/local-store.ts'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import { Counter, type CounterOptions } from '../count/counter.ts'
import type { DetectorStatus } from '../detect/detector-status.ts'
import type { HostLevelStatus } from '../detect/host-level.ts'
import type { HostMemory } from '../detect/memory.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { FleetState, FleetStates } from '../domain/fleet-state.ts'
import type { Guarantee } from '../domain/summary.ts'
import type { FactsReader } from '../facts/reader.ts'
import type { HostClasses } from '../model/adaptation.ts'
import type { Model } from '../model/model.ts'
import { type ChosenOutputs, chosenOutputs } from '../outputs/chosen.ts'
import { localOutput } from '../outputs/local.ts'
import { outboxOutput } from '../outputs/outbox.ts'
import type { Output } from '../outputs/output.ts'
import { Outputs } from '../outputs/outputs.ts'
import { type Clock, systemClock } from '../platform/clock.ts'
import { version } from '../platform/embedded.ts'
import { openIdentity } from '../platform/identity.ts'
import { processStart } from '../platform/linux/process-start.ts'
import { log } from '../platform/log.ts'
import { type BrokerAddress, parseBrokerUrl, readTlsFiles } from '../platform/mqtt/client.ts'
import { lockDirectory } from '../platform/sqlite.ts'
import { Outbox } from '../publish/outbox.ts'
import { Publisher } from '../publish/publisher.ts'
import type { DeliveryPolicy, PublisherOptions } from '../publish/publisher-options.ts'
import { type Gauges, Summariser } from '../publish/summariser.ts'
import { hostSecret } from '../settings/host-secret.ts'
import type { PIPELINE_SETTINGS, Settings } from '../settings/keys.ts'
import { brokerLogin } from '../settings/settings.ts'
import { actAsOwner, requireOwnState } from '../settings/state-directory.ts'
import { homeAssistantAnnouncements } from '../wire/home-assistant.ts'
import { FactKeeper } from './fact-keeper.ts'
import { FleetModelKeeper } from './fleet-model.ts'
import { FleetModelFiles } from './fleet-model-files.ts'
import { FleetPolicyKeeper } from './fleet-policy.ts'
import { Governor } from './governor.ts'
import { keepAlerts } from './kept-alerts.ts'
import { type LiveAgent, LiveView } from './live-view.ts'
import { type Around, modelParts, namesOf, resumeWith, useModel } from './model-stages.ts'
import { CpuMeter, OwnCost } from './own-cost.ts'
import type { Stages } from './pipeline.ts'
import type { SecondsLedger } from './seconds.ts'
import { Sight, type SightOptions } from './sight.ts'
import { LABELLED_FRAMES, WindowsAnswers } from './windows-answers.ts'

export type AgentSettings = Pick<
  Settings,
  Exclude<(typeof PIPELINE_SETTINGS)[number], 'format' | 'model'> | 'brokerPassword'
> &
  Partial<Pick<Settings, 'homeAssistant'>>

export interface AgentOptions {
  readonly settings: AgentSettings
  readonly model: Model
  readonly source: { readonly name: string; readonly why: string }
  readonly counter?: CounterOptions
  /** Sequences go on where the last run stopped: right for a live host, wrong for a capture. */
  readonly resume: boolean
  /** A memory to begin with where the state has none: what this host lived through before. */
  readonly memory?: Uint8Array
  readonly clock?: Clock
  /** Percent of a core above which less is judged; 0 or absent: no cap. */
  readonly cpuMax?: number
  /** Reads facts about processes of this host; absent for recordings and without permissions. */
  readonly reader?: FactsReader
  /**
   * Adapts the model to this host in a process of its own: right for a live host, wrong for a
   * capture.
   */
  readonly adaptCommand?: readonly string[]
  /** `agent top` may look on. */
  readonly live?: boolean
  /**
   * Ids of alerts are made with the host's secret: for a host that is watched. A recording gives
   * the same ids everywhere.
   */
  readonly secretIds?: boolean
  /** Where alerts and summaries go beside the local store and the broker. */
  readonly outputs?: readonly Output[]
  /** Those that settings ask for. */
  readonly chosen?: ChosenOutputs
  /** Models of the fleet are taken: for a host that is watched, whose operator named no model. */
  readonly fleetModels?: {
    /** Public key (PEM) that they must be signed with. */
    readonly key?: string
    /** The model of this host without its fleet. */
    readonly openLocal: () => Promise<Model>
  }
}

export interface Agent {
  readonly stages: Stages
  readonly counter: Counter
  readonly local: LocalStore
  readonly outbox: Outbox
  /** In use, with its classes and the baseline of this host that goes with it. */
  readonly model: Model
  readonly classes: HostClasses
  readonly memory: HostMemory
  readonly publisher: Publisher | undefined
  /** Where this host accepts a policy of its fleet. */
  readonly fleetPolicy: FleetPolicyKeeper | undefined
  /** Where this host accepts models of its fleet. */
  readonly fleetModel: FleetModelKeeper | undefined
  /** Of the key that signs what this host sends. */
  readonly publicKey: string
  readonly cost: OwnCost
  readonly options: AgentOptions
  readonly clock: Clock
  readonly startedMs: number
  /** Seconds taken and not judged; written by the run, read by the gauges. */
  readonly seconds: SecondsLedger
  /** Lag of the last frame, ms; written by the run, read by the gauges. */
  lagMs: number
  /** Between two seconds: goes over to another model, where one is ready. */
  changeModel(): Promise<void>
  /**
   * Closes the files. What has not been delivered by then waits in the outbox for the next start.
   */
  close(): Promise<void>
}

/**
 * @throws AgentError where the state directory cannot be used, or the settings contradict each
 *   other
 */
export function openAgent(options: AgentOptions): Agent {
  const { settings, model, clock = systemClock } = options
  const broker = brokerOf(settings)
  requireState(settings.state, options.source.name)
  const lock = lockDirectory(settings.state)
  try {
    const local = LocalStore.open(join(settings.state, 'local.db'))
    const buffer = RollingBuffer.open(join(settings.state, 'frames.db'))
    const { site, host } = settings
    const identity = openIdentity(hostSecret(settings.state, 'host.key'))
    const outbox = Outbox.open(join(settings.state, 'outbox.db'), { site, host })
    const counter = new Counter(options.counter)
    const cost = new OwnCost(clock, () => counter.ledger().observed, options.reader?.pid)
    const facts = new FactKeeper(
      options.reader,
      namesOf(() => agent.classes),
    )
    const summariser = new Summariser({ site, host, gauges: () => gaugesOf(agent) })
    const fleetPolicy = fleetPolicyOf(options, { local, clock })
    const fleetModel = fleetModelOf(options, { local, clock })
    const around: Around = {
      ...{ options, rules: { local, fleetPolicy }, facts, cost },
      onClasses: (names) => summariser.useClasses(names),
      proofs: () => [...facts.proofs(), ...agent.stages.sight.proofs()],
    }
    const parts = modelParts(model, around)
    summariser.useClasses(parts.classes.names)
    const judging = new CpuMeter()
    const governor = new Governor({
      cpuMax: options.cpuMax ?? 0,
      clock,
      cpuSeconds: () => cost.cpuSeconds(),
      judgingSeconds: () => judging.seconds,
      judge: {
        standing: (process) => agent.stages.detector.standing(process),
        hold: (processes) => agent.stages.detector.hold(processes),
      },
    })
    const agent: Agent = {
      counter,
      local,
      outbox,
      model,
      classes: parts.classes,
      memory: parts.memory,
      cost,
      options,
      clock,
      startedMs: clock.now(),
      seconds: { frames: 0, lastFrame: 0, unjudged: {} },
      lagMs: 0,
      stages: {
        buffer,
        ...parts.stages,
        facts,
        outputs: outputsOf(() => agent, { local, outbox, clock, options }),
        governor,
        judging,
        sight: new Sight(watchedBy(options, () => agent)),
        live: new LiveView({
          get classes() {
            return agent.classes
          },
          get detector() {
            return agent.stages.detector
          },
          about: () => describeAgent(agent),
        }),
        summariser,
      },
      fleetPolicy,
      fleetModel,
      publisher: publisherOf(options, {
        ...{ broker, signer: identity, outbox, clock, fleetPolicy, fleetModel },
        ...defined({ questions: questionsOf(options, { local, buffer, clock }) }),
      }),
      publicKey: identity.publicKey,
      async changeModel() {
        const next = fleetModel?.take()
        if (next === undefined) return
        if (await useModel(agent, next.model, around)) next.taken()
        else fleetModel?.putBack(next)
      },
      async close() {
        await fleetModel?.close()
        agent.stages.live.close()
        agent.stages.adaptation.close()
        agent.stages.facts.close()
        await agent.stages.outputs.close()
        await agent.publisher?.end(0)
        buffer.close()
        outbox.close()
        local.close()
        lock.release()
      },
    }
    resumeWith(agent)
    if (options.live === true) agent.stages.live.open(settings.state)
    return agent
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Reading a live source may need what root has; whoever reads files can be the state's owner. */
function requireState(state: string, source: string): void {
  if (['file', 'pipe', 'memory'].includes(source)) actAsOwner(state)
  requireOwnState(state)
}

/** @param agent itself: outputs are asked for while it is put together */
function outputsOf(agent: () => Agent, { local, outbox, clock, options }: AgentParts): Outputs {
  const { site, host, broker, send, delivery } = options.settings
  const sendCommandLines = send.includes('command-lines')
  return new Outputs({ site, host, numbering: outbox, clock, sendCommandLines }, [
    localOutput((alerts) => keepAlerts(agent(), alerts)),
    // Without a broker nothing is queued that nothing would ever take.
    ...(broker === undefined && delivery !== 'file' ? [] : [outboxOutput(outbox)]),
    ...chosenOutputs({
      ...options.chosen,
      ...{ queue: local.webhookQueue, mailQueue: local.mailQueue, now: clock.now },
    }),
    ...(options.outputs ?? []),
  ])
}

type AgentParts = Pick<Agent, 'local' | 'outbox' | 'clock' | 'options'>

/** What a summary says beside the frames. */
function gaugesOf({ stages, counter, cost, outbox, seconds, lagMs }: Agent): Gauges {
  return {
    dropped: counter.ledger().dropped,
    alertsOpen: stages.detector.status().alerts.open,
    lagMs,
    outboxRows: outbox.queued,
    ...cost.read(),
    reduced: stages.governor.reduced,
    unjudged: { ...seconds.unjudged },
    missed: {
      ...missedBy(stages.detector.status()),
      'seconds-blind': stages.sight.blindSeconds,
    },
    guarantee: guaranteeOf(stages.detector.hostLevel.status()),
  }
}

/** Whether it sees is asked of an agent that watches its host. */
function watchedBy({ resume }: AgentOptions, agent: () => Agent): SightOptions | undefined {
  if (!resume) return undefined
  const startMs = (processStart(process.pid) ?? 0) * 1000
  const self = { pid: process.pid, startMs, name: 'agent', exe: process.execPath }
  return {
    self,
    state() {
      const { stages, lagMs } = agent()
      // Alerts about it have a context, too; once it is there, nothing is asked.
      stages.facts.want(self, 'agent-blinded')
      const { share, most } = stages.detector.unrest
      const factsSilentMs = stages.facts.silentMs
      return { lagMs, factsSilentMs, unrest: share, deviating: most }
    },
  }
}

function guaranteeOf({ hours, needed, alertHoursMax }: HostLevelStatus): Guarantee {
  return { hours, needed, ...defined({ alertHoursMax }) }
}

/** What detection does not tell. */
function missedBy({ alerts, undecided }: DetectorStatus): Record<string, number> {
  return { 'alerts-held': alerts.held, 'windows-blind': undecided.incomplete }
}

/** The agent about itself, for `agent top`. */
function describeAgent({ stages, counter, cost, options, lagMs }: Agent): LiveAgent {
  const { level, does } = stages.governor.status()
  return {
    host: options.settings.host,
    source: options.source.name,
    ...cost.read(),
    lagMs,
    level,
    does,
    alertsOpen: stages.detector.status().alerts.open,
    dropped: counter.ledger().dropped,
  }
}

/** @throws AgentError where the address or its certificates cannot be used */
export function brokerOf(settings: AgentSettings): BrokerAddress | undefined {
  if (settings.broker === undefined) return undefined
  if (settings.delivery === 'file')
    throw new AgentError('ERR_CONFIG', 'Cannot use --delivery file together with --broker', {
      hint: 'Messages either go to the broker, or are kept for "agent export"',
    })
  const broker = parseBrokerUrl(settings.broker)
  readTlsFiles(broker, brokerLogin(settings).tls)
  return broker
}

/** Without a broker nothing is delivered, whatever counts as it. */
export function deliveryOf(delivery: AgentSettings['delivery']): DeliveryPolicy | undefined {
  return delivery === 'file' ? undefined : delivery
}

function publisherOf(
  { settings, model, source }: AgentOptions,
  parts: Pick<PublisherOptions, 'signer' | 'outbox' | 'clock' | 'questions'> & {
    broker: BrokerAddress | undefined
    fleetPolicy: FleetPolicyKeeper | undefined
    fleetModel: FleetModelKeeper | undefined
  },
): Publisher | undefined {
  const { broker, fleetPolicy, fleetModel, ...others } = parts
  const { site, host, delivery, aggregatorKey } = settings
  if (broker === undefined) return undefined
  const publisher = new Publisher({
    ...others,
    ...{ site, host, broker, aggregatorKeys: aggregatorKey },
    ...defined({ delivery: deliveryOf(delivery) }),
    fleet: {
      ...(fleetPolicy === undefined ? {} : { policy: (one) => fleetPolicy.receive(one) }),
      ...(fleetModel === undefined ? {} : { model: (one) => fleetModel.receive(one) }),
    },
    ...(fleetModel === undefined ? {} : { onPart: (part) => fleetModel.part(part) }),
    ...defined({
      announcements:
        settings.homeAssistant === undefined
          ? undefined
          : homeAssistantAnnouncements(settings.homeAssistant, { site, host, version }),
    }),
    presence: {
      ...{ version, model: model.classes.modelId, source: source.name },
      ...fleetStates(parts),
    },
    ...brokerLogin(settings),
  })
  const tell = () => publisher.announce(fleetStates(parts))
  if (fleetPolicy !== undefined) fleetPolicy.onState = tell
  if (fleetModel !== undefined) {
    fleetModel.onState = tell
    fleetModel.onAsk = (topic) => publisher.ask(topic)
  }
  return publisher
}

/**
 * What became of the fleet's documents; nothing where none are accepted. Version 0 says that one is
 * accepted of which none was seen (a policy alone needs no such word).
 */
export function fleetStates({
  fleetPolicy,
  fleetModel,
}: Pick<Agent, 'fleetPolicy' | 'fleetModel'>): { readonly fleet?: FleetStates } {
  if (fleetPolicy === undefined && fleetModel === undefined) return {}
  const none = fleetModel === undefined ? undefined : UNSEEN
  const policy = fleetPolicy === undefined ? undefined : (fleetPolicy.state ?? none)
  return { fleet: defined({ policy, model: fleetModel?.state }) }
}

const UNSEEN: FleetState = { version: 0, state: 'waiting' }

function fleetPolicyOf(
  { settings }: AgentOptions,
  { local, clock }: Pick<Agent, 'local' | 'clock'>,
): FleetPolicyKeeper | undefined {
  const { acceptFleet, site, host } = settings
  if (!acceptFleet.includes('policy')) return undefined
  return new FleetPolicyKeeper({
    ...{ site, host, document: local.fleetPolicy, alerts: local.alerts, labels: local.labels, log },
    now: () => Math.floor(clock.now() / 1000),
  })
}

/** Where this host answers questions for windows of its alerts. */
function questionsOf(
  { settings }: AgentOptions,
  { local, buffer, clock }: Pick<Agent, 'local' | 'clock'> & Pick<Stages, 'buffer'>,
): WindowsAnswers | undefined {
  const { acceptFleet, site, host, state } = settings
  if (!acceptFleet.includes('windows')) return undefined
  return new WindowsAnswers({
    ...{ site, host, alerts: local.alerts, buffer, labelled: join(state, LABELLED_FRAMES) },
    nowMs: clock.monotonic,
  })
}

function fleetModelOf(
  { settings, fleetModels, model }: AgentOptions,
  { local, clock }: Pick<Agent, 'local' | 'clock'>,
): FleetModelKeeper | undefined {
  if (fleetModels === undefined) return undefined
  const { site, host, state } = settings
  const files = new FleetModelFiles(state)
  return new FleetModelKeeper(
    {
      ...{ site, host, files, alerts: local.alerts, labels: local.labels, log, ...fleetModels },
      now: () => Math.floor(clock.now() / 1000),
    },
    model.digest,
  )
}
