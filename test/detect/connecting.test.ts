/**
 * What counts say of a scan, on the calls that real tools make in a second (per connection, from
 * strace).
 */
import { expect, test } from 'bun:test'
import { Connecting } from '../../src/detect/connecting.ts'
import { scanFindings } from '../../src/detect/findings.ts'
import { Lineage } from '../../src/detect/lineage.ts'
import type { Finding, Proof } from '../../src/domain/finding.ts'
import type { Activity } from '../../src/domain/frame.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

/** Seconds as they come, one list of processes each. */
function watch(seconds: readonly (readonly Calls[])[]) {
  const lineage = new Lineage()
  const connecting = new Connecting(lineage)
  const proofs: Proof[] = []
  for (const [i, vectors] of seconds.entries()) {
    const frame = frameOf(1_000 + i, vectors)
    lineage.push(frame)
    proofs.push(...connecting.push(frame))
  }
  return { connecting, proofs, questions: proofs.map(({ finding }) => finding.question) }
}

const says = (counts: Record<string, number>, seconds = 12) => {
  const { connecting } = watch(Array.from({ length: seconds }, () => [{ pid: 7, counts }]))
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

const proven = (counts: Record<string, number>, seconds = 30) =>
  watch(Array.from({ length: seconds }, () => [{ pid: 7, counts }])).proofs.length

test.each([
  ['nmap -sT', { connect: 300, select: 900, write: 2 }, 1],
  ['bash on /dev/tcp, a shell a port', { connect: 80, write: 160, exit_group: 80 }, 1],
  ['a client of a dead service, ten times a second', { connect: 10 }, 0],
  ['ab', { connect: 900, write: 900, read: 1800 }, 0],
  ['a resolver', { connect: 60, sendto: 60, recvfrom: 60 }, 0],
])('%s is a scan beyond doubt: %p, told %p times', (_, counts, times) => {
  expect(proven(counts)).toBe(times)
})

/** A second's sketch of so many remote ends, each bit at its place as a good hash would spread it. */
function ends(from: number, count: number): Activity['peers'] {
  const words: [number, number, number, number] = [0, 0, 0, 0]
  for (let i = from; i < from + count; i++) {
    const bit = Bun.hash.xxHash32(`${i}`) & 127
    words[bit >> 5]! |= 1 << (bit & 31)
  }
  return words
}
const contacting = (second: number, count: number, different: number): Partial<Activity> => ({
  contacts: count,
  peers: ends(different === 1 ? 0 : second * count, different),
  peer: '10.0.0.7:6379',
})

test.each<[string, number, number, Record<string, number>, Finding['question'][]]>([
  ['a scan of ten ports a second', 10, 10, { connect: 10 }, ['network-scan']],
  ['a scan of thousands', 900, 900, { connect: 900 }, ['network-scan']],
  ['a client that hammers a dead service', 500, 1, { connect: 500 }, []],
  ['a crawler, which asks and hears answers', 20, 20, { connect: 20, write: 20, read: 60 }, []],
  // A read that finds nothing for each connection: what wakes Ruby's loop.
  [
    'a scan by Ruby',
    20,
    20,
    { connect: 20, ppoll: 20, read: 20, getsockopt: 20 },
    ['network-scan'],
  ],
  [
    'one that tells of each open port',
    20,
    20,
    { connect: 20, read: 40, write: 3 },
    ['network-scan'],
  ],
  ['a check of six ports', 6, 1, { connect: 6 }, []],
])('%s', (_, count, different, counts, expected) => {
  const seconds = Array.from({ length: 30 }, (_, s) => [
    { pid: 7, counts, activity: contacting(s, count, different) },
  ])
  expect(watch(seconds).questions).toEqual(expected)
})

test('a tool that is started once per port is the scan of who starts it, and one alone', () => {
  const shell: Calls = { pid: 7, name: 'bash', startMs: 900_000, counts: { clone: 12, wait4: 12 } }
  const seconds = Array.from({ length: 30 }, (_, s) => [
    shell,
    ...Array.from({ length: 12 }, (_, i) => ({
      ...{ pid: 100 + s * 12 + i, name: 'nc', startMs: (1_000 + s) * 1000, ppid: 7 },
      // As nc of Debian 12 starts.
      counts: { execve: 1, openat: 6, read: 6, pread64: 4, connect: 1 },
      activity: contacting(s * 12 + i, 1, 2),
    })),
  ])
  const { proofs } = watch(seconds)
  expect(proofs).toMatchObject([{ process: { pid: 7 }, finding: { question: 'network-scan' } }])
})

test('who takes orders turns to one end for each of them; an installer asks many between two', () => {
  const lineage = new Lineage()
  const connecting = new Connecting(lineage)
  const process: Calls = { pid: 7, startMs: 900_000, counts: { connect: 2 } }
  let last = frameOf(1_000, [process])
  for (let s = 0; s < 10; s++) {
    const activity = { contacts: 2, peers: ends(0, 1), peer: '10.0.0.7:80' }
    last = frameOf(1_000 + s, [{ ...process, activity }])
    lineage.push(last)
    connecting.push(last)
  }
  const asker = last.processes[0]!
  expect(connecting.ordersFrom(asker, 10)).toBe('10.0.0.7:80')
  expect(connecting.ordersFrom(asker, 30)).toBeUndefined()
})

test('what a scanner reads from files is no answer', () => {
  const seconds = Array.from({ length: 20 }, (_, s): Calls[] => [
    { pid: 7, counts: { connect: 40, openat: 40, read: 80 }, activity: contacting(s, 40, 20) },
  ])
  expect(watch(seconds).questions).toEqual(['network-scan'])
  const answered = Array.from({ length: 20 }, (_, s): Calls[] => [
    { pid: 7, counts: { connect: 40, openat: 40, recvfrom: 80 }, activity: contacting(s, 40, 20) },
  ])
  expect(watch(answered).questions).toEqual([])
})

test('a scan of all ports within two seconds, and one of three a second', () => {
  const burst = Array.from({ length: 2 }, (_, s): Calls[] => [
    { pid: 7, counts: { connect: 900 }, activity: contacting(s * 900, 900, 900) },
  ])
  expect(watch(burst).questions).toEqual(['network-scan'])
  const slow = (s: number): Calls[] => [
    { pid: 7, counts: { connect: 3 }, activity: contacting(s * 3, 3, 3) },
  ]
  expect(watch(Array.from({ length: 50 }, (_, s) => slow(s))).questions).toEqual(['network-scan'])
  // A monitor of 45 services comes back to them.
  expect(watch(Array.from({ length: 90 }, (_, s) => slow(s % 15))).questions).toEqual([])
})

const toDns = (queries: number, bytes: number, names = -1): Partial<Activity> => ({
  dnsNames: [names, names],
  ...{ contacts: queries, dnsQueries: queries, dnsBytes: queries * bytes },
  ...{ peers: [1, 0, 0, 0], peer: '10.0.0.1:53' },
})

test.each<[string, Calls, Finding['question'][]]>([
  ['long names', { pid: 7, counts: { sendto: 20 }, activity: toDns(20, 150) }, ['dns-tunnel']],
  [
    'one long name again and again',
    { pid: 7, counts: { sendto: 20 }, activity: toDns(20, 150, 3) },
    [],
  ],
  [
    'long names over a connected socket',
    { pid: 7, counts: { sendto: 20 }, activity: { ...toDns(20, 150), contacts: 0, peer: '' } },
    ['dns-tunnel'],
  ],
  ['a mail server', { pid: 7, counts: { sendto: 20 }, activity: toDns(20, 60) }, []],
  ['a name once a second', { pid: 7, counts: { sendto: 1 }, activity: toDns(1, 150) }, []],
  [
    'a name server, whose clients ask',
    { pid: 7, name: 'unbound', counts: { sendto: 90, recvfrom: 90 }, activity: toDns(90, 150) },
    [],
  ],
  [
    'a password after the other',
    {
      ...{ pid: 7, counts: { connect: 5, recvfrom: 20 } },
      activity: { contacts: 5, peers: [1, 0, 0, 0], peer: '10.0.0.1:21' },
    },
    ['password-guessing'],
  ],
  [
    'a page that asks its database',
    {
      ...{ pid: 7, counts: { connect: 50, recvfrom: 200 } },
      activity: { contacts: 50, peers: [1, 0, 0, 0], peer: '10.0.0.1:3306' },
    },
    [],
  ],
])('over the network: %s', (_, calls, expected) => {
  expect(watch(Array.from({ length: 20 }, () => [calls])).questions).toEqual(expected)
})
