import { expect, test } from 'bun:test'
import { Periodic } from '../../src/aggregator/periodic.ts'
import { until } from '../support/until.ts'

test('Periodic runs one task at a time, goes on after failures, and ends', async () => {
  const ends: ((cause?: Error) => void)[] = []
  const failures: string[] = []
  const periodic = new Periodic(
    () =>
      new Promise((resolve, reject) => {
        ends.push((cause) => (cause === undefined ? resolve() : reject(cause)))
      }),
    5,
    (cause, isFirst) => failures.push(`${(cause as Error).message} ${isFirst}`),
  )
  const [one, same] = [periodic.run(), periodic.run()]
  expect(same).toBe(one)
  await Bun.sleep(30)
  expect(ends).toHaveLength(1)
  ends[0]!(new Error('a'))
  await one
  await until('the next by itself', () => ends.length === 2)
  ends[1]!(new Error('b'))
  await until('a third', () => ends.length === 3)
  ends[2]!()
  await until('a fourth', () => ends.length === 4)
  ends[3]!(new Error('c'))
  await until('a fifth', () => ends.length === 5)
  const closed = periodic.close()
  ends[4]!()
  await closed
  await Bun.sleep(30)
  expect(ends).toHaveLength(5)
  expect(failures).toEqual(['a true', 'b false', 'c true'])
})
