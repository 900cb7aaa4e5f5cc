/** Each way of counting, also those for kernels older than this one: loaded for real, exact. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Drain } from '../../../src/collect/kernel/drain.ts'
import { openCounter } from '../../../src/collect/kernel/open.ts'
import { RecordWriter } from '../../../src/collect/kernel/records.ts'
import { Counter } from '../../../src/count/counter.ts'
import { KernelRecordsParser } from '../../../src/parse/kernel-records.ts'
import { callsOf, compileCalls, makes32BitCalls, refusal, run } from '../../support/kernel.ts'

const here = refusal === undefined ? '' : ` (skipped: ${refusal})`
const SKIP = refusal !== undefined

let calls: ReturnType<typeof compileCalls>
beforeAll(() => {
  if (!SKIP) calls = compileCalls('kv-plain', 'kv-compat')
})
afterAll(() => calls?.remove())

async function countWith(variant: string) {
  const counter = new Counter()
  const parser = new KernelRecordsParser(counter)
  const writer = new RecordWriter()
  writer.hello(process.arch === 'arm64' ? 2 : 1)
  parser.push(writer.take())
  const drain = new Drain(openCounter({ variant }))
  await run(calls.path('kv-plain'), 'storm', '20000', '2', '1')
  if (makes32BitCalls) await run(calls.path('kv-compat'), 'compat', '300')
  parser.push(drain.drainDue())
  parser.push(drain.close())
  parser.end()
  return { frames: counter.end(), ledger: counter.ledger() }
}

describe.skipIf(SKIP)(`a variant${here}`, () => {
  for (const variant of ['direct', 'typed', 'probed', 'lockdown', 'untyped'])
    test(`"${variant}" counts exactly`, async () => {
      const { frames, ledger } = await countWith(variant)
      expect(callsOf(frames, 'kv-plain', 'getppid')).toBe(40_000)
      expect(ledger.counted).toBe(ledger.observed)
    })

  test.skipIf(!makes32BitCalls)(
    'with types sees 32-bit calls wherever they are made',
    async () => {
      for (const variant of ['direct', 'typed', 'probed', 'lockdown']) {
        const { frames } = await countWith(variant)
        expect(callsOf(frames, 'kv-compat', 'getppid')).toBe(300)
      }
    },
    30_000,
  )
})
