/**
 * Our chisel as a file: sysdig reads it from a path. It is in the agent's own directory, which no
 * one else can write to, for sysdig runs it as root.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { privateDirectory, temporaryDirectory } from '../platform/linux/private-directory.ts'
import text from './chisel.lua' with { type: 'text' }

/** @returns the path to give to `sysdig -c` */
export function placeChisel(stateDirectory?: string): string {
  const own = stateDirectory === undefined ? undefined : join(stateDirectory, 'chisels')
  const refused = own === undefined ? 'no directory was given' : privateDirectory(own)
  const directory = own !== undefined && refused === undefined ? own : temporaryDirectory()
  if (directory === undefined) {
    throw new AgentError('ERR_STATE', `Cannot write the chisel: "${own}" ${refused}`, {
      hint: 'Give a directory that only you can write to by --state',
    })
  }
  const path = join(directory, 'callsign.lua')
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, text, { mode: 0o600 })
  renameSync(fresh, path)
  return path
}
