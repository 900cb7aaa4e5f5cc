/**
 * The models of this agent. In use is the one of `--model DIR`, else that of the fleet where this
 * host takes them (agent/fleet-model.ts), else the one selected by `agent model use`, else the
 * shipped model.
 *
 * Chosen models are copied to `models/` in the state directory, named by the first 16 digits of
 * their digest; `in-use` there holds the name. Copies, so that changes of the original directory do
 * not affect the agent.
 */
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fleetModelName } from '../agent/fleet-model-files.ts'
import { AgentError } from '../domain/error.ts'
import type { Manifest } from '../model/manifest.ts'
import {
  CARD_FILE,
  loadModel,
  MANIFEST_FILE,
  type Model,
  type ModelFiles,
  ONNX_FILE,
  openModel,
  REFERENCES_FILE,
  readModelFiles,
  SIGNATURE_FILE,
} from '../model/model.ts'
import { checkSignature, signManifest } from '../model/signature.ts'
import { hasAsset, readAsset } from '../platform/assets.ts'
import { troubleWithOwner } from '../platform/linux/private-directory.ts'
import { log } from '../platform/log.ts'
import { requireOwnState } from '../settings/state-directory.ts'

export type { Model }

const NAME = /^[0-9a-f]{16}$/
export const CAME_WITH = 'default'

export interface ListedModel {
  /** `default`, or the first digits of its id. */
  readonly name: string
  readonly directory: string
  readonly inUse: boolean
  readonly manifest: Manifest | undefined
  /** Why it cannot be used, where it cannot. */
  readonly trouble: string | undefined
}

/** @param given the setting `model` */
export async function openModelInUse(given: string | undefined, state: string): Promise<Model> {
  if (given === undefined) {
    const fleet = await openFleetModel(state)
    if (fleet !== undefined) return fleet
  }
  return openLocalModel(given, state)
}

/** Without that of the fleet. */
export async function openLocalModel(given: string | undefined, state: string): Promise<Model> {
  const { files, where } = await localModelFiles(given, state)
  return openModel(files, where)
}

/** One that cannot be opened leaves the host with its own: it must not end an agent. */
async function openFleetModel(state: string): Promise<Model | undefined> {
  const name = fleetModelName(state)
  if (name === undefined) return undefined
  requireOwnState(state)
  try {
    return await loadModel(directoryOf(state, name))
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    log.warn('Cannot open the model of the fleet: that of this host is used', {
      why: error.message,
    })
    return undefined
  }
}

/** The same as bytes. @param given the setting `model` */
export async function modelFilesInUse(
  given: string | undefined,
  state: string,
): Promise<{ readonly files: ModelFiles; readonly where: string }> {
  const fleet = given === undefined ? fleetModelName(state) : undefined
  if (fleet !== undefined && existsSync(directoryOf(state, fleet))) {
    requireOwnState(state)
    const where = directoryOf(state, fleet)
    return { files: await readModelFiles(where), where }
  }
  return localModelFiles(given, state)
}

async function localModelFiles(
  given: string | undefined,
  state: string,
): Promise<{ readonly files: ModelFiles; readonly where: string }> {
  if (given !== undefined) {
    requireTrustedModel(given)
    return { files: await readModelFiles(given), where: given }
  }
  // Who can write there could replace the model.
  if (existsSync(inUsePath(state))) requireOwnState(state)
  const name = await nameInUse(state)
  const where = name === CAME_WITH ? CAME_WITH : directoryOf(state, name)
  return { files: await modelFiles(where), where }
}

/**
 * @throws AgentError ERR_PERMISSION for files that somebody else may change: they decide what is
 *   called an attack
 */
function requireTrustedModel(directory: string): void {
  for (const path of [
    directory,
    ...[MANIFEST_FILE, ONNX_FILE].map((file) => join(directory, file)),
  ]) {
    const why = existsSync(path) ? troubleWithOwner(path) : undefined
    if (why === undefined) continue
    throw new AgentError('ERR_PERMISSION', `Cannot trust model "${directory}": "${path}" ${why}`, {
      hint: 'Make it yours and writable for you alone (chown, chmod go-w), or copy it: agent model use DIR',
    })
  }
}

export function openShippedModel(): Promise<Model> {
  return openModel(shippedModelFiles(), CAME_WITH)
}

/** @param which a directory, or `default` */
export async function modelFiles(which: string): Promise<ModelFiles> {
  return which === CAME_WITH ? shippedModelFiles() : await readModelFiles(which)
}

