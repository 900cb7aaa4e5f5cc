/**
 * Models of the fleet on this host's disk: `fleet.json` in `models/` of the state directory says which
 * one is in use and what became of the others, `fleet.part` holds what was fetched of the next one.
 * The models themselves lie beside those that `agent model use` copied, named as they are.
 *
 * `fleet.json` is a file and not a row of the local store, because a model is opened before the store
 * is, and by commands that never open it.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { FLEET_STATES, type FleetStateName } from '../domain/fleet-state.ts'
import {
  FLEET_MODEL_HEAD_BYTES_MAX,
  FLEET_MODEL_SPARE_BYTES,
  FLEET_MODEL_STARTS_MAX,
  FLEET_MODELS_REFUSED_MAX,
  FLEET_WATCH_SECONDS,
} from '../domain/limits.ts'
import { isRecord, parseJson, reading } from '../domain/untrusted.ts'
import type { Log } from '../platform/log.ts'
import { decodeFleetModel, type FleetModel, totalOf } from '../wire/fleet-model.ts'

export interface FleetModelUse {
  readonly digest: string
  readonly version: number
  /** Unix seconds. */
  readonly expires: number
}

export interface KeptFleetModel {
  /** Newest version that was seen, whatever became of it. */
  readonly newest: number
  /** That one is not for this host yet: the state is of an older one. */
  readonly waits: boolean
  readonly state: FleetStateName
  /** Being fetched. */
  readonly wanted?: FleetModel | undefined
  readonly use?: FleetModelUse | undefined
  /** In use before that. */
  readonly before?: FleetModelUse | undefined
  /** Unix seconds at which the use began. */
  readonly appliedAt: number
  /** Alerts of the worst hour of the day before. */
  readonly usual: number
  /** Starts of the agent since then. */
  readonly starts: number
  /** Digests of those that are not used here again, the newest last. */
  readonly refused: readonly string[]
}

export const NO_FLEET_MODEL: KeptFleetModel = {
  ...{ newest: 0, waits: true, state: 'waiting', appliedAt: 0, usual: 0, starts: 0, refused: [] },
}

export function modelDirectoryName(digest: string): string {
  return digest.slice(0, 16)
}

export class FleetModelFiles {
  readonly #folder: string

  /** @param state the state directory */
  constructor(state: string) {
    this.#folder = join(state, 'models')
  }

