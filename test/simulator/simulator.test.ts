/**
 * Many simulated worlds (world.ts). A seed that fails is printed; run it alone with
 * `SEED=17 bun test test/simulator`, more of them with `SEEDS=10000`, in pieces with `FROM=501`.
 */
import { afterAll, expect, test } from 'bun:test'
import { temporaryDirectories } from '../support/temporary.ts'
import { type Course, runWorld } from './world.ts'

const temporary = temporaryDirectories()
const first = Number(process.env.SEED ?? process.env.FROM ?? 1)
const count = process.env.SEED === undefined ? Number(process.env.SEEDS ?? 40) : 1
const faults: Record<string, number> = {}
let alerts = 0

function add(course: Course): void {
  alerts += course.alerts
  for (const [fault, times] of Object.entries(course.faults))
    faults[fault] = (faults[fault] ?? 0) + times
}

test(`${count} worlds from seed ${first}: nothing is lost, stored twice or receipted in vain`, async () => {
  const folder = temporary()
  for (let seed = first; seed < first + count; seed++) {
    const { violations, course } = await runWorld(seed, folder)
    expect(violations, `SEED=${seed}`).toEqual([])
    add(course)
  }
}, 7_200_000)

test('a seed gives the same world again', async () => {
  const folder = temporary()
  const once = await runWorld(first, folder)
  expect(await runWorld(first, folder)).toEqual(once)
}, 60_000)

test.skipIf(count < 20)('each fault has happened', () => {
  expect(Object.keys(faults).sort()).toEqual([
    'agent killed',
    'aggregator killed',
    'bad network',
    'broker restart',
    'clock set',
    'commits fail after',
    'commits fail before',
    'network down',
    'restored from snapshot',
    'snapshot',
  ])
})

afterAll(() => console.log(`${count} worlds, ${alerts} alerts;`, faults))
