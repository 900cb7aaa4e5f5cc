/** Who computes without calls, and after how long it is told. */
import { expect, test } from 'bun:test'
import { Compute } from '../../src/detect/compute.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { frameOf } from '../support/hand-frames.ts'

const told = (cpuMs: number, calls: number, seconds = 60, silent = false) => {
  const compute = new Compute()
  const at: number[] = []
  for (let s = 0; s < seconds; s++) {
    const counted = frameOf(1000 + s, silent ? [] : [{ pid: 7, counts: { read: calls } }])
    const frame: Frame = silent
      ? {
          ...counted,
          cpuMs: new Uint32Array(0),
          silent: [{ process: { pid: 7, startMs: 0, name: 'x' }, cpuMs }],
        }
      : { ...counted, cpuMs: Uint32Array.of(cpuMs) }
    if (compute.push(frame).length > 0) at.push(s)
  }
  return at
}

test.each<[string, number[], number[]]>([
  ['a core without calls', told(1000, 2), [15]],
  ['two cores without any call at all', told(2000, 0, 60, true), [15]],
  ['a third of a core, beside others', told(300, 5), [17]],
  ['a core that serves', told(1000, 5000), []],
  ['a core that makes a few calls', told(1000, 240), [15]],
  ['a core that makes some', told(1000, 260), []],
  ['a little', told(40, 0), []],
  ['a short while', told(1000, 1, 14), []],
])('%s', (_, at, expected) => {
  expect(at.slice(0, 1)).toEqual(expected)
})

test('what a runtime calls for its threads and memory is no work for others', () => {
  const found = (counts: Record<string, number>) => {
    const compute = new Compute()
    return Array.from({ length: 20 }, (_, s) =>
      compute.push({ ...frameOf(1000 + s, [{ pid: 7, counts }]), cpuMs: Uint32Array.of(950) }),
    ).flat().length
  }
  // Go's scheduler, and two threads of Python that take turns, in a second of CPU time.
  expect(found({ nanosleep: 100, tgkill: 95, rt_sigreturn: 95, futex: 20, write: 1 })).toBe(1)
  expect(found({ futex: 900, recvfrom: 1 })).toBe(1)
  expect(found({ futex: 900, recvfrom: 300 })).toBe(0)
})

test('it is told again after a while, for what it is connected to changes', () => {
  expect(told(1000, 1, 100)).toEqual([15, 60])
})

test.each([
  [45, 35],
  [55, 23],
])('after twenty seconds of %d ms each a core is told at %d', (little, at) => {
  const compute = new Compute()
  const second = (s: number) =>
    compute.push({
      ...frameOf(1000 + s, [{ pid: 7, counts: { read: 1 } }]),
      cpuMs: Uint32Array.of(s < 20 ? little : 1000),
    })
  expect(Array.from({ length: 60 }, (_, s) => s).find((s) => second(s).length > 0)).toBe(at)
})

test('without CPU times nothing is found', () => {
  const compute = new Compute()
  for (let s = 0; s < 30; s++)
    expect(compute.push(frameOf(s, [{ pid: 7, counts: { read: 1 } }]))).toEqual([])
})
