/**
 * Runs the pipeline over a source until its end or the signal: bytes in at the source's pace, a
 * walk for each second that has closed (reading.ts), the ledger saved every few seconds.
 */
import { CallFamilies } from '../count/call-families.ts'
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import {
  DRAIN_MS,
  GIVE_BACK_EVERY_MS,
  INTERRUPTED_DRAIN_MS,
  LOSS_TOLD_EVERY_MS,
  MEMORY_SAVE_EVERY_MS,
  STATUS_SAVE_EVERY_MS,
} from '../domain/limits.ts'
import type { Source, SourceFormat, UserInput } from '../domain/source.ts'
import { version } from '../platform/embedded.ts'
import { giveBack } from '../platform/heap.ts'
import { processStart } from '../platform/linux/process-start.ts'
import { log } from '../platform/log.ts'
import { type Agent, fleetStates } from './agent.ts'
import { rulesInUse } from './fleet-policy.ts'
import { areGone, keepAlerts, untold } from './kept-alerts.ts'
import { keepBaseline } from './model-stages.ts'
import { finish, walk } from './pipeline.ts'
import { Reading } from './reading.ts'
import type { UnjudgedReason } from './seconds.ts'
import { ledgerOf, type StatusDocument } from './status-document.ts'

export interface RunOptions extends UserInput {
  /** Event seconds per second; Infinity: as fast as it can. */
  readonly pace?: number
  /** After each second, judged or not. */
  readonly onSecond?: () => void
  /** Each time that the ledger was saved, every few seconds and at the end. */
  readonly onStatus?: (status: StatusDocument) => void
  /** Every second has walked; what is open stays open until this resolves. */
  readonly beforeEnd?: () => Promise<void>
}

export interface RunOutcome {
  readonly status: StatusDocument
  /** Alerts that were opened or came back. */
  readonly raised: number
  /** What the input was, of several the last. */
  readonly format: SourceFormat | undefined
  /** What ended it before its end; all that came before is judged, kept and queued. */
  readonly error: unknown
  /** All that was to be sent has arrived. */
  readonly arrived: boolean
}