function shippedModelFiles(): ModelFiles {
  const references = `models/default/${REFERENCES_FILE}`
  return {
    manifest: readAsset(`models/default/${MANIFEST_FILE}`),
    onnx: readAsset(`models/default/${ONNX_FILE}`),
    ...(hasAsset(references) && { references: readAsset(references) }),
  }
}

export async function listModels(state: string): Promise<ListedModel[]> {
  const inUse = fleetModelName(state) ?? (await nameInUse(state))
  const names = existsSync(join(state, 'models'))
    ? (await readdir(join(state, 'models'))).filter((name) => NAME.test(name)).sort()
    : []
  const listed: ListedModel[] = []
  for (const name of [CAME_WITH, ...names]) {
    const directory = name === CAME_WITH ? CAME_WITH : directoryOf(state, name)
    const own = { name, directory, inUse: name === inUse }
    try {
      const model = name === CAME_WITH ? await openShippedModel() : await loadModel(directory)
      await model.close()
      listed.push({ ...own, manifest: model.manifest, trouble: undefined })
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      listed.push({ ...own, manifest: undefined, trouble: error.message })
    }
  }
  return listed
}

/**
 * Checks the model and makes it the one in use. @param which a directory, a name of `listModels`,
 * or `default`
 */
export async function useModel(which: string, state: string): Promise<string> {
  requireOwnState(state)
  const models = join(state, 'models')
  await mkdir(models, { recursive: true, mode: 0o700 })
  let name = which
  if (which !== CAME_WITH) {
    const known = NAME.test(which) && existsSync(directoryOf(state, which))
    const from = known ? directoryOf(state, which) : which
    const model = await loadModel(from)
    await model.close()
    name = known ? which : model.digest.slice(0, 16)
    if (!known) await copyModel(from, directoryOf(state, name))
  }
  await writeFile(join(models, 'in-use.new'), `${name}\n`, { mode: 0o600 })
  await rename(join(models, 'in-use.new'), join(models, 'in-use'))
  return name
}

export interface Verified {
  readonly manifest: Manifest
  readonly digest: string
  readonly signature: 'none' | 'not checked' | 'good'
}

/** Everything that loading checks, and the signature where a key is given. */
export async function verifyModel(
  directory: string,
  publicKey: string | undefined,
): Promise<Verified> {
  const model = directory === CAME_WITH ? await openShippedModel() : await loadModel(directory)
  await model.close()
  const { manifest, digest } = model
  const signaturePath = join(directory, SIGNATURE_FILE)
  const signed = directory !== CAME_WITH && existsSync(signaturePath)
  if (publicKey === undefined)
    return { manifest, digest, signature: signed ? 'not checked' : 'none' }
  if (!signed)
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot trust model "${directory}": it has no signature`,
      {
        hint: 'Sign it with "agent model sign DIR --key key.pem"',
      },
    )
  const bytes = await readFile(join(directory, MANIFEST_FILE))
  checkSignature(bytes, await readFile(signaturePath, 'utf8'), publicKey, directory)
  return { manifest, digest, signature: 'good' }
}

export async function signModel(directory: string, privateKey: string): Promise<void> {
  const model = await loadModel(directory)
  await model.close()
  const signature = signManifest(await readFile(join(directory, MANIFEST_FILE)), privateKey)
  await writeFile(join(directory, SIGNATURE_FILE), `${signature}\n`)
}

async function nameInUse(state: string): Promise<string> {
  const path = inUsePath(state)
  if (!existsSync(path)) return CAME_WITH
  const name = (await readFile(path, 'utf8')).trim()
  if (name !== CAME_WITH && !NAME.test(name))
    throw new AgentError(
      'ERR_MODEL',
      `Cannot find the model in use: "${path}" has no name of a model`,
      {
        hint: 'Choose one with "agent model use default"',
      },
    )
  return name
}

function inUsePath(state: string): string {
  return join(state, 'models', 'in-use')
}

function directoryOf(state: string, name: string): string {
  return join(state, 'models', name)
}

async function copyModel(from: string, to: string): Promise<void> {
  const aside = `${to}.new`
  await rm(aside, { recursive: true, force: true })
  await mkdir(aside, { recursive: true, mode: 0o700 })
  for (const file of [MANIFEST_FILE, ONNX_FILE, REFERENCES_FILE, CARD_FILE, SIGNATURE_FILE]) {
    if (!existsSync(join(from, file))) continue
    await copyFile(join(from, file), join(aside, file))
    await chmod(join(aside, file), 0o600)
  }
  await rm(to, { recursive: true, force: true })
  await rename(aside, to)
}
