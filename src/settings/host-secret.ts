/**
 * Secrets of this host alone: 32 random bytes each as hex, made at the first start and kept in the
 * state directory, readable by the agent only.
 *
 * `alert-ids.secret`: ids of alerts are made with it; without it an id cannot be predicted, and an
 * alert not closed in advance. `host.key`: the private key that signs what this host sends.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { isOurFile } from '../platform/linux/private-directory.ts'

export type SecretFile = 'alert-ids.secret' | 'host.key'

const SECRET = /^[0-9a-f]{64}$/

/**
 * @param directory the state directory, not writable for other users. @throws AgentError ERR_STATE
 */
export function hostSecret(directory: string, file: SecretFile): string {
  const path = join(directory, file)
  const known = read(path)
  if (known !== undefined) return known
  const secret = randomBytes(32).toString('hex')
  try {
    const { O_CREAT, O_TRUNC, O_WRONLY, O_NOFOLLOW } = constants
    const file = openSync(`${path}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
    writeSync(file, `${secret}\n`)
    fsyncSync(file)
    closeSync(file)
    // Whole or not at all: half a secret would be another one.
    renameSync(`${path}.new`, path)
  } catch (cause) {
    throw new AgentError('ERR_STATE', `Cannot write "${path}": ${(cause as Error).message}`, {
      hint: 'Free disk space, or give another directory with --state DIR',
      cause,
    })
  }
  return secret
}

/** A file that is not whole, or that others could have written, is replaced. */
function read(path: string): string | undefined {
  try {
    if (!isOurFile(path)) return undefined
    const text = readFileSync(path, 'utf8').trim()
    return SECRET.test(text) ? text : undefined
  } catch {
    return undefined
  }
}
