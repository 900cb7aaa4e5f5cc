/**
 * The agent's own directory. Its content (models, baseline, rules) is trusted, so no other user may
 * be able to write to it.
 */
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { becomeUser } from '../platform/linux/capabilities.ts'
import { userFor } from '../platform/linux/owner.ts'
import { privateDirectory } from '../platform/linux/private-directory.ts'

/**
 * Creates it if it is missing. @throws AgentError ERR_STATE if others can write to it, or we cannot
 */
export function requireOwnState(directory: string): void {
  const refused = privateDirectory(directory)
  if (refused === undefined) return
  const owner = lstatSync(directory, { throwIfNoEntry: false })?.uid
  const isAnothers = process.geteuid?.() === 0 && owner !== undefined && owner !== 0
  throw new AgentError('ERR_STATE', `Cannot use state directory "${directory}": ${refused}`, {
    hint: isAnothers
      ? `Run this as its user (sudo -u '#${owner}'), or give a directory that only you can write to with --state DIR`
      : 'Give a directory that only you can write to with --state DIR',
  })
}

/**
 * Root beside an agent of another user: what it writes must be that user's, and what it reads there
 * decides nothing about root. So it becomes the directory's owner, for good; what it needs as root
 * comes before. Nothing happens where the directory is root's or not there, or we are not root.
 */
export function actAsOwner(directory: string): void {
  if (process.geteuid?.() !== 0) return
  const user = userFor(directory, '/')
  const isThere = lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
  if (isThere && user !== undefined) becomeUser(user)
}

const OURS =
  /^((lock|frames|outbox|local|aggregate)\.db.*|lib|models|chisels|adapted|live\.sock|.*\.secret|host\.key)$/

/** Whether a file or directory of this name in a state directory is an agent's. */
export function isStateFile(directory: string, name: string): boolean {
  // Others have a "tls", too.
  return OURS.test(name) || (name === 'tls' && existsSync(join(directory, 'tls/enrolment.json')))
}
