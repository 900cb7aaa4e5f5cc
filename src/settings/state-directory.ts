/**
 * The agent's own directory. Its content (models, baseline, rules) is trusted, so no other user may
 * be able to write to it.
 */
import { AgentError } from '../domain/error.ts'
import { privateDirectory } from '../platform/linux/private-directory.ts'

/**
 * Creates it if it is missing. @throws AgentError ERR_STATE if others can write to it, or we cannot
 */
export function requireOwnState(directory: string): void {
  const refused = privateDirectory(directory)
  if (refused === undefined) return
  throw new AgentError('ERR_STATE', `Cannot use state directory "${directory}": ${refused}`, {
    hint: 'Give a directory that only you can write to with --state DIR',
  })
}
