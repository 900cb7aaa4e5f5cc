/**
 * What counts say of a scan, on the calls that real tools make in a second (per connection, from
 * strace).
 */
import { expect, test } from 'bun:test'
import { Connecting } from '../../src/detect/connecting.ts'
import { scanFindings } from '../../src/detect/findings.ts'
import type { Finding } from '../../src/domain/finding.ts'
import { frameOf } from '../support/hand-frames.ts'

const says = (counts: Record<string, number>, seconds = 12) => {
  const connecting = new Connecting()
  for (let s = 0; s < seconds; s++) connecting.push(frameOf(s, [{ pid: 7, counts }]))
  const contacts = connecting.of({ pid: 7, startMs: 0, name: 'x' })
  return contacts === undefined ? undefined : scanFindings(contacts)?.map(({ says }) => says)
}

test.each<[string, Record<string, number>, Finding['says'][] | undefined]>([
  [
    'nmap -sT',
    { socket: 300, connect: 300, select: 900, getsockopt: 300, close: 300, write: 2 },
    ['supports'],
  ],
  [
    'bash on /dev/tcp, a shell a port',
    { socket: 80, connect: 80, write: 160, exit_group: 80 },
    ['supports'],
  ],
  [
    'nc started for each port',
    { execve: 50, read: 300, connect: 50, close: 150, openat: 300 },
    ['supports'],
  ],
  ['ab', { connect: 900, write: 900, read: 1800 }, ['refutes']],
  ['curl in a loop', { execve: 40, read: 700, connect: 40, sendto: 40, recvfrom: 90 }, ['refutes']],
  ['a health check of six ports', { execve: 1, read: 6, connect: 6 }, []],
  ['one of three', { execve: 1, read: 6, connect: 3 }, ['refutes']],
  ['dig once a second', { sendmsg: 1, recvmsg: 2, read: 30, execve: 1 }, ['refutes']],
  ['computing, never connected', { read: 40, brk: 3 }, ['refutes']],
  ['packets of its own making', { sendto: 4000, recvfrom: 10 }, undefined],
])('%s', (_, counts, expected) => {
  expect(says(counts)).toEqual(expected)
})

test('three seconds say nothing yet', () => {
  expect(says({ connect: 900 }, 3)).toBeUndefined()
})

const proven = (counts: Record<string, number>, seconds = 30) => {
  const connecting = new Connecting()
  return Array.from({ length: seconds }, (_, s) =>
    connecting.push(frameOf(s, [{ pid: 7, counts }])),
  ).flat().length
}

test.each([
  ['nmap -sT', { connect: 300, select: 900, write: 2 }, 1],
  ['bash on /dev/tcp, a shell a port', { connect: 80, write: 160, exit_group: 80 }, 1],
  ['a client of a dead service, ten times a second', { connect: 10 }, 0],
  ['ab', { connect: 900, write: 900, read: 1800 }, 0],
  ['a resolver', { connect: 60, sendto: 60, recvfrom: 60 }, 0],
])('%s is a scan beyond doubt: %p, told %p times', (_, counts, times) => {
  expect(proven(counts)).toBe(times)
})
