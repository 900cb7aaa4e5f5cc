/**
 * Which model counts: the one that the operator names, else the one that `agent model use` put into the state,
 * else the one that came with the agent (read from inside the binary, never unpacked).
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MANIFEST_FILE, type Model, ONNX_FILE, openModel, readModelFiles } from '../model/model.ts'
import { readAsset } from '../platform/assets.ts'
import type { Settings } from './settings.ts'

export const DEFAULT_MODEL = 'models/default'

export interface ChosenModel {
  readonly model: Model
  readonly why: string
}

export async function openChosenModel(
  settings: Pick<Settings, 'model' | 'state'>,
): Promise<ChosenModel> {
  const inUse = modelInUse(settings.state)
  const named = settings.model ?? (existsSync(join(inUse, MANIFEST_FILE)) ? inUse : undefined)
  if (named !== undefined) {
    const why = settings.model === undefined ? 'in use on this host' : 'as set'
    return { model: await openModel(await readModelFiles(named), named), why }
  }
  const files = {
    manifest: readAsset(`${DEFAULT_MODEL}/${MANIFEST_FILE}`),
    onnx: readAsset(`${DEFAULT_MODEL}/${ONNX_FILE}`),
  }
  return { model: await openModel(files, 'default'), why: 'came with the agent' }
}

/** Where `agent model use` puts the model of this host. */
export function modelInUse(state: string): string {
  return join(state, 'model')
}
