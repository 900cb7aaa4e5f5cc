/** Whom to ask, and whom first. */
import { expect, test } from 'bun:test'
import { Triggers } from '../../src/detect/triggers.ts'
import type { Process } from '../../src/domain/process.ts'
import { frameOf } from '../support/hand-frames.ts'

const asked = (name: string, exe: string | undefined, seconds = 1) => {
  const triggers = new Triggers((claimed) => claimed === 'find')
  const process: Process = { pid: 7, startMs: 0, name, ...(exe === undefined ? {} : { exe }) }
  const found = []
  for (let second = 0; second < seconds; second++)
    for (const trigger of triggers.push({
      ...frameOf(second, [{ pid: 7, counts: { read: 1 } }]),
      processes: [process],
    }))
      found.push({ ...trigger, second })
  return found
}
const questions = (name: string, exe?: string) =>
  asked(name, exe).flatMap(({ questions }) => questions)

test.each<[string, string | undefined, string[]]>([
  ['kworker/u4:2', '/srv/k', ['look']],
  ['nginx', '/srv/x/nginx', ['program']],
  ['find', '/srv/x/y', ['program']],
  ['nginx', '/usr/sbin/nginx', []],
  ['mytool', '/srv/mytool', []],
  ['bash', '/usr/bin/bash', ['streams']],
  ['sshd', '/usr/bin/perl', ['program', 'streams']],
  ['crond', '/bin/busybox', ['program', 'streams']],
  ['nginx', undefined, ['program']],
  ['mytool', undefined, ['look']],
])('%s of %s', (name, exe, expected) => {
  expect(questions(name, exe)).toEqual(expected as ReturnType<typeof questions>)
})

test('what is executed from memory is asked about, whatever it is called', () => {
  // The kernel is told a path at the exec, a look tells the memory's name.
  for (const exe of ['/memfd:x', '/proc/self/fd/3', '/proc/912/fd/14', '/dev/fd/3']) {
    const triggers = new Triggers(() => false)
    const memory = { pid: 9, name: '3', exe, startMs: 900_000, counts: { read: 1 } }
    expect(triggers.push(frameOf(1_000, [memory]))).toMatchObject([{ questions: ['program'] }])
  }
})

test('a strange name comes before shells, however many they are, and a kernel thread before both', () => {
  const urgency = (name: string, exe: string) => asked(name, exe)[0]!.urgency
  const [kernel, claim, shell, python] = [
    urgency('kworker/0:1', '/srv/k'),
    urgency('nginx', '/srv/nginx'),
    urgency('bash', '/usr/bin/bash'),
    urgency('python3', '/usr/bin/python3.11'),
  ]
  expect(kernel).toBeGreaterThan(claim)
  expect(claim).toBeGreaterThan(shell)
  expect(shell).toBeGreaterThan(python)
})

test('a shell is looked at again and again, another program once', () => {
  const seconds = asked('bash', '/usr/bin/bash', 110).map(({ second }) => second)
  expect(seconds).toEqual([0, 3, 15, 60, 105])
  expect(asked('nginx', '/srv/nginx', 70)).toHaveLength(1)
})
