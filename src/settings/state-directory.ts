/** The agent's own directory: what lies in it is believed (models, memory, rules), so nobody else may be able to put it there. */
import { AgentError } from '../domain/error.ts'
import { privateDirectory } from '../platform/linux/private-directory.ts'

/** Makes it where it is missing. @throws AgentError ERR_STATE where others could write to it, or we cannot */
export function requireOwnState(directory: string): void {
  const refused = privateDirectory(directory)
  if (refused === undefined) return
  throw new AgentError('ERR_STATE', `Cannot use state directory "${directory}": ${refused}`, {
    hint: 'Give a directory that only you can write to with --state DIR',
  })
}
