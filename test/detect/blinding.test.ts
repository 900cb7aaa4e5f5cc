/** Who keeps the host from being seen is named, and a thousand compilers are not. */
import { expect, test } from 'bun:test'
import { Blinding } from '../../src/detect/blinding.ts'
import type { Frame, UnseenProcess } from '../../src/domain/frame.ts'
import { frameOf } from '../support/hand-frames.ts'

const unseen = (pid: number, more: Partial<UnseenProcess> = {}): UnseenProcess => ({
  process: { pid, startMs: 0, name: 'blind', uid: 1000 },
  ...{ reason: 'no-room', kinds: 250, lost: 3 },
  ...more,
})
const second = (index: number, ...processes: UnseenProcess[]): Frame => ({
  ...frameOf(index, []),
  unseen: { processes, users: [] },
})

test('Blinding.push() names the process with most kinds, once a user and second, from the third such second on', () => {
  const blinding = new Blinding()
  expect(blinding.push(second(10, unseen(7)))).toEqual([])
  expect(blinding.push(second(18, unseen(8)))).toEqual([])
  const proofs = blinding.push(second(26, unseen(9), unseen(10, { kinds: 257 })))
  expect(proofs.map(({ process }) => process.pid)).toEqual([10])
  expect(proofs[0]!.finding).toEqual({
    question: 'blinding',
    says: 'proves',
    because:
      'makes more than 128 different calls a second, and leaves no room for other processes of user 1000',
  })
  expect(blinding.push(second(34, unseen(11))).map(({ process }) => process.pid)).toEqual([11])
})

test('Blinding.push() adds up what happens within a minute', () => {
  const blinding = new Blinding()
  expect([1, 30, 59].map((t) => blinding.push(second(t, unseen(7))).length)).toEqual([0, 0, 1])
})

test('Blinding.push() names one that only hides itself', () => {
  const blinding = new Blinding()
  const frames = [1, 2, 3].map((t) => second(t, unseen(5, { reason: 'many-kinds', lost: 0 })))
  const [proof] = frames.flatMap((frame) => blinding.push(frame))
  expect(proof!.finding.because).toBe(
    'makes more than 128 different calls a second, so what it does cannot be told',
  )
})

test.each([
  ['programs with few kinds each, however many', [1, 2, 3, 4], { kinds: 45 }],
  ['what happens twice in a minute', [1, 40, 80, 120, 160], {}],
  ['what happens three times in 65 seconds', [1, 30, 66], {}],
])('Blinding.push() is silent about %s', (_, times, more) => {
  const blinding = new Blinding()
  expect(times.flatMap((t) => blinding.push(second(t, unseen(7, more))))).toEqual([])
})
