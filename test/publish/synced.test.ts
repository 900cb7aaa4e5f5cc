/**
 * What was accepted survives a power cut: each commit of the outbox and of the aggregator's store
 * waits for the disk. Seen from outside, by the calls that the process makes.
 */
import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canTrace } from '../support/privileges.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const checkout = join(import.meta.dir, '../..')
const COMMITS = 5

const PROGRAMS = {
  outbox: `
    import { writeSync } from 'node:fs'
    import { Outbox } from '${checkout}/src/publish/outbox.ts'
    import { sampleAlert } from '${checkout}/test/wire/samples.ts'
    const outbox = Outbox.open(process.argv[2], { site: 's', host: 'h' })
    writeSync(2, 'BEGIN')
    for (let i = 0; i < ${COMMITS}; i++) outbox.put([{ ...sampleAlert, id: String(i) }])
    writeSync(2, 'END')
    outbox.close()`,
  sqlite: `
    import { writeSync } from 'node:fs'
    import { openDatabase } from '${checkout}/src/platform/sqlite.ts'
    const schema = ['CREATE TABLE t(x)']
    const database = openDatabase(process.argv[2], { schema, synchronous: process.argv[3] })
    const insert = database.prepare('INSERT INTO t VALUES (1)')
    writeSync(2, 'BEGIN')
    for (let i = 0; i < ${COMMITS}; i++) database.transaction(() => void insert.run())
    writeSync(2, 'END')
    database.close()`,
}

/** How often the file was synced between the two words. */
function syncs(program: keyof typeof PROGRAMS, ...words: string[]): number {
  const folder = directory()
  const script = join(folder, 'program.ts')
  const trace = join(folder, 'trace')
  writeFileSync(script, PROGRAMS[program])
  const run = Bun.spawnSync([
    ...['strace', '-f', '-e', 'trace=fsync,fdatasync,write', '-o', trace],
    ...[process.execPath, script, join(folder, 'file.db'), ...words],
  ])
  if (!run.success) throw new Error(run.stderr.toString())
  const text = readFileSync(trace, 'utf8')
  const between = text.slice(text.indexOf('"BEGIN"'), text.indexOf('"END"'))
  return between.match(/\bf(?:data)?sync\(/g)?.length ?? 0
}

test.skipIf(!canTrace)(
  'each commit of the outbox waits for the disk',
  () => {
    expect(syncs('outbox')).toBeGreaterThanOrEqual(COMMITS)
  },
  60_000,
)

test.skipIf(!canTrace).each([
  ['full', COMMITS],
  ['normal', 0],
] as const)(
  'a database that is %s syncs so often',
  (how, least) => {
    const seen = syncs('sqlite', how)
    if (how === 'full') expect(seen).toBeGreaterThanOrEqual(least)
    else expect(seen).toBeLessThan(COMMITS)
  },
  60_000,
)
