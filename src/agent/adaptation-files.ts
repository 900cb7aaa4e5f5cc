/**
 * The adaptation to this host on disk, in `adapted/` of the state directory: `adaptation.json`
 * (what the agent runs), `rows.bin` (windows of this host kept for the next time) and
 * `outcome.json` (what came of the last attempt). A command makes them, the running agent reads
 * them; each is written beside its place and moved into it.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { ADAPTATION_BYTES_MAX } from '../domain/limits.ts'
import type { AdaptationFigures } from '../model/adaptation.ts'

export interface AdaptOutcome {
  /** Id of the model. */
  readonly model: string
  /** Unix second of the last frame that it was made of. */
  readonly at: number
  /** The adaptation was taken into use. */
  readonly adapted: boolean
  /** Why not. */
  readonly refused?: string
  readonly figures?: AdaptationFigures
  /** Automatic adaptation is off until it is requested again. */
  readonly reverted?: boolean
}

export class AdaptationFiles {
  readonly #directory: string

  constructor(state: string) {
    this.#directory = join(state, 'adapted')
  }

  adaptation(): Uint8Array | undefined {
    return this.#read('adaptation.json')
  }

  rows(): Uint8Array | undefined {
    return this.#read('rows.bin')
  }

  outcome(): AdaptOutcome | undefined {
    const bytes = this.#read('outcome.json')
    if (bytes === undefined) return undefined
    try {
      const value = JSON.parse(new TextDecoder().decode(bytes)) as AdaptOutcome
      return typeof value?.model === 'string' && Number.isInteger(value.at) ? value : undefined
    } catch {
      return undefined
    }
  }

  /** Changes whenever the adaptation is replaced or removed. */
  stamp(): string {
    const path = join(this.#directory, 'adaptation.json')
    const facts = statSync(path, { throwIfNoEntry: false })
    return facts === undefined ? '' : `${facts.mtimeMs} ${facts.size} ${facts.ino}`
  }

  /** @param adaptation undefined keeps the previous one, which was better */
  put(outcome: AdaptOutcome, rows: Uint8Array, adaptation: Uint8Array | undefined): void {
    this.#write('rows.bin', rows)
    if (adaptation !== undefined) this.#write('adaptation.json', adaptation)
    this.#write('outcome.json', new TextEncoder().encode(JSON.stringify(outcome)))
  }

  /** Back to the shared model, without automatic adaptation. */
  revert(outcome: AdaptOutcome): void {
    for (const name of ['adaptation.json', 'rows.bin'])
      rmSync(join(this.#directory, name), { force: true })
    this.#write('outcome.json', new TextEncoder().encode(JSON.stringify(outcome)))
  }

  #read(name: string): Uint8Array | undefined {
    const path = join(this.#directory, name)
    const facts = statSync(path, { throwIfNoEntry: false })
    if (facts === undefined || !facts.isFile() || facts.size > ADAPTATION_BYTES_MAX)
      return undefined
    return readFileSync(path)
  }

  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.#directory, name)
    try {
      if (!existsSync(this.#directory)) mkdirSync(this.#directory, { mode: 0o700 })
      writeFileSync(`${path}.new`, bytes, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch (cause) {
      throw new AgentError('ERR_DISK', `Cannot write "${path}"`, { cause })
    }
  }
}
