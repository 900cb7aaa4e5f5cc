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

test('three seconds say nothing yet, four do', () => {
  expect(says({ connect: 900 }, 3)).toBeUndefined()
  expect(says({ connect: 900 }, 4)).toEqual(['supports'])
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

// --- Where each number lies: just below it and just above ----------------------------------------

/**
 * A sketch of `of` bits that stands for so many different things: near 80 a bit of 128 stands for two
 * of them, near 250 for seven.
 */
function sketchOf<Words extends number[]>(count: number, of: number): Words {
  const set = Math.round(of * (1 - Math.exp(-count / of)))
  return Array.from({ length: of / 32 }, (_, i) => {
    const bits = Math.min(32, Math.max(0, set - 32 * i))
    return bits === 32 ? 0xffffffff : 2 ** bits - 1
  }) as Words
}

interface Burst {
  /** Seconds from the first connection to the last, in which all of the rest happens. */
  seconds?: number
  connects?: number
  answers?: number
  contacts?: number
  ends?: number
  peer?: string
  queries?: number
  bytes?: number
  names?: number
}

/** One connection, then nothing, and all at once in the last second: no sum has faded. */
function burst({ seconds = 30, connects = 0, answers = 0, ...of }: Burst) {
  const { contacts = 0, ends = 1, peer = '10.0.0.7:6379', queries = 0, bytes = 150, names = 1 } = of
  const counts = { ...(connects > 0 ? { connect: connects } : {}), recvfrom: answers, poll: 1 }
  const activity: Partial<Activity> = {
    ...{ contacts, peers: sketchOf<[number, number, number, number]>(ends, 128), peer },
    ...{ dnsQueries: queries, dnsBytes: queries * bytes },
    dnsNames: sketchOf<[number, number]>(names, 64),
  }
  const last: Calls = { pid: 7, counts, ...(contacts + queries > 0 ? { activity } : {}) }
  const before = Array.from({ length: seconds - 1 }, (_, s): Calls[] => [
    { pid: 7, counts: s === 0 ? { connect: 1 } : { poll: 1 } },
  ])
  return watch([...before, [last]])
}

const wide: Burst = { seconds: 5, ends: 81, contacts: 90 }
const all: Burst = { seconds: 2, ends: 251, contacts: 320 }
const few: Burst = { seconds: 15, ends: 70, contacts: 100 }
const calls: Burst = { seconds: 8, connects: 400 }
const login: Burst = { seconds: 6, contacts: 15, ends: 3, peer: '10.0.0.7:21' }
const tunnel: Burst = { seconds: 4, queries: 30, bytes: 90, names: 20, peer: '10.0.0.1:53' }

test.each<[string, Finding['question'], Burst, Burst, Burst]>([
  ['scan', 'network-scan', wide, { ends: 79 }, { ends: 81 }],
  ['scan of 81 ends', 'network-scan', wide, { contacts: 59 }, { contacts: 60 }],
  ['scan of 90 contacts', 'network-scan', wide, { answers: 46 }, { answers: 44 }],
  ['scan', 'network-scan', wide, { seconds: 4 }, { seconds: 5 }],
  ['scan of all ports', 'network-scan', all, { ends: 244 }, { ends: 251 }],
  ['scan of all ports', 'network-scan', all, { contacts: 299 }, { contacts: 300 }],
  ['scan of all ports', 'network-scan', all, { seconds: 1 }, { seconds: 2 }],
  ['slow scan', 'network-scan', few, { ends: 68 }, { ends: 70 }],
  ['slow scan of 70 ends', 'network-scan', few, { contacts: 113 }, { contacts: 111 }],
  ['slow scan of 100 contacts', 'network-scan', few, { answers: 21 }, { answers: 19 }],
  ['slow scan', 'network-scan', few, { seconds: 14 }, { seconds: 15 }],
  ['scan by calls', 'network-scan', calls, { connects: 299 }, { connects: 300 }],
  ['scan by 400 calls', 'network-scan', calls, { answers: 21 }, { answers: 19 }],
  ['scan by calls', 'network-scan', calls, { seconds: 7 }, { seconds: 8 }],
  ['guess', 'password-guessing', login, { ends: 4 }, { ends: 3 }],
  ['guess', 'password-guessing', login, { seconds: 5 }, { seconds: 6 }],
  ['tunnel', 'dns-tunnel', tunnel, { queries: 29 }, { queries: 30 }],
  ['tunnel', 'dns-tunnel', tunnel, { bytes: 89 }, { bytes: 90 }],
  ['tunnel', 'dns-tunnel', tunnel, { names: 18 }, { names: 20 }],
  ['tunnel', 'dns-tunnel', tunnel, { seconds: 3 }, { seconds: 4 }],
])('a %s (%s) of %j: none with %j, one with %j', (_, question, base, none, one) => {
  expect(burst({ ...base, ...none }).questions).toEqual([])
  expect(burst({ ...base, ...one }).questions).toEqual([question])
})

test.each([
  ...[21, 23, 110, 143, 445, 993, 995].map((port) => [port, 15] as const),
  ...[3389, 5900].map((port) => [port, 10] as const),
  ...[22, 2222].map((port) => [port, 30] as const),
])('who connects to port %d is found to guess from %d connections in ten seconds', (port, from) => {
  const times = (contacts: number) => burst({ contacts, peer: `10.0.0.7:${port}` }).questions
  expect(times(from - 1)).toEqual([])
  expect(times(from)).toEqual(['password-guessing'])
})

const client: Burst = { seconds: 6, contacts: 15, ends: 3, answers: 20 }
test.each<[string, Burst, boolean]>([
  ['14 connections in ten seconds', { ...client, contacts: 14 }, false],
  ['15 connections', client, true],
  ['four ends', { ...client, ends: 4 }, false],
  ['5 seconds', { ...client, seconds: 5 }, false],
  ['9 answers to 20 connections', { ...client, contacts: 20, answers: 9 }, false],
  ['10 answers', { ...client, contacts: 20, answers: 10 }, true],
])('who connects to one end again and again, %s: asked about is %p', (_, of, isAsked) => {
  expect(burst(of).connecting.repeaters.length > 0).toBe(isAsked)
})

test('who goes on is asked about after a minute, each time half as often, and hourly in the end', () => {
  const lineage = new Lineage()
  const connecting = new Connecting(lineage)
  const activity = { contacts: 5, peers: sketchOf<Activity['peers'] & number[]>(1, 128) }
  const seconds = Array.from({ length: 7_400 }, (_, s) => {
    const frame = frameOf(1_000 + s, [{ pid: 7, counts: { connect: 5, recvfrom: 5 }, activity }])
    lineage.push(frame)
    connecting.push(frame)
    return connecting.repeaters.length > 0 ? [s] : []
  }).flat()
  expect(seconds).toEqual([5, 65, 185, 425, 905, 1_865, 3_785, 7_385])
})

test.each<[string, Burst, boolean]>([
  ['14 contacts', { contacts: 14 }, false],
  ['15 contacts', { contacts: 15 }, true],
  ['one end and its name server', { contacts: 20, ends: 2 }, true],
  ['three ends', { contacts: 20, ends: 3 }, false],
])('for ten questions %s: takes orders is %p', (_, of, takesOrders) => {
  const { connecting } = burst(of)
  const process = { pid: 7, startMs: 0, name: 'p7' }
  expect(connecting.ordersFrom(process, 10)).toBe(takesOrders ? '10.0.0.7:6379' : undefined)
})

test.each<[string, Record<string, number>, number]>([
  ['two reads of each file', { openat: 10, read: 20 }, 0],
  ['one read more', { openat: 10, read: 21 }, 1],
  ['eight reads of each start', { execve: 10, read: 80 }, 0],
  ['one read more of ten starts', { execve: 10, read: 81 }, 1],
])('%s: %j has heard %d', (_, counts, heard) => {
  const idle: Calls[] = [{ pid: 7, counts: { connect: 1 } }]
  const { connecting } = watch([idle, idle, idle, [{ pid: 7, counts }]])
  expect(connecting.of({ pid: 7, startMs: 0, name: 'x' })?.heard).toBe(heard)
})
