/** A facts reader for tests, with the rights that it has in the agent, and processes to look at. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findingsOf, type KnowsName } from '../../src/detect/findings.ts'
import type { Finding } from '../../src/domain/finding.ts'
import type { Process } from '../../src/domain/process.ts'
import type { FactQuestion, ProcessFacts } from '../../src/domain/process-facts.ts'
import { procStat } from '../../src/facts/proc-files.ts'
import { adoptReader, type FactsReader, prepareReader } from '../../src/facts/reader.ts'

export function startReader(): FactsReader {
  prepareReader(
    [process.execPath, join(import.meta.dir, '../fixtures/programs/read-facts.ts')],
    undefined,
  )
  const reader = adoptReader()
  if (reader === undefined) throw new Error('no rights to read facts')
  return reader
}

export async function ask(
  reader: FactsReader,
  pid: number,
  ...questions: FactQuestion[]
): Promise<ProcessFacts> {
  const answer = await reader.ask(pid, 0, questions)
  if (typeof answer === 'string') throw new Error(answer)
  return answer
}

const DEFAULT_KNOWN = new Set(['nginx', 'redis-server', 'haproxy', 'postgres', 'find', 'rsync'])

/** What the facts of a running process say, under the name it bears now. */
export async function findingsAbout(
  reader: FactsReader,
  pid: number,
  questions: FactQuestion[],
  knows: KnowsName = (name) => DEFAULT_KNOWN.has(name),
): Promise<Finding[]> {
  const facts = await ask(reader, pid, ...questions)
  const process: Process = { pid, startMs: 0, name: procStat(pid)?.name ?? '' }
  return findingsOf(process, facts, knows)
}

/** A directory for programs and files of one test file. */
export function workplace(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'callsign-facts-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
