/**
 * What can be said of input beside its name: one list for every command that counts, so that they
 * cannot drift apart.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { UserInput } from '../domain/source.ts'
import { wholeNumber } from './common.ts'

export const inputFlags = {
  onlyHost: {
    type: 'string',
    description:
      'for a frames file with several hosts: read this one; default: the host of the first line',
    valueHint: 'NAME',
  },
  pid: {
    type: 'string',
    description: 'for strace of one process: pid of the lines without one',
    valueHint: 'N',
  },
  name: { type: 'string', description: 'with --pid: name of that process', valueHint: 'NAME' },
  date: {
    type: 'string',
    description:
      'date of the first line, if lines have only a time of day; default: from the mtime of the file',
    valueHint: 'YYYY-MM-DD',
  },
  failOnLoss: {
    type: 'boolean',
    description: 'exit with code 11 if any call was lost or dropped',
  },
} as const

interface InputArgs {
  readonly format?: string | undefined
  readonly onlyHost?: string | undefined
  readonly pid?: string | undefined
  readonly name?: string | undefined
  readonly date?: string | undefined
}

/** @throws AgentError ERR_USAGE for a pid or a date that is none */
export function userInput({ format, onlyHost, pid, name, date }: InputArgs): UserInput {
  return defined({
    format,
    host: onlyHost,
    pid: wholeNumber(pid, 'pid', 1, 0x7fff_ffff),
    name,
    dateMs: date === undefined ? undefined : midnightOf(date),
  })
}

function midnightOf(date: string): number {
  const midnight = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN
  if (!Number.isNaN(midnight)) return midnight
  throw new AgentError('ERR_USAGE', `Cannot use --date "${date}": it is not a date`, {
    hint: 'Write it as 2026-11-30',
  })
}
