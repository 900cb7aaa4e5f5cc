/**
 * The model of the fleet on this host: which one is fetched, checked, used, and given up.
 *
 * Only a head that the aggregator signed, of a newer version than the newest seen and for this host's
 * share, is looked at. Parts are asked for one at a time and written to disk once their hash is that
 * of the head, so at most one part is in memory and no more is kept than the head says. What was
 * fetched is loaded as any model is: what cannot be used here is refused and not fetched again.
 *
 * The running agent takes the model between two seconds (`take`). In the first hour its alerts are
 * counted (fleet-watch.ts); if there are too many, the model before it is taken back and this one is
 * not used again, whatever version it comes with.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { calibrationOf } from '../classify/calibration-of.ts'
import { AgentError } from '../domain/error.ts'
import type { FleetState } from '../domain/fleet-state.ts'
import {
  FLEET_MODELS_REFUSED_MAX,
  FLEET_PART_WAIT_S,
  FLEET_PART_WAIT_S_MAX,
} from '../domain/limits.ts'
import { loadModel, MANIFEST_FILE, type Model, SIGNATURE_FILE } from '../model/model.ts'
import { checkSignature } from '../model/signature.ts'
import type { Log } from '../platform/log.ts'
import { canaryPlace } from '../wire/fleet-document.ts'
import { decodeFleetModel, type FleetModel, partLength } from '../wire/fleet-model.ts'
import { fleetPartTopic } from '../wire/topics.ts'
import {
  type FleetModelFiles,
  type FleetModelUse,
  type KeptFleetModel,
  modelDirectoryName,
  NO_FLEET_MODEL,
  withoutUse,
} from './fleet-model-files.ts'
import { type FleetWatchParts, harmSince, worstHour } from './fleet-watch.ts'

export interface FleetModelOptions extends FleetWatchParts {
  readonly site: string
  readonly host: string
  readonly files: FleetModelFiles
  /** Public key (PEM): only models that were signed with its private key are used. */
  readonly key?: string
  /** The model of this host without its fleet. */
  readonly openLocal: () => Promise<Model>
  /** Unix seconds. */
  readonly now: () => number
  readonly log: Log
}

/** A model that the agent is to go over to. */
export interface NextModel {
  readonly model: Model
  /** To be called once it is in use. */
  readonly taken: () => void
}

interface Fetching {
  readonly index: number
  /** When the part is asked for again, Unix seconds, and how long the next wait is. */
  readonly again: number
  readonly waitS: number
}

export class FleetModelKeeper {
  /** Told of each change. */
  onState: (state: FleetState) => void = () => {}
  /** Asks for this topic instead of the one before; undefined: for none. */
  onAsk: (topic: string | undefined) => void = () => {}
  readonly #options: FleetModelOptions
  #kept: KeptFleetModel
  #fetching: Fetching | undefined
  /** Nothing is begun before that, Unix seconds. */
  #notBefore = 0
  #next: NextModel | undefined
  /** Something is loaded or checked. */
  #busy: Promise<void> | undefined
  /** Digest of a model that lies here damaged. */
  #damaged: string | undefined

