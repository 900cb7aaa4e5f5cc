import { describe, expect, test } from 'bun:test'
import { Turns } from '../../src/classify/turns.ts'
import type { Process } from '../../src/domain/process.ts'

const processes = (count: number): Process[] =>
  Array.from({ length: count }, (_, i) => ({ pid: 100 + i, startMs: 1_000, name: `p${i}` }))

function turns(
  every: number,
  windowsMax: number,
  suspicion: Readonly<Record<number, number>> = {},
) {
  const held: number[] = []
  const judge = {
    isSuspect: ({ pid }: Process) => (suspicion[pid] ?? 0) > 0,
    standing: ({ pid }: Process) => ({
      ...{ known: true, claims: false },
      suspicion: suspicion[pid] ?? 0,
    }),
    hold: (left: Iterable<Process>) => {
      for (const { pid } of left) held.push(pid)
    },
  }
  return { turns: new Turns({ every, windowsMax, judge }), held }
}

describe('Turns.choose()', () => {
  test('every second chooses all, and holds nobody', () => {
    const { turns: all, held } = turns(1, 100)
    expect(all.choose(processes(5), 1)).toEqual([0, 1, 2, 3, 4])
    expect(held).toEqual([])
  })

  test('each process once in ten seconds, spread over them; whoever is left out is held', () => {
    const { turns: tenth, held } = turns(10, 100)
    const times = new Map<number, number>()
    for (let second = 1; second <= 30; second++) {
      const chosen = tenth.choose(processes(20), second)
      expect(chosen).toHaveLength(2)
      for (const place of chosen) times.set(place, (times.get(place) ?? 0) + 1)
    }
    expect([...times.values()]).toEqual(Array.from({ length: 20 }, () => 3))
    expect(held).toHaveLength(18 * 30)
    expect(tenth.leftOut).toBe(18 * 30)
  })

  test('a suspect every second', () => {
    const { turns: tenth } = turns(10, 100, { 103: 0.2 })
    for (let second = 1; second <= 10; second++)
      expect(tenth.choose(processes(10), second)).toContain(3)
  })

  test('no more than the bound: the most suspicious, then who waited longest', () => {
    const { turns: few } = turns(1, 3, { 104: 0.5, 106: 0.9 })
    expect(few.choose(processes(8), 1)).toEqual([0, 4, 6])
    // The first has had its turn.
    expect(few.choose(processes(8), 2)).toEqual([1, 4, 6])
    expect(few.choose(processes(8), 3)).toEqual([2, 4, 6])
  })

  test('another process under the same pid does not wait for the turn of the first', () => {
    const { turns: tenth } = turns(10, 100)
    const due = (startMs: number, second: number) =>
      tenth.choose([{ pid: 109, startMs, name: 'p' }], second).length
    expect(due(1_000, 1)).toBe(1)
    expect(due(1_000, 2)).toBe(0)
    expect(due(2_000, 3)).toBe(1)
  })
})
