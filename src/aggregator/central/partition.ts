/**
 * Which hosts an instance classifies where several share a broker: `--partition 2/3` is the second
 * of three. By a hash of the host's name, so that each host is always the same instance's, which
 * its sequences need; a shared subscription (`$share`) would scatter its messages.
 */
import { AgentError } from '../../domain/error.ts'
import { PARTITIONS_MAX } from '../../domain/limits.ts'

export interface Partition {
  /** 1…of */
  readonly number: number
  readonly of: number
}

/** @throws AgentError ERR_USAGE */
export function parsePartition(text: string): Partition {
  const [, number, of] = (/^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []).map(Number)
  if (number !== undefined && of !== undefined && number >= 1 && number <= of)
    if (of <= PARTITIONS_MAX) return { number, of }
  throw new AgentError('ERR_USAGE', `Cannot use --partition "${text}": it is not N/OF`, {
    hint: 'For example 1/3, 2/3 and 3/3 for three instances',
  })
}

export function isInPartition({ number, of }: Partition, site: string, host: string): boolean {
  return Bun.hash.crc32(`${site}/${host}`) % of === number - 1
}