  /** @param digest of the model that the agent runs */
  constructor(options: FleetModelOptions, digest: string) {
    this.#options = options
    this.#kept = options.files.get() ?? NO_FLEET_MODEL
    if (this.#kept.wanted !== undefined) this.#waitForTurn(this.#kept.wanted)
    const { use } = this.#kept
    if (use === undefined || use.digest === digest) return
    options.log.warn('The model of the fleet could not be opened: another one is in use', {
      ...{ version: use.version, model: modelDirectoryName(use.digest) },
    })
    this.#keep({ ...withoutUse(this.#kept, 'refused', options.now()), use: undefined })
  }

  /** Version 0: none was seen. */
  get state(): FleetState {
    const { newest, waits, state } = this.#kept
    return { version: newest, state: waits ? 'waiting' : state }
  }

  /** A document of the aggregator's, whose signature was checked. @returns why it is not used */
  receive(payload: Uint8Array): string | undefined {
    const { site, host, now, log } = this.#options
    const decoded = decodeFleetModel(payload)
    if (!decoded.ok) return decoded.reason
    const model = decoded.value
    const kept = this.#kept
    const { version, digest, expires } = model
    if (model.site !== site) return 'other-site'
    // The retained document comes with each connection.
    if (version === kept.newest) return undefined
    if (version < kept.newest) return 'old-version'
    if (expires <= now()) return 'expired'
    if (canaryPlace(site, host) >= model.canary) {
      this.#keep({ ...kept, newest: version, waits: true })
      log.info('A model of the fleet is not for this host yet', { version, canary: model.canary })
      return undefined
    }
    const seen = { ...kept, newest: version, waits: false, wanted: undefined }
    this.#stopFetching()
    if (kept.use?.digest === digest) {
      this.#keep({ ...seen, state: 'active', use: { digest, version, expires } })
    } else if (kept.refused.includes(digest)) {
      this.#keep({ ...seen, state: kept.state === 'rolled-back' ? 'rolled-back' : 'refused' })
      log.warn('A model of the fleet is one that was given up here: it is not used again', {
        ...{ version, model: modelDirectoryName(digest) },
      })
    } else {
      this.#waitForTurn(model)
      this.#keep({ ...seen, state: 'fetching', wanted: model })
      log.info('A model of the fleet is fetched', { version, model: modelDirectoryName(digest) })
      this.tick()
    }
    return undefined
  }

  /** What came on the topic that was asked for. @returns why it is not used */
  part(payload: Uint8Array): string | undefined {
    const { files, site, now } = this.#options
    const { wanted } = this.#kept
    const fetching = this.#fetching
    if (wanted === undefined || fetching === undefined) return 'unasked'
    const { index } = fetching
    const isRight =
      payload.length === partLength(wanted, index) &&
      createHash('sha256').update(payload).digest('hex') === wanted.parts[index]
    // Asked for again in a while: the part of a newer model, or somebody else's.
    if (!isRight) return 'bad-part'
    if (!this.#onDisk(() => files.append(payload))) return 'disk'
    if (index + 1 < wanted.parts.length) {
      this.#fetching = {
        ...{ index: index + 1, again: now() + FLEET_PART_WAIT_S, waitS: 2 * FLEET_PART_WAIT_S },
      }
      this.onAsk(fleetPartTopic(site, index + 1))
      return undefined
    }
    this.#stopFetching()
    this.#begin(() => this.#install(wanted, true))
    return undefined
  }

  /** Every few seconds. */
  tick(): void {
    const { now, log } = this.#options
    const { use } = this.#kept
    const at = now()
    if (use !== undefined && at >= use.expires) {
      log.warn('The model of the fleet has expired: that of this host is used', {
        version: use.version,
      })
      this.#stopFetching()
      const { wanted, before } = this.#kept
      const unused = { ...this.#kept, use: undefined, before: undefined }
      this.#keep(wanted === undefined ? { ...unused, state: 'expired' } : unused)
      this.#goBack()
      this.#onDisk(() => {
        for (const one of [use, before]) if (one !== undefined) this.#options.files.drop(one)
      })
    } else if (use !== undefined) {
      const harm = harmSince(this.#options, this.#kept, at)
      if (harm !== undefined) this.#rollBack(use, harm)
    }
    this.#fetchOn(at)
  }

  /** The model that is to be used from now on, once. */
  take(): NextModel | undefined {
    const next = this.#next
    this.#next = undefined
    return next
  }

  /** It could not be taken now. */
  putBack(next: NextModel): void {
    this.#next ??= next
  }

  /** Resolves when nothing is loaded any more. */
  async settled(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy
  }

  async close(): Promise<void> {
    this.#stopFetching()
    await this.settled()
    await this.take()?.model.close()
  }

  // --- Fetching ----------------------------------------------------------------------------------

  /** Hosts of one share begin one after the other. */
  #waitForTurn({ site, canary, spread }: FleetModel): void {
    const { host, now } = this.#options
    this.#notBefore = now() + (spread * canaryPlace(site, host)) / canary
  }