  get(): KeptFleetModel | undefined {
    const path = join(this.#folder, 'fleet.json')
    if (!existsSync(path)) return undefined
    const decoded = reading(() =>
      readKept(parseJson(readFileSync(path), 2 * FLEET_MODEL_HEAD_BYTES_MAX).rest()),
    )
    return decoded.ok ? decoded.value : undefined
  }

  /** @throws where the disk refuses */
  put(kept: KeptFleetModel): void {
    this.#write('fleet.json', new TextEncoder().encode(JSON.stringify(kept)))
  }

  /** A host that takes no models of the fleet any more; those that are here stay, unused. */
  forget(): void {
    // In another user's directory nothing is touched; the agent refuses it with the reason.
    if (!isOwnDirectory(this.#folder)) return
    rmSync(join(this.#folder, 'fleet.json'), { force: true })
    this.discardPart()
  }

  directory({ digest }: Pick<FleetModelUse, 'digest'>): string {
    return join(this.#folder, modelDirectoryName(digest))
  }

  has(model: Pick<FleetModelUse, 'digest'>): boolean {
    return existsSync(this.directory(model))
  }

  /** Twice its length: as it was fetched, and as files. */
  hasRoom(model: FleetModel): boolean {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = statfsSync(this.#folder)
    return bavail * bsize >= 2 * totalOf(model.files) + FLEET_MODEL_SPARE_BYTES
  }

  begin(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    writeFileSync(this.#part, '', { mode: 0o600 })
  }

  append(part: Uint8Array): void {
    appendFileSync(this.#part, part)
  }

  discardPart(): void {
    rmSync(this.#part, { force: true })
  }

  /** What was fetched, as a directory beside its place. @returns it */
  unpack(model: FleetModel): string {
    const bytes = readFileSync(this.#part)
    const aside = `${this.directory(model)}.new`
    rmSync(aside, { recursive: true, force: true })
    mkdirSync(aside, { mode: 0o700 })
    let at = 0
    for (const file of model.files) {
      writeSynced(join(aside, file.name), bytes.subarray(at, at + file.bytes))
      at += file.bytes
    }
    return aside
  }

  /** @param aside what `unpack` made */
  place(aside: string, model: FleetModel): void {
    const directory = this.directory(model)
    rmSync(directory, { recursive: true, force: true })
    renameSync(aside, directory)
    this.discardPart()
  }

  /** Of this one nothing is left, unless `agent model use` chose it. */
  drop(model: Pick<FleetModelUse, 'digest'>): void {
    rmSync(`${this.directory(model)}.new`, { recursive: true, force: true })
    this.#remove(model)
  }

  #remove(model: Pick<FleetModelUse, 'digest'>): void {
    const inUse = join(this.#folder, 'in-use')
    const chosen = existsSync(inUse) ? readFileSync(inUse, 'utf8').trim() : ''
    if (chosen === modelDirectoryName(model.digest)) return
    rmSync(this.directory(model), { recursive: true, force: true })
  }

  get #part(): string {
    return join(this.#folder, 'fleet.part')
  }

  #write(name: string, bytes: Uint8Array): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const path = join(this.#folder, name)
    writeSynced(`${path}.new`, bytes)
    renameSync(`${path}.new`, path)
  }
}

/**
 * Before a watching agent opens its model. A model whose use has expired is no longer used, nor is
 * one in whose first hour the agent had to be started again and again: it may be what ends it.
 * @param accepts models of the fleet
 * @param now Unix seconds
 */
export function beginFleetModel(
  files: FleetModelFiles,
  { accepts, now, log }: { readonly accepts: boolean; readonly now: number; readonly log: Log },
): void {
  if (!accepts) {
    files.forget()
    return
  }
  const kept = files.get()
  if (kept?.use === undefined) return
  if (kept.use.expires <= now) {
    files.put({ ...kept, use: undefined, before: undefined, state: 'expired' })
    return
  }
  if (now - kept.appliedAt > FLEET_WATCH_SECONDS) return
  if (kept.starts < FLEET_MODEL_STARTS_MAX) {
    files.put({ ...kept, starts: kept.starts + 1 })
    return
  }
  log.warn('The agent was started again and again with the model of the fleet: rolled back', {
    ...{ version: kept.use.version, model: modelDirectoryName(kept.use.digest) },
  })
  files.put(withoutUse(kept, 'rolled-back', now))
}

/** The one before it, or none, is in use then; it is not used again. */
export function withoutUse(
  kept: KeptFleetModel,
  state: 'rolled-back' | 'refused',
  now: number,
): KeptFleetModel {
  const { use, before } = kept
  const refused = use === undefined ? kept.refused : [...kept.refused, use.digest]
  return {
    ...kept,
    state,
    use: before !== undefined && before.expires > now ? before : undefined,
    before: undefined,
    // What is used again was watched in its own first hour.
    appliedAt: 0,
    refused: refused.slice(-FLEET_MODELS_REFUSED_MAX),
  }
}

/** Directory of the fleet's model that is in use, in `models/`; for commands, too. */
export function fleetModelName(state: string): string | undefined {
  const use = new FleetModelFiles(state).get()?.use
  return use === undefined ? undefined : modelDirectoryName(use.digest)
}

function readKept(value: Readonly<Record<string, unknown>>): KeptFleetModel | undefined {
  const { newest, waits, state, wanted, use, before, appliedAt, usual, starts, refused } = value
  const numbers = [newest, appliedAt, usual, starts]
  if (!numbers.every((one) => typeof one === 'number')) return undefined
  if (!FLEET_STATES.includes(state as FleetStateName)) return undefined
  const decoded =
    wanted === undefined
      ? undefined
      : decodeFleetModel(new TextEncoder().encode(JSON.stringify(wanted)))
  return {
    ...{ newest: newest as number, appliedAt: appliedAt as number, usual: usual as number },
    ...{ starts: starts as number, waits: waits === true, state: state as FleetStateName },
    wanted: decoded?.ok ? decoded.value : undefined,
    use: readUse(use),
    before: readUse(before),
    refused: Array.isArray(refused) ? refused.filter((one) => typeof one === 'string') : [],
  }
}

function readUse(value: unknown): FleetModelUse | undefined {
  if (!isRecord(value)) return undefined
  const { digest, version, expires } = value
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return undefined
  if (typeof version !== 'number' || typeof expires !== 'number') return undefined
  return { digest, version, expires }
}

function isOwnDirectory(path: string): boolean {
  const at = existsSync(path) ? lstatSync(path) : undefined
  return at?.isDirectory() === true && at.uid === process.geteuid?.()
}

/** On disk before its name is: after a loss of power there is no empty model. */
function writeSynced(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes, { mode: 0o600 })
  const file = openSync(path, 'r')
  fsyncSync(file)
  closeSync(file)
}
