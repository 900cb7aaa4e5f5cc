/** What the operator is told of the baseline, and that incidents leave nothing in it. */
import { describe, expect, test } from 'bun:test'
import { HostMemory } from '../../src/detect/memory.ts'
import { memoryStateOf } from '../../src/detect/memory-state.ts'
import type { Proof } from '../../src/domain/finding.ts'
import { detectorWith, live, PLACES, T } from './toy.ts'

const DAY = 86_400
const calm = { isLearning: false, idleSeconds: 0, unrest: 0, poisoned: 0, openAlerts: 0 }

test.each([
  [{ isLearning: true }, 'learning'],
  [{}, 'active'],
  [{ idleSeconds: DAY }, 'active'],
  [{ idleSeconds: DAY + 1 }, 'stale'],
  [{ unrest: 0.09 }, 'active'],
  [{ unrest: 0.11 }, 'drifted'],
  [{ poisoned: 1, openAlerts: 1, isLearning: true }, 'poisoned'],
  [{ poisoned: 1 }, 'reset pending'],
] as const)('memoryStateOf(%p) is %p', (more, state) => {
  expect(memoryStateOf({ ...calm, ...more })).toBe(state)
})

describe('what was remembered of a process that is proven malicious', () => {
  const cron = { pid: 8, name: 'cron', at: PLACES.cron } as const
  const setUp = () => {
    const memory = new HostMemory('toy', 2)
    let proofs: Proof[] = []
    const detector = detectorWith({ memory, proofs: () => proofs.splice(0) })
    live(detector, T, 20, [cron])
    const process = { pid: 8, startMs: (T - 1000) * 1000, name: 'cron' }
    const finding = { question: 'masquerade', says: 'proves', because: 'x' } as const
    return { memory, detector, prove: () => (proofs = [{ process, finding }]) }
  }

  test('is forgotten a day later, and grows no more', () => {
    const { memory, detector, prove } = setUp()
    prove()
    live(detector, T + 20, 1, [cron])
    expect(detector.status().memory).toMatchObject({ state: 'poisoned', poisoned: 1 })
    const seconds = memory.known('cron')?.seconds
    live(detector, T + 21, 5, [{ ...cron, pid: 9 }])
    detector.closeWhere(() => true, 'gone', T + 26)
    expect(memory.known('cron')?.seconds).toBe(seconds)
    expect(detector.status().memory.state).toBe('reset pending')
    const restored = new HostMemory('toy', 2)
    expect(restored.restore(memory.snapshot())).toBe(true)
    restored.tidy(T + DAY)
    expect(restored.known('cron')).toBeDefined()
    restored.tidy(T + DAY + 21)
    expect(restored.known('cron')).toBeUndefined()
  })

  test('stays where the operator allows it', () => {
    const { detector, prove } = setUp()
    prove()
    live(detector, T + 20, 1, [cron])
    detector.allow = [{ name: 'cron' }]
    prove()
    live(detector, T + 21, 1, [cron])
    expect(detector.status().memory.poisoned).toBe(0)
  })
})

test('what happens in the container of a confirmed alert is not remembered', () => {
  const process = { pid: 8, startMs: (T - 1000) * 1000, name: 'cron', container: 'c1' }
  const finding = { question: 'masquerade', says: 'proves', because: 'x' } as const
  let proofs: Proof[] = [{ process, finding }]
  const memory = new HostMemory('toy', 2)
  const detector = detectorWith({ memory, proofs: () => proofs.splice(0) })
  live(detector, T, 1, [])
  const inside = { pid: 9, name: 'nginx', at: PLACES.nginx, container: 'c1' } as const
  const child = { pid: 10, name: 'sshd', at: PLACES.sshd, ppid: 8 } as const
  const other = { ...inside, pid: 11, name: 'other', container: 'c2' } as const
  live(detector, T + 1, 5, [inside, child, other])
  expect(memory.known('nginx')).toBeUndefined()
  expect(memory.known('sshd')).toBeUndefined()
  expect(memory.known('other')).toBeDefined()
  proofs = []
})

test('coverage tells shares of windows and of names', () => {
  const detector = detectorWith({ learnSeconds: DAY, warm: { seconds: 2, age: 3 } })
  const named = { pid: 8, name: 'cron', at: PLACES.cron } as const
  const usual = { pid: 9, name: 'own-tool', at: PLACES.nginx } as const
  live(detector, T, 20, [named, usual])
  live(detector, T + 20, 1, [named, usual, { pid: 10, name: 'new-tool', at: PLACES.sshd }])
  const { windows, names } = detector.status().coverage!
  expect(windows.class).toBeCloseTo(0.5, 2)
  expect(windows.remembered + windows.unknown).toBeCloseTo(0.5, 2)
  expect(names).toEqual({ class: 0.5, remembered: 0.5, unknown: 0 })
})