  #fetchOn(at: number): void {
    const { wanted } = this.#kept
    if (wanted === undefined || this.#busy !== undefined || this.#next !== undefined) return
    if (wanted.expires <= at) {
      this.#stopFetching()
      this.#keep({ ...this.#kept, wanted: undefined, state: 'expired' })
      return
    }
    if (this.#fetching === undefined) this.#beginFetching(wanted, at)
    else if (at >= this.#fetching.again) {
      const { index, waitS } = this.#fetching
      const next = Math.min(2 * waitS, FLEET_PART_WAIT_S_MAX)
      this.#fetching = { index, again: at + waitS, waitS: next }
      this.onAsk(undefined)
      this.onAsk(fleetPartTopic(wanted.site, index))
    }
  }

  #beginFetching(wanted: FleetModel, at: number): void {
    const { files, log } = this.#options
    if (at < this.#notBefore) return
    if (files.has(wanted) && this.#damaged !== wanted.digest) {
      this.#begin(() => this.#install(wanted, false))
      return
    }
    const isReady = this.#onDisk(() => {
      if (!files.hasRoom(wanted)) throw new Error('too little space is left on the disk')
      files.begin()
    })
    if (!isReady) return
    log.debug('Fetching', { parts: wanted.parts.length })
    this.#fetching = { index: 0, again: at + FLEET_PART_WAIT_S, waitS: 2 * FLEET_PART_WAIT_S }
    this.onAsk(fleetPartTopic(wanted.site, 0))
  }

  #stopFetching(): void {
    if (this.#fetching === undefined) return
    this.#fetching = undefined
    this.onAsk(undefined)
  }

  /** A disk that refuses ends the attempt, not the agent. */
  #onDisk(work: () => void): boolean {
    const { files, log, now } = this.#options
    try {
      work()
      return true
    } catch (error) {
      log.warn('Cannot keep the model of the fleet; it is fetched again later', {
        why: String(error),
      })
      this.#stopFetching()
      this.#notBefore = now() + FLEET_PART_WAIT_S_MAX
      try {
        files.discardPart()
      } catch {
        // A disk that cannot be written: the next attempt begins the file anew.
      }
      return false
    }
  }

  // --- Use -----------------------------------------------------------------------------------------

  /** @param isNew it was fetched; else it lies there from before */
  async #install(wanted: FleetModel, isNew: boolean): Promise<void> {
    const { files, log } = this.#options
    let directory = files.directory(wanted)
    let model: Model | undefined
    try {
      if (isNew) directory = files.unpack(wanted)
      model = await this.#load(directory, wanted)
      if (isNew) files.place(directory, wanted)
    } catch (error) {
      await model?.close()
      if (!isNew) {
        // Fetched instead.
        this.#damaged = wanted.digest
      } else if (error instanceof AgentError && isVerdict(error)) {
        log.warn('A model of the fleet cannot be used here', { why: error.message })
        const refused = [...this.#kept.refused, wanted.digest].slice(-FLEET_MODELS_REFUSED_MAX)
        this.#onDisk(() => {
          files.drop(wanted)
          files.discardPart()
        })
        this.#keep({ ...this.#kept, wanted: undefined, state: 'refused', refused })
      } else {
        this.#onDisk(() => {
          throw error
        })
      }
      return
    }
    // A newer one came meanwhile.
    if (this.#kept.wanted?.digest !== wanted.digest) {
      await model.close()
      return
    }
    this.#next = { model, taken: () => this.#taken(wanted) }
  }

  async #load(directory: string, wanted: FleetModel): Promise<Model> {
    const { key, now } = this.#options
    if (key !== undefined) requireSignature(directory, key)
    const model = await loadModel(directory)
    try {
      if (model.digest !== wanted.digest || model.manifest.id !== wanted.id)
        throw new AgentError('ERR_SIGNATURE', `Cannot use model "${directory}": it is another one`)
      if (Date.parse(model.manifest.expires) / 1000 < now())
        throw new AgentError('ERR_MODEL', `Cannot use model "${directory}": it has expired`)
      calibrationOf(model)
      return model
    } catch (error) {
      await model.close()
      throw error
    }
  }

  #taken({ digest, version, expires }: FleetModel): void {
    const { files, log, now } = this.#options
    const { use, before } = this.#kept
    const at = now()
    this.#keep({
      ...this.#kept,
      ...{ wanted: undefined, state: 'active', use: { digest, version, expires }, before: use },
      ...{ appliedAt: at, usual: worstHour(this.#options, at), starts: 0 },
    })
    if (before !== undefined && before.digest !== digest) this.#onDisk(() => files.drop(before))
    log.info('Model of the fleet in use', { version, model: modelDirectoryName(digest) })
  }

  #rollBack(use: FleetModelUse, harm: { readonly alerts: number; readonly most: number }): void {
    const { log, now, files } = this.#options
    log.warn('The model of the fleet raises more alerts than before: rolled back', {
      ...{ version: use.version, model: modelDirectoryName(use.digest), ...harm },
    })
    this.#keep(withoutUse(this.#kept, 'rolled-back', now()))
    this.#goBack()
    this.#onDisk(() => files.drop(use))
  }

  /** To what is in use now: an older one of the fleet, or that of this host. */
  #goBack(): void {
    const { openLocal, files, log } = this.#options
    this.#begin(async () => {
      await this.take()?.model.close()
      const { use } = this.#kept
      let model: Model
      try {
        model = use === undefined ? await openLocal() : await loadModel(files.directory(use))
      } catch (error) {
        if (use === undefined) throw error
        log.warn('Cannot open the model before it', { why: String(error) })
        this.#keep({ ...this.#kept, use: undefined })
        model = await openLocal()
      }
      this.#next = { model, taken: () => log.info('Back to another model') }
    })
  }

  #begin(work: () => Promise<void>): void {
    const { log } = this.#options
    const before = this.#busy ?? Promise.resolve()
    const busy = before
      .then(work)
      .catch((error: unknown) => log.error('Cannot change the model', { error: String(error) }))
      .finally(() => {
        if (this.#busy === busy) this.#busy = undefined
      })
    this.#busy = busy
  }

  /** What cannot be written is in force all the same, until the next start. */
  #keep(kept: KeptFleetModel): void {
    this.#kept = kept
    try {
      this.#options.files.put(kept)
    } catch (error) {
      this.#options.log.warn('Cannot keep what became of the model of the fleet', {
        why: String(error),
      })
    }
    this.onState(this.state)
  }
}

/** About the model, not about the disk. */
function isVerdict({ code }: AgentError): boolean {
  return code === 'ERR_MODEL' || code === 'ERR_SIGNATURE'
}

function requireSignature(directory: string, key: string): void {
  const path = join(directory, SIGNATURE_FILE)
  if (!existsSync(path))
    throw new AgentError('ERR_SIGNATURE', `Cannot trust model "${directory}": it has no signature`)
  const manifest = readFileSync(join(directory, MANIFEST_FILE))
  checkSignature(manifest, readFileSync(path, 'utf8'), key, directory)
}
