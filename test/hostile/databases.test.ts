/**
 * Mutated databases: each is used, or set aside and begun anew; none ends the agent, and writing
 * works afterwards.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import { RollingBuffer } from '../../src/buffer/rolling-buffer.ts'
import { AgentError } from '../../src/domain/error.ts'
import { createLog } from '../../src/platform/log.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { frameOf } from '../support/hand-frames.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert } from '../wire/samples.ts'
import { cpuMs, mutate, ONE_INPUT_MS, RUNS, randomOf } from './mutate.ts'

setDefaultTimeout(3_000_000)
const directory = temporaryDirectories()
const log = createLog({ write: () => {} })
/** Opening one costs some milliseconds of disk. */
const DATABASES = Math.round(RUNS / 20)

const use: Readonly<Record<string, (path: string) => void>> = {
  'frames.db': (path) => {
    const buffer = RollingBuffer.open(path, { log })
    buffer.readLast(10)
    buffer.append(frameOf(1_800_000_000 + buffer.size().frames, []))
    buffer.close()
  },
  'outbox.db': (path) => {
    const outbox = Outbox.open(path, { site: 's', host: 'h', log })
    outbox.put([sampleAlert])
    outbox.close()
  },
  'local.db': (path) => {
    const local = LocalStore.open(path, { log })
    local.memory.get()
    local.alerts.list()
    local.alerts.put([sampleAlert])
    local.allowed.list()
    local.memory.put(new Uint8Array(100))
    local.close()
  },
  'aggregate.db': (path) => {
    const store = new SqliteStore(path)
    store.close()
  },
}

describe.each(Object.keys(use))('%s', (name) => {
  test(`${DATABASES} mutants`, () => {
    const place = directory()
    const path = join(place, name)
    const act = use[name]!
    for (let i = 0; i < 3; i++) act(path)
    const seed = readFileSync(path)
    const random = randomOf(3)
    let slowest = 0
    for (let run = 0; run < DATABASES; run++) {
      rmSync(place, { recursive: true, force: true })
      mkdirSync(place)
      // Pages are four kilobytes: a mutation of the head and the first pages hits what matters more
      // often.
      const bytes = mutate(run % 2 === 0 ? seed : seed.subarray(0, 8_192), random)
      writeFileSync(
        path,
        run % 2 === 0 ? bytes : Buffer.concat([bytes, seed.subarray(bytes.length)]),
      )
      const began = cpuMs()
      try {
        act(path)
      } catch (error) {
        if (!(error instanceof AgentError)) throw new Error(`run ${run}`, { cause: error })
      }
      slowest = Math.max(slowest, cpuMs() - began)
    }
    expect(slowest).toBeLessThan(ONE_INPUT_MS)
  })
})