export async function runAgent(
  agent: Agent,
  sources: readonly Source[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const run = new Run(agent, options, signal)
  const before = raisedBy(agent)
  agent.publisher?.start()
  await run.begin()
  let error: unknown
  for (const source of sources) {
    try {
      await run.take(source)
    } catch (cause) {
      error = cause
    }
    if (error !== undefined || signal.aborted) break
  }
  await run.end(sources)
  // The final state of the outbox is that after its last deliveries.
  const drainMs = signal.aborted ? INTERRUPTED_DRAIN_MS : DRAIN_MS
  const arrived = (await agent.publisher?.end(drainMs)) ?? true
  const { format } = run
  return { status: run.save(true), raised: raisedBy(agent) - before, format, error, arrived }
}

/** Over the life of the state directory. */
function raisedBy({ stages }: Agent): number {
  const { opened, reopened } = stages.detector.status().alerts
  return opened + reopened
}

class Run {
  readonly #agent: Agent
  readonly #options: RunOptions
  readonly #signal: AbortSignal
  readonly #reading: Reading
  /** Of what somebody else captured: with a filter perhaps. */
  #families: CallFamilies | undefined
  #filterTold = false
  /** Where pacing began: event second and monotonic ms. */
  #paceFrom: { readonly index: number; readonly atMs: number } | undefined
  #savedAtMs = Number.NEGATIVE_INFINITY
  /** Lost, and not told yet. */
  #lost = 0
  #lossToldAtMs = Number.NEGATIVE_INFINITY
  #memorySavedAtMs: number
  #gaveBackAtMs: number

  constructor(agent: Agent, options: RunOptions, signal: AbortSignal) {
    this.#agent = agent
    this.#options = options
    this.#signal = signal
    this.#memorySavedAtMs = agent.clock.monotonic()
    this.#gaveBackAtMs = this.#memorySavedAtMs
    const { counter, clock, cost, seconds } = agent
    this.#reading = new Reading({
      ...{ counter, clock, cost, ledger: seconds, input: options, signal },
      process: (frame) => this.#walkOne(frame),
      after: (count) => {
        if (count > 0) options.onSecond?.()
        this.#saveNow()
      },
    })
  }

  get format(): SourceFormat | undefined {
    return this.#reading.format
  }

  async take(source: Source): Promise<void> {
    if (source.name === 'file' || source.name === 'pipe') this.#families ??= new CallFamilies()
    await this.#reading.take(source)
  }

  /** What the last run left to be told, and what ended since then. */
  async begin(): Promise<void> {
    const { stages, publisher, outbox, options, clock } = this.#agent
    if (publisher !== undefined)
      await stages.outputs.put(untold(this.#agent, outbox.before), undefined)
    if (!options.resume) return
    const now = Math.floor(clock.now() / 1000)
    const gone = stages.detector.closeWhere((of) => areGone(of, processStart), 'gone', now)
    await stages.outputs.put(gone, undefined)
  }

  async end(sources: readonly Source[]): Promise<void> {
    await this.#reading.end()
    await this.#options.beforeEnd?.()
    // A host that is watched goes on without us. A pipe may carry either: it is over when its
    // writer says so.
    const goesOn =
      this.#agent.options.resume ||
      (this.#signal.aborted && sources.some(({ name }) => name === 'pipe'))
    await finish(this.#agent.stages, !goesOn)
  }

  async #walkOne(frame: Frame): Promise<UnjudgedReason | undefined> {
    if (this.#families?.isFiltered(frame) === true) {
      this.#tellFiltered(this.#families.missing)
      return 'filtered'
    }
    await this.#keepPace(frame.index)
    const agent = this.#agent
    await agent.changeModel()
    this.#tellLoss(frame.lost)
    agent.lagMs = this.#reading.lagOf(frame)
    await walk(agent.stages, frame, this.#reading.sight)
    agent.stages.adaptation.tick(frame.index, agent.memory.since)
    return undefined
  }

  #tellFiltered(missing: readonly string[]): void {
    if (this.#filterTold) return
    this.#filterTold = true
    log.warn('The capture was made with a filter on calls: nothing in it can be judged', {
      missing: missing.join(', '),
    })
  }

  /**
   * A second with losses raises no alert. Losses can be forced by an attacker, so they are
   * reported.
   */
  #tellLoss(lost: number): void {
    this.#lost += lost
    const now = this.#agent.clock.monotonic()
    if (this.#lost === 0 || now - this.#lossToldAtMs < LOSS_TOLD_EVERY_MS) return
    log.warn('Calls were lost: windows with these seconds raise no alerts', { calls: this.#lost })
    this.#lossToldAtMs = now
    this.#lost = 0
  }

  async #keepPace(index: number): Promise<void> {
    const { pace = Number.POSITIVE_INFINITY } = this.#options
    if (!Number.isFinite(pace) || this.#signal.aborted) return
    const now = this.#agent.clock.monotonic()
    this.#paceFrom ??= { index, atMs: now }
    const waitMs = this.#paceFrom.atMs + ((index - this.#paceFrom.index) * 1000) / pace - now
    if (waitMs <= 0) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      this.#signal.addEventListener('abort', done)
    })
  }

  /** What cannot be saved now is saved next time. */
  #saveNow(): void {
    const now = this.#agent.clock.monotonic()
    try {
      if (now - this.#memorySavedAtMs >= MEMORY_SAVE_EVERY_MS) {
        this.#memorySavedAtMs = now
        keepBaseline(this.#agent)
      }
      if (now - this.#gaveBackAtMs >= GIVE_BACK_EVERY_MS) {
        this.#gaveBackAtMs = now
        giveBack()
      }
      if (now - this.#savedAtMs >= STATUS_SAVE_EVERY_MS) this.save(false)
    } catch (error) {
      log.error('Cannot save baseline and ledger', { error: String(error) })
    }
  }

  /** Saves the ledger. @param ended the agent ends after this */
  save(ended: boolean): StatusDocument {
    const agent = this.#agent
    this.#savedAtMs = agent.clock.monotonic()
    keepAlerts(agent, [])
    for (const { label, from, to } of agent.local.labels.list())
      if (label !== 'fine') agent.stages.detector.hostLevel.exclude(from, to)
    if (ended) keepBaseline(agent)
    else {
      Object.assign(agent.stages.detector, rulesInUse(agent))
      agent.fleetModel?.tick()
    }
    const status = this.#status()
    agent.local.ledger.put({
      savedAtMs: agent.clock.now(),
      pid: process.pid,
      ended,
      ledger: status,
    })
    this.#options.onStatus?.(status)
    return status
  }

  #status(): StatusDocument {
    const { stages, counter, outbox, publisher, cost, options, seconds } = this.#agent
    const { startedMs, lagMs } = this.#agent
    const { buffer, detector } = stages
    const collector = this.#reading.parser?.status
    return {
      v: 1,
      startedMs,
      version,
      site: options.settings.site,
      host: options.settings.host,
      source: options.source,
      model: this.#agent.model.classes.modelId,
      ...ledgerOf({ counter, outbox }, seconds),
      detection: detector.status(),
      lagMs,
      buffer: {
        ...buffer.ledger(),
        ...buffer.size(),
        ...defined({ problem: buffer.problem }),
      },
      key: this.#agent.publicKey,
      ...fleetStates(this.#agent),
      ...(publisher === undefined ? {} : { publisher: publisher.state() }),
      sight: stages.sight.status(),
      cost: cost.read(),
      governor: stages.governor.status(),
      facts: stages.facts.status(),
      adaptation: stages.adaptation.status(),
      outputs: stages.outputs.status(),
      ...defined({ collector }),
    }
  }
}
