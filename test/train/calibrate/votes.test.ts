import { expect, test } from 'bun:test'
import { shiftHere } from '../../../src/train/calibrate/votes.ts'

const windows = (n: number, p: number) => Array.from({ length: n }, () => p)

test.each<[string, number[], number]>([
  ['a host whose life gets hardly any votes', windows(500, 0.02), 1],
  ['one that is as it should be', windows(500, 0.25), 0],
  ['one that gets many', windows(500, 0.7), -1],
  ['one window in five hundred does not count', [...windows(600, 0.2), 0.9], Math.log(4 / 3)],
  ['two do', [...windows(600, 0.2), 0.9, 0.9], -1],
  ['too few windows', windows(99, 0.02), 0],
])('shiftHere() for %s', (_, malice, shift) => {
  expect(shiftHere(malice)).toBeCloseTo(shift, 9)
})
