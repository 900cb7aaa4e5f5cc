/** Whether a watching agent takes models of its fleet, and what it begins with. */
import { readFileSync } from 'node:fs'
import type { AgentOptions } from '../agent/agent.ts'
import { beginFleetModel, FleetModelFiles } from '../agent/fleet-model-files.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { requirePublicKey } from '../model/signature.ts'
import { log } from '../platform/log.ts'
import type { Settings } from '../settings/keys.ts'
import { requireOwnState } from '../settings/state-directory.ts'
import { openLocalModel } from './models.ts'

/**
 * Before the model is opened.
 * @param now Unix seconds
 * @returns undefined where none are taken: not asked for, no broker, or the operator named a model
 * @throws AgentError where the key that they must be signed with cannot be read
 */
export function fleetModelsOf(
  settings: Pick<Settings, 'state' | 'model' | 'modelKey' | 'acceptFleet' | 'broker'>,
  now: number,
): AgentOptions['fleetModels'] {
  const { state, model, modelKey, acceptFleet, broker } = settings
  const wants = acceptFleet.includes('model') && broker !== undefined
  const accepts = wants && model === undefined
  if (accepts) requireOwnState(state)
  beginFleetModel(new FleetModelFiles(state), { accepts, now, log })
  if (wants && !accepts)
    log.warn('Models of the fleet are not taken: the setting "model" names one')
  if (!accepts) return undefined
  const key = modelKey === undefined ? undefined : readModelKey(modelKey)
  return { ...defined({ key }), openLocal: () => openLocalModel(undefined, state) }
}

function readModelKey(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AgentError(
      'ERR_CONFIG',
      `Cannot read "${path}" for --model-key: ${(cause as Error).message}`,
      { hint: 'Give the PEM file of the public key: openssl pkey -in key.pem -pubout' },
    )
  }
  requirePublicKey(text, path)
  return text
}
