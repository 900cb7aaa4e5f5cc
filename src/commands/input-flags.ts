/** What can be said of input beside its name: one list for every command that counts, so that they cannot drift apart. */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { UserInput } from '../domain/source.ts'
import { wholeNumber } from './common.ts'

export const inputFlags = {
  onlyHost: {
    type: 'string',
    description:
      'of a frames file of several hosts, read this one; default: that of its first line',
    valueHint: 'NAME',
  },
  pid: {
    type: 'string',
    description: 'strace of one process: the lines without a pid are those of this one',
    valueHint: 'N',
  },
  name: { type: 'string', description: 'with --pid: what it is called', valueHint: 'NAME' },
  date: {
    type: 'string',
    description:
      'date of the first line, where lines have a time of day only; default: as the file is dated',
    valueHint: 'YYYY-MM-DD',
  },
  failOnLoss: {
    type: 'boolean',
    description: 'exit 11 where any call was seen and not counted, for whatever reason',
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
  throw new AgentError('ERR_USAGE', `Cannot use --date "${date}": it is no date`, {
    hint: 'Write it as 2026-11-30',
  })
}
