import { expect, test } from 'bun:test'
import { ProcessTree } from '../../src/count/process-tree.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { PROCESSES_MAX } from '../../src/domain/limits.ts'
import type { Process } from '../../src/domain/process.ts'
import { frameOf } from '../support/hand-frames.ts'

const frame = (index: number, ...processes: readonly Process[]): Frame => ({
  ...frameOf(
    index,
    processes.map(({ pid }) => ({ pid, counts: { read: 1 } })),
  ),
  processes,
})
const shell: Process = { pid: 7, startMs: 5_000, name: 'sh', ppid: 1 }

test('ProcessTree.push() tells a process once, with its parent and its name', () => {
  const tree = new ProcessTree()
  expect(tree.push(frame(10, shell))).toBe('10\tF\t1\t7\n10\tX\t7\tsh\n')
  expect(tree.push(frame(11, shell))).toBe('')
  expect(tree.push(frame(12, { ...shell }))).toBe('')
})

test('ProcessTree.push() tells each name that a process takes', () => {
  const tree = new ProcessTree()
  tree.push(frame(10, shell))
  expect(tree.push(frame(11, { ...shell, name: 'nmap', ppid: 1 }))).toBe('11\tX\t7\tnmap\n')
})

test('ProcessTree.push() takes a pid that came back for another process', () => {
  const tree = new ProcessTree()
  tree.push(frame(10, shell))
  const later: Process = { pid: 7, startMs: 90_000, name: 'sh', ppid: 8 }
  expect(tree.push(frame(99, later))).toBe('99\tF\t8\t7\n99\tX\t7\tsh\n')
})

test('ProcessTree.push() leaves out a parent that no source told', () => {
  const { ppid: _, ...orphan } = shell
  expect(new ProcessTree().push(frame(10, orphan))).toBe('10\tX\t7\tsh\n')
})

test('ProcessTree.push() forgets who was told first, and tells it again', () => {
  const tree = new ProcessTree()
  tree.push(frame(10, shell))
  const many = Array.from({ length: PROCESSES_MAX }, (_, i) => ({ ...shell, pid: 100 + i }))
  tree.push(frame(11, ...many))
  expect(tree.push(frame(12, shell))).not.toBe('')
})

test('ProcessTree.push() lets no name forge a line', () => {
  const forger = { ...shell, name: 'x\n1\tF\t2\t3\u0085' }
  expect(new ProcessTree().push(frame(10, forger))).toBe(
    '10\tF\t1\t7\n10\tX\t7\tx\\x0a1\\x09F\\x092\\x093\\x85\n',
  )
})
