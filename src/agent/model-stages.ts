/**
 * The stages that depend on the model, and how a running agent goes over to another one: between two
 * seconds, as a restart with that model would, without the seconds that a restart costs. Alerts that
 * are open stay open under their ids; sequences are refilled from the buffer. The baseline of the
 * model before is kept: its states mean nothing to the new one, and all to the old one where that
 * comes back.
 */
import type { LocalStore } from '../buffer/local-store.ts'
import { calibrationOf } from '../classify/calibration-of.ts'
import { Explainer } from '../classify/explainer.ts'
import { Detector } from '../detect/detector.ts'
import { HostMemory } from '../detect/memory.ts'
import { claimsNothing, memoryName } from '../detect/names.ts'
import { ShortLives } from '../detect/short-lives.ts'
import { defined } from '../domain/defined.ts'
import type { Proof } from '../domain/finding.ts'
import type { ModelClasses } from '../domain/prediction.ts'
import { HostClasses } from '../model/adaptation.ts'
import { Classifier } from '../model/classifier.ts'
import { sequenceSeconds } from '../model/manifest.ts'
import type { Model } from '../model/model.ts'
import { sequencerOf } from '../model/sequencer.ts'
import type { Clock } from '../platform/clock.ts'
import { log } from '../platform/log.ts'
import { hostSecret } from '../settings/host-secret.ts'
import type { Settings } from '../settings/keys.ts'
import { AdaptationFiles } from './adaptation-files.ts'
import type { FactKeeper } from './fact-keeper.ts'
import { type FleetPolicyKeeper, rulesInUse } from './fleet-policy.ts'
import { HostAdaptation } from './host-adaptation.ts'
import { keepAlerts, restoreDetection } from './kept-alerts.ts'
import type { OwnCost } from './own-cost.ts'
import { type Stages, warm } from './pipeline.ts'

export interface ModelParts {
  readonly model: Model
  readonly classes: HostClasses
  readonly memory: HostMemory
  readonly stages: Pick<
    Stages,
    'shortLives' | 'sequencer' | 'classifier' | 'adaptation' | 'detector' | 'explainer'
  >
}

/** Of the agent's options. */
interface Options {
  readonly settings: Pick<Settings, 'state' | 'host' | 'falseAlarmsPerDay' | 'learn'>
  readonly resume: boolean
  readonly secretIds?: boolean
  readonly adaptCommand?: readonly string[]
  readonly memory?: Uint8Array
}

/** Of the agent: what changes with the model, and what the change needs. */
interface ModelUser {
  readonly options: Options
  readonly clock: Clock
  readonly local: LocalStore
  readonly stages: Stages
  readonly model: Model
  readonly memory: HostMemory
  readonly publisher: { announce(presence: { readonly model: string }): void } | undefined
}

/** What does not depend on the model. */
export interface Around {
  readonly options: Options
  readonly rules: {
    readonly local: LocalStore
    readonly fleetPolicy: FleetPolicyKeeper | undefined
  }
  readonly facts: FactKeeper
  readonly cost: OwnCost
  /** Told of each change of the classes. */
  readonly onClasses: (names: readonly string[]) => void
  readonly proofs: () => readonly Proof[]
}

/** @throws AgentError where the model is not enough to watch with */
export function modelParts(model: Model, around: Around): ModelParts {
  const { options, rules, facts, cost, onClasses, proofs } = around
  const calibration = calibrationOf(model)
  const memory = new HostMemory(model.classes.modelId, calibration.whitening.size)
  restoreMemory(memory, rules.local, options.memory)
  const classifier = new Classifier(model)
  const sequencer = sequencerOf(model)
  const classes = new HostClasses(model.classes, memoryName)
  const adaptation = new HostAdaptation({
    ...{ model, classes, calibration, files: new AdaptationFiles(options.settings.state) },
    ...defined({ command: options.adaptCommand }),
    onClasses: () => onClasses(classes.names),
    onCost: (seconds) => cost.putAside(seconds),
  })
  const detector = new Detector({
    ...{ classes, calibration, memory },
    ...operatorsWishes(options, rules),
    ...(facts.canAsk ? { facts } : {}),
    proofs: () => [...proofs()],
  })
  adaptation.begin(detector)
  const explainer = new Explainer({ model, calibration, sequencer, classifier, detector })
  const shortLives = new ShortLives()
  return {
    ...{ model, classes, memory },
    stages: { shortLives, sequencer, classifier, adaptation, detector, explainer },
  }
}

/** Names that a class of the model stands for. */
export function namesOf(classes: () => ModelClasses): (name: string) => boolean {
  return (name) => {
    const known = classes()
    const claimed = claimsNothing(name) ? undefined : known.claimedBy(name)
    return claimed !== undefined && claimed !== known.background
  }
}

/** Fills what a model's parts know of the past: alerts, levels, the last seconds. */
export function resumeWith(agent: ModelUser): void {
  const { options, model, stages, clock } = agent
  restoreDetection(agent, options.secretIds !== true)
  const pastSeconds = sequenceSeconds(model.manifest) - 1
  if (options.resume) warm(stages, pastSeconds, Math.floor(clock.now() / 1000))
}

/** The baseline of this host and the maxima of its ordinary hours. */
export function keepBaseline({ local, memory, stages }: ModelUser): void {
  local.memory.put(memory.snapshot())
  local.hostLevel.put(stages.detector.hostLevel.snapshot())
}

/**
 * Between two seconds. The model before it is closed.
 * @returns false where the state of open alerts could not be kept: nothing has changed then
 */
export async function useModel(agent: ModelUser, model: Model, around: Around): Promise<boolean> {
  if (!keepAlerts(agent, [])) return false
  keepBaseline(agent)
  const { local, model: before, memory, stages } = agent
  const parts = modelParts(model, around)
  // For its return.
  if (before.classes.modelId !== model.classes.modelId) local.memoryBefore.put(memory.snapshot())
  stages.adaptation.close()
  Object.assign(agent, { model, classes: parts.classes, memory: parts.memory })
  Object.assign(stages, parts.stages)
  resumeWith(agent)
  stages.summariser.useClasses(parts.classes.names)
  agent.publisher?.announce({ model: model.classes.modelId })
  log.info('Another model is in use', { model: model.manifest.name, baseline: memorySince(agent) })
  await before.close()
  return true
}

/** Of these two at most one was made with the same net. */
function restoreMemory(memory: HostMemory, local: LocalStore, other?: Uint8Array): void {
  for (const kept of [local.memory.get() ?? other, local.memoryBefore.get()])
    if (kept !== undefined && memory.restore(kept)) return
}

function memorySince({ memory }: Pick<ModelUser, 'memory'>): string {
  return memory.since === 0 ? 'empty' : `since ${new Date(memory.since * 1000).toISOString()}`
}

/** What settings and rules say of detection. */
function operatorsWishes({ settings, secretIds }: Options, rules: Around['rules']) {
  return {
    host: settings.host,
    falseAlertsPerDay: settings.falseAlarmsPerDay,
    learnSeconds: settings.learn / 1000,
    ...rulesInUse(rules),
    ...(secretIds === true ? { secret: hostSecret(settings.state, 'alert-ids.secret') } : {}),
  }
}
