import { describe, expect, test } from 'bun:test'
import { localOutput } from '../../src/outputs/local.ts'
import { outboxOutput } from '../../src/outputs/outbox.ts'
import type { Output, Told } from '../../src/outputs/output.ts'
import { Outputs } from '../../src/outputs/outputs.ts'
import { createLog } from '../../src/platform/log.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { manualClock } from '../support/clock.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const directory = temporaryDirectories()
const origin = { site: 's', host: 'h', numbering: { boot: 7, nextSeq: 1 } }

function recorder(name = 'recorder'): Output & { readonly told: Told[] } {
  const told: Told[] = []
  return { name, refused: {}, told, take: (each) => void told.push(each) }
}

describe('Outputs.put()', () => {
  test('gives each output the same messages, as they are on the wire', async () => {
    const one = recorder('one')
    const two = recorder('two')
    const outputs = new Outputs({ ...origin, clock: manualClock() }, [one, two])
    await outputs.put([sampleAlert], sampleSummary)
    expect(one.told).toHaveLength(1)
    expect(one.told[0]!.alerts).toMatchObject([{ v: 1, boot: 7, seq: 1, site: 's', host: 'h' }])
    expect(one.told[0]!.summary).toBe(sampleSummary)
    expect(two.told).toEqual(one.told)
    expect(outputs.status()).toEqual({
      one: { taken: 2, refused: {} },
      two: { taken: 2, refused: {} },
    })
  })

  test('numbers messages as the outbox does, summaries among them', async () => {
    const outbox = Outbox.open(`${directory()}/outbox.db`, { site: 's', host: 'h' })
    const seen = recorder()
    const outputs = new Outputs({ ...origin, numbering: outbox, clock: manualClock() }, [
      outboxOutput(outbox),
      seen,
    ])
    await outputs.put([sampleAlert, { ...sampleAlert, id: 'b' }], sampleSummary)
    await outputs.put([{ ...sampleAlert, id: 'c' }], undefined)
    const numbers = seen.told.flatMap(({ alerts }) => alerts.map(({ id, seq }) => [id, seq]))
    const queued = outbox.take(9, ['alert']).map(({ payload, seq }) => {
      const { id } = JSON.parse(new TextDecoder().decode(payload))
      return [id, seq]
    })
    expect(numbers).toEqual(queued)
    outbox.close()
  })

  test('observations are told to whoever takes them, and take no number from what is sent', async () => {
    const all = { ...recorder('all'), takesObservations: true }
    const some = recorder('some')
    const outputs = new Outputs({ ...origin, clock: manualClock() }, [all, some])
    const low = { ...sampleAlert, id: 'low', severity: 'low' } as const
    await outputs.put([low, sampleAlert], undefined)
    expect(all.told[0]!.alerts.map(({ id, seq }) => [id, seq])).toEqual([
      [sampleAlert.id, 1],
      ['low', 2],
    ])
    expect(some.told[0]!.alerts.map(({ id }) => id)).toEqual([sampleAlert.id])
  })

  test('command lines stay on the host unless the operator sends them', async () => {
    for (const sendCommandLines of [false, true]) {
      const abroad = { ...recorder('abroad'), leavesHost: true }
      const here = recorder('here')
      const outputs = new Outputs({ ...origin, clock: manualClock(), sendCommandLines }, [
        abroad,
        here,
      ])
      await outputs.put([sampleAlert], undefined)
      const [sent] = abroad.told[0]!.alerts
      expect('command' in sent!.process).toBe(sendCommandLines)
      expect('cwd' in sent!.process).toBe(sendCommandLines)
      expect(here.told[0]!.alerts[0]!.process.command).toBe(sampleAlert.process.command!)
    }
  })

  test('numbers by itself where nothing is queued', async () => {
    const seen = recorder()
    const outputs = new Outputs({ ...origin, clock: manualClock() }, [seen])
    for (let i = 0; i < 3; i++) await outputs.put([sampleAlert, sampleAlert], undefined)
    const seqs = seen.told.flatMap(({ alerts }) => alerts.map(({ seq }) => seq))
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('an output that throws keeps nothing from the others; it is counted, and told once a minute', async () => {
    const lines: string[] = []
    const log = createLog({ write: (line) => lines.push(line) })
    const clock = manualClock()
    const bad: Output = {
      name: 'bad',
      refused: {},
      take: () => Promise.reject(new Error('no route')),
    }
    const seen = recorder()
    const outputs = new Outputs({ ...origin, clock, log }, [bad, seen])
    await outputs.put([sampleAlert], sampleSummary)
    await outputs.put([sampleAlert], undefined)
    expect(seen.told).toHaveLength(2)
    expect(outputs.status().bad).toEqual({ taken: 0, refused: { error: 3 } })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('no route')
    clock.advance(60_000)
    await outputs.put([sampleAlert], undefined)
    expect(lines).toHaveLength(2)
  })

  test('what an output refuses is not counted as taken', async () => {
    const outputs = new Outputs({ ...origin, clock: manualClock() }, [localOutput(() => false)])
    await outputs.put([sampleAlert, sampleAlert], undefined)
    expect(outputs.status().local).toEqual({ taken: 0, refused: { disk: 2 } })
  })

  test('a second without anything to tell reaches no output', async () => {
    const seen = recorder()
    await new Outputs({ ...origin, clock: manualClock() }, [seen]).put([], undefined)
    expect(seen.told).toEqual([])
  })
})
