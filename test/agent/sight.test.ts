/** What status says of calls that were not seen. */
import { expect, test } from 'bun:test'
import { Sight } from '../../src/agent/sight.ts'
import { blindWords } from '../../src/agent/status-document.ts'
import type { Frame, Unseen } from '../../src/domain/frame.ts'
import type { Predictions } from '../../src/domain/prediction.ts'
import { frameOf } from '../support/hand-frames.ts'

const HOUR = 3600
const judged = (...incomplete: number[]) =>
  ({ incomplete: Uint8Array.from(incomplete) }) as unknown as Predictions
const frame = (index: number, more: Partial<Frame> = {}): Frame => ({
  ...frameOf(index, [{ pid: 1, counts: { read: 1 } }]),
  ...more,
})
const unseen: Unseen = {
  processes: [
    ...[
      {
        process: { pid: 7, startMs: 0, name: 'sh' },
        reason: 'no-room' as const,
        kinds: 9,
        lost: 2,
      },
    ],
    {
      process: { pid: 8, startMs: 0, name: 'blinder', uid: 1000 },
      ...{ reason: 'many-kinds' as const, kinds: 900, lost: 0 },
    },
  ],
  users: [{ uid: 1000, lost: 5 }],
}

test('Sight.status() is empty where all was seen', () => {
  const sight = new Sight()
  sight.push(frame(HOUR), judged(0, 0))
  expect(sight.status()).toEqual({
    ...{ lossySeconds: 0, unseen: {}, unseenUsers: 0, day: { windows: 2, blind: 0 } },
    blindSeconds: 0,
  })
  expect(blindWords(sight.status())).toBe('')
})

test('Sight.status() tells seconds, processes by reason, the share of windows, and who made most', () => {
  const sight = new Sight()
  sight.push(frame(HOUR, { lost: 12 }), judged(1, 1))
  sight.push(frame(HOUR + 1, { unseen }), judged(1, 0, 0, 0))
  sight.push(frame(HOUR + 2), undefined)
  expect(sight.status()).toEqual({
    lossySeconds: 1,
    unseen: { 'no-room': 1, 'many-kinds': 1 },
    unseenUsers: 1,
    day: { windows: 6, blind: 3 },
    blindSeconds: 0,
    most: { second: HOUR + 1, pid: 8, name: 'blinder', uid: 1000, kinds: 900 },
  })
  expect(blindWords(sight.status())).toBe(
    '50.0 % of the windows of the last 24 h not judged for lost calls; 1 seconds with calls lost host-wide; 1 process-seconds without room in the kernel\'s maps; 1 user-seconds with unrecorded processes; 1 process-seconds with too many kinds of calls; most by "blinder" (pid 8, user 1000)',
  )
})

test('Sight.status() forgets a blind hour after a day', () => {
  const sight = new Sight()
  sight.push(frame(HOUR, { lost: 1 }), judged(1))
  for (let hour = 2; hour <= 25; hour++) sight.push(frame(hour * HOUR), judged(0))
  expect(sight.status().day).toEqual({ windows: 24, blind: 0 })
})
