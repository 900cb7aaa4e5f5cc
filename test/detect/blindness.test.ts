/** That the host is not seen is told, with its cause, and taken back when it is seen again. */
import { expect, test } from 'bun:test'
import { type AgentState, Blindness } from '../../src/detect/blindness.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Predictions } from '../../src/domain/prediction.ts'
import { frameOf } from '../support/hand-frames.ts'

const CALM: AgentState = { lagMs: 0, unrest: 0 }
const frame = (index: number, more: Partial<Frame> = {}): Frame => ({
  ...frameOf(index, [{ pid: 1, counts: { read: 1 } }]),
  ...more,
})
/** Windows by user, and which of them were not judged. */
const judged = (...windows: (readonly [uid: number, incomplete: 0 | 1])[]) =>
  ({
    processes: windows.map(([uid], pid) => ({ pid: pid + 1, startMs: 0, name: 'x', uid })),
    incomplete: Uint8Array.from(windows, ([, incomplete]) => incomplete),
  }) as unknown as Predictions
const SEEN = judged([0, 0], [1000, 0])
const NOT_SEEN = judged([0, 1], [1000, 1])

test('Blindness tells a host of which windows are not judged, names the cause, and is over', () => {
  const blindness = new Blindness()
  const unseen = {
    processes: [
      {
        process: { pid: 8, startMs: 0, name: 'x\u001b', uid: 1000 },
        ...{ reason: 'no-room' as const, kinds: 900, lost: 7 },
      },
    ],
    users: [],
  }
  for (let t = 100; t < 114; t++)
    expect(blindness.push(frame(t, { unseen }), NOT_SEEN, CALM)).toBeUndefined()
  expect(blindness.push(frame(114, { unseen }), NOT_SEEN, CALM)).toEqual({
    ...{ question: 'agent-blinded', says: 'proves' },
    because:
      '25 % of the last minute\'s windows not judged, as calls were lost; most different calls, 900 in a second, by "x?" (pid 8, user 1000)',
  })
  expect(blindness.state?.since).toBe(114)
  for (let t = 115; t < 160; t++) blindness.push(frame(t), SEEN, CALM)
  expect(blindness.state).toBeDefined()
  blindness.push(frame(160), SEEN, CALM)
  expect(blindness.state).toBeUndefined()
})

test('Blindness is silent about one lost call a minute, which costs ten seconds of windows', () => {
  const blindness = new Blindness()
  for (let t = 100; t < 400; t++)
    expect(blindness.push(frame(t), t % 60 < 10 ? NOT_SEEN : SEEN, CALM)).toBeUndefined()
})

test('Blindness counts seconds that were never delivered, where a loss says so', () => {
  const lost = new Blindness()
  lost.push(frame(100), SEEN, CALM)
  expect(lost.push(frame(130, { lost: 5 }), NOT_SEEN, CALM)?.says).toBe('proves')
  const idle = new Blindness()
  idle.push(frame(100), SEEN, CALM)
  expect(idle.push(frame(130), SEEN, CALM)).toBeUndefined()
})

test('Blindness names the user who ran most processes where it is not known whose calls were lost', () => {
  const blindness = new Blindness()
  const crowd = [1, 2, 3].map((pid) => ({ pid, uid: pid === 1 ? 0 : 33, counts: { read: 1 } }))
  const second = (t: number) => ({ ...frameOf(t, crowd), lost: 9 })
  let last: string | undefined
  for (let t = 100; t < 120; t++) last = blindness.push(second(t), NOT_SEEN, CALM)?.because
  expect(last).toContain('meanwhile user 33 ran 2 of 3 processes')
})

test('Blindness names a user whose processes are not seen on a host that is', () => {
  const blindness = new Blindness()
  const some = judged([0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [1000, 1])
  let said: string | undefined
  for (let t = 100; t < 130; t++) said = blindness.push(frame(t), some, CALM)?.because
  expect(said).toBe('processes of user 1000 are not seen whole')
})

test('Blindness tells seconds that are judged late', () => {
  const blindness = new Blindness()
  const late = { ...CALM, lagMs: 6_700 }
  for (let t = 100; t < 114; t++) expect(blindness.push(frame(t), SEEN, late)).toBeUndefined()
  expect(blindness.push(frame(114), SEEN, late)?.because).toBe('seconds are judged 7 s late')
})

test.each<[string, number, Predictions, Partial<AgentState>]>([
  [
    'a user of whom 25 seconds are not seen',
    25,
    judged([0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [1000, 1]),
    {},
  ],
  ['seconds that are 4.5 s late', 60, SEEN, { lagMs: 4_500 }],
  ['forty seconds in which many deviate', 40, SEEN, { unrest: 0.31 }],
])('Blindness is silent about %s', (_, seconds, windows, state) => {
  const blindness = new Blindness()
  for (let t = 100; t < 100 + seconds; t++)
    expect(blindness.push(frame(t), windows, { ...CALM, ...state })).toBeUndefined()
})

test('Blindness tells seconds that are 5.5 s late', () => {
  const blindness = new Blindness()
  for (let t = 100; t < 114; t++) blindness.push(frame(t), SEEN, { ...CALM, lagMs: 5_500 })
  expect(blindness.push(frame(114), SEEN, { ...CALM, lagMs: 5_500 })).toBeDefined()
})

test('Blindness only supports where unrest holds masquerades back', () => {
  const blindness = new Blindness()
  const deviating = { uid: 0, strange: 9, seen: 30 }
  const state = { lagMs: 0, unrest: 0.31, deviating }
  let said: unknown
  for (let t = 100; t < 145; t++) said = blindness.push(frame(t), SEEN, state)
  expect(said).toEqual({
    ...{ question: 'agent-blinded', says: 'supports' },
    because:
      '31 % of the processes deviate from the baseline, so masquerade alerts are held back; most of user 0: 9 of 30',
  })
})

test('Blindness tells a reader of facts that answers nothing', () => {
  const blindness = new Blindness()
  expect(blindness.push(frame(100), SEEN, { ...CALM, factsSilentMs: 29_999 })).toBeUndefined()
  expect(blindness.push(frame(101), SEEN, { ...CALM, factsSilentMs: 31_000 })).toEqual({
    ...{ question: 'agent-blinded', says: 'proves' },
    because: 'questions about processes have had no answer for 31 s',
  })
  expect(blindness.push(frame(102), SEEN, CALM)).toBeUndefined()
})

test('Blindness forgets what it noted where the clock was set back', () => {
  const blindness = new Blindness()
  const half = judged([0, 0], [1000, 1])
  for (let t = 10_000; t < 10_025; t++) blindness.push(frame(t), half, CALM)
  for (let t = 5_000; t < 5_010; t++) expect(blindness.push(frame(t), half, CALM)).toBeUndefined()
})
