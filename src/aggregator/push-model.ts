/**
 * A model directory for a fleet: loaded once, so that what no agent could use is not sent to any,
 * and cut into parts.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import {
  FLEET_MODEL_BYTES_MAX,
  FLEET_MODEL_BYTES_PER_S,
  FLEET_MODEL_SPREAD_S_MAX,
} from '../domain/limits.ts'
import { ENOUGH_FOR_ALERTS } from '../model/manifest.ts'
import { openModel } from '../model/model.ts'
import { encodeFleetModel, FLEET_MODEL_FILES, partsOf } from '../wire/fleet-model.ts'
import { type Push, type Pushed, pushDocument } from './push-document.ts'
import type { Store } from './store/store.ts'

export interface ModelToPush extends Push {
  readonly directory: string
}

export interface PushedModel extends Pushed {
  readonly digest: string
  readonly bytes: number
  readonly isSigned: boolean
  /** Seconds over which hosts fetch it. */
  readonly spread: number
}

/** @throws AgentError where it is no model that agents can watch with */
export async function pushModel(store: Store, push: ModelToPush): Promise<PushedModel> {
  const { directory, nowMs } = push
  const files = FLEET_MODEL_FILES.filter((name) => existsSync(join(directory, name)))
  const bytes = files.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
  const refused = (why: string, hint: string) =>
    new AgentError('ERR_INPUT', `Cannot push model "${directory}": ${why}`, { hint })
  if (!files.includes('manifest.json') || !files.includes('model.onnx'))
    throw refused(
      'it has no manifest.json and model.onnx',
      'Give a directory that "agent train" made',
    )
  if (bytes > FLEET_MODEL_BYTES_MAX)
    throw refused(
      `it has ${bytes} bytes, at most ${FLEET_MODEL_BYTES_MAX} are sent`,
      'Train a smaller one, or copy it to the hosts and use "agent model use"',
    )
  // Read once: what is checked is what is sent.
  const read = files.map((name) => ({ name, content: readFileSync(join(directory, name)) }))
  const of = (name: string) => read.find((file) => file.name === name)?.content ?? new Uint8Array()
  const model = await openModel(
    { manifest: of('manifest.json'), onnx: of('model.onnx') },
    directory,
  )
  await model.close()
  const { manifest, digest } = model
  if (manifest.detection === undefined)
    throw refused('its manifest has no "detection"', ENOUGH_FOR_ALERTS)
  if (Date.parse(manifest.expires) < nowMs)
    throw refused(`it expired on ${manifest.expires.slice(0, 10)}`, 'Train a new one')
  const parts = partsOf(Buffer.concat(read.map(({ content }) => content)))
  let spread = 0
  const pushed = await pushDocument(
    store,
    'model',
    push,
    (head, accepting) => {
      const hosts = (accepting * push.canary) / 100
      spread = Math.min(
        Math.floor((hosts * bytes) / FLEET_MODEL_BYTES_PER_S),
        FLEET_MODEL_SPREAD_S_MAX,
      )
      return encodeFleetModel({
        ...{ ...head, digest, id: manifest.id, spread },
        files: read.map(({ name, content }) => ({ name, bytes: content.length })),
        parts: parts.map((part) => createHash('sha256').update(part).digest('hex')),
      })
    },
    parts,
  )
  return { ...pushed, digest, bytes, spread, isSigned: files.includes('signature') }
}
