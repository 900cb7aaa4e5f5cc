/**
 * The table from facts to findings. What real processes show is in test/facts; here are the cases
 * that are dear to make.
 */
import { expect, test } from 'bun:test'
import {
  findingsOf,
  guessFindings,
  scanFindings,
  tunnelFindings,
} from '../../src/detect/findings.ts'
import { canBeNamed, isDaemonName, isKernelThreadName } from '../../src/detect/program-names.ts'
import type { Finding } from '../../src/domain/finding.ts'
import type {
  Connection,
  Executable,
  FileChanges,
  Look,
  Place,
  ProcessFacts,
  Program,
  Relay,
  Stream,
} from '../../src/domain/process-facts.ts'
import { placeOf } from '../../src/facts/look.ts'

const knows = (name: string) => name === 'nginx' || name === 'worker'
const look = (name: string, path: string, more: Partial<Look> = {}): Look => ({
  name,
  executable: { path, deleted: false, inMemory: false, place: 'other' },
  isKernelThread: false,
  hasMemory: true,
  streams: [],
  session: 1,
  context: {},
  ...more,
})
const said = (name: string, path: string, program: Program, more: Partial<Look> = {}) =>
  findingsOf({ pid: 1, startMs: 0, name }, { look: look(name, path, more), program }, knows).map(
    ({ question, says }) => `${says} ${question}`,
  )
const own: Program = { state: 'unowned', isAlias: false }

test.each<[string, string, string, Program, Partial<Look>, string[]]>([
  [
    'verified',
    'nginx',
    '/usr/sbin/nginx',
    { ...own, state: 'verified' },
    {},
    ['refutes masquerade'],
  ],
  [
    'verified, as its link',
    'nc',
    '/usr/bin/nc.openbsd',
    { ...own, state: 'verified', isAlias: true },
    {},
    ['refutes masquerade'],
  ],
  ['verified, under another name', 'nginx', '/usr/bin/find', { ...own, state: 'verified' }, {}, []],
  [
    'modified',
    'nginx',
    '/usr/sbin/nginx',
    { ...own, state: 'modified', package: 'nginx' },
    {},
    ['supports masquerade'],
  ],
  ['no database', 'nginx', '/opt/x', { ...own, state: 'unknown' }, {}, ['supports masquerade']],
  ['no database, own name', 'nginx', '/opt/nginx', { ...own, state: 'unknown' }, {}, []],
  [
    'built here under a known name',
    'nginx',
    '/usr/local/sbin/nginx',
    own,
    {},
    ['supports masquerade'],
  ],
  [
    'put into /usr/local by root',
    'nginx',
    '/usr/local/sbin/nginx',
    { ...own, isRoots: true },
    {},
    [],
  ],
  ['built here under its name', 'mytool', '/usr/local/bin/mytool', own, {}, []],
  ['busybox', 'crond', '/bin/busybox', own, {}, []],
  ['a script by its name', 'worker', '/usr/bin/python3.11', own, { script: '/srv/worker' }, []],
  ['renamed after a daemon', 'sshd', '/srv/x', own, {}, ['proves masquerade']],
  [
    'renamed, with no database',
    'sshd',
    '/srv/x',
    { ...own, state: 'unknown' },
    {},
    ['supports masquerade'],
  ],
  [
    'a copy under a known name',
    'nginx',
    '/srv/nginx',
    { ...own, copyOf: '/bin/find' },
    {},
    ['proves masquerade'],
  ],
  [
    'a copy of busybox',
    'nginx',
    '/srv/nginx',
    { ...own, copyOf: '/bin/busybox' },
    {},
    ['supports masquerade'],
  ],
  [
    "a copy under the original's name",
    'nginx',
    '/srv/nginx',
    { ...own, copyOf: '/sbin/nginx' },
    {},
    ['supports masquerade'],
  ],
])('%s', (_, name, path, program, more, expected) => {
  expect(said(name, path, program, more)).toEqual(expected)
})

test('a name that changed between the counts and the look is judged by the next look', () => {
  const facts = { look: look('sshd', '/srv/x'), program: own }
  expect(findingsOf({ pid: 1, startMs: 0, name: 'x' }, facts, knows)).toEqual([])
})

const doubtful = {
  remote: '10.0.0.1:50000',
  isLoopback: false,
  isOutgoing: true,
  isDoubtful: true,
} as const
const relay = (
  name: string,
  path: string,
  more: Partial<Relay>,
  place: Place = 'other',
): Relay => ({
  pid: 2,
  name,
  state: 'verified',
  holds: 'terminal',
  isListening: false,
  connections: [{ remote: '10.0.0.1:4444', isLoopback: false, isOutgoing: true }],
  executable: { path, deleted: false, inMemory: false, place },
  ...more,
})
const incoming = [{ remote: '10.0.0.1:50000', isLoopback: false, isOutgoing: false }]

test.each<[string, Relay[], string[]]>([
  ['sshd whose listener is gone', [relay('sshd', '/usr/sbin/sshd', {})], []],
  ['a terminal of a package over X', [relay('xterm', '/usr/bin/xterm', {})], []],
  [
    'a strange program that listens',
    [relay('ttyd', '/opt/ttyd', { state: 'unowned', isListening: true })],
    [],
  ],
  [
    'a strange program that was called',
    [relay('ttyd', '/opt/ttyd', { state: 'unowned', connections: incoming })],
    [],
  ],
  [
    'an implant',
    [relay('x', '/tmp/x', { state: 'unowned' }, 'temporary')],
    ['proves reverse-shell'],
  ],
  ['a strange program', [relay('x', '/opt/x', { state: 'unowned' })], ['supports reverse-shell']],
  ['an assistant of a developer', [relay('node', '/usr/bin/node', {})], ['supports reverse-shell']],
  [
    'socat that was called before its listener went',
    [relay('socat', '/usr/bin/socat', { connections: [doubtful] })],
    [],
  ],
  ['socat by its package', [relay('socat', '/usr/bin/socat', {})], ['proves reverse-shell']],
  [
    'a runner of jobs',
    [relay('runner', '/opt/runner', { state: 'unowned', holds: 'parent' })],
    ['supports reverse-shell'],
  ],
  [
    'telnet on both sides',
    [
      relay('telnet', '/usr/bin/telnet', { holds: 'half' }),
      relay('telnet', '/usr/bin/telnet', { holds: 'half', pid: 3 }),
    ],
    ['proves reverse-shell'],
  ],
  ['one telnet', [relay('telnet', '/usr/bin/telnet', { holds: 'half' })], []],
])('a shell behind %s', (_, relays, expected) => {
  const facts = { look: look('bash', '/usr/bin/bash'), streams: { relays, peers: [] } }
  const found = findingsOf({ pid: 1, startMs: 0, name: 'bash' }, facts, knows)
  expect(found.map(({ question, says }) => `${says} ${question}`)).toEqual(expected)
})

test('a copy of a program that is executed from memory under another name', () => {
  const program: Program = { ...own, copyOf: '/usr/bin/find' }
  const memory = { path: '/memfd:x', deleted: false, inMemory: true, place: 'other' as const }
  expect(said('3', '/memfd:x', program, { executable: memory })).toEqual(['proves masquerade'])
  // A container's runtime does so to be safe from what it starts.
  const runtime: Program = { ...own, copyOf: '/usr/bin/runc' }
  const clone = said('runc:[2:INIT]', '/memfd:runc_cloned', runtime, { executable: memory })
  expect(clone).toEqual(['supports masquerade'])
})

test('who is listed as a thread of the kernel, and is none', () => {
  const listed = (command: string, isKernelThread = false) =>
    findingsOf(
      { pid: 1, startMs: 0, name: 'x' },
      { look: look('x', '/tmp/x', { context: { command }, isKernelThread }) },
      knows,
    ).map(({ question, says }) => `${says} ${question}`)
  expect(listed('[kworker/0:1-events]')).toEqual(['proves masquerade'])
  expect(listed('[kworker/0:1-events]', true)).toEqual([])
  expect(listed('[priv] x')).toEqual([])
  expect(listed('[x]')).toEqual([])
  expect(listed('tool [kworker/0:1]')).toEqual([])
})

const asPipes = { connections: [{ remote: '10.0.0.1:4444', isLoopback: false, isOutgoing: true }] }
test.each<[string, string, Stream['kind'], Relay, string[]]>([
  [
    'sh -i with pipes of java',
    '/bin/sh -i',
    'pipe',
    relay('java', '/usr/lib/jvm/bin/java', { holds: 'parent', ...asPipes }),
    ['proves reverse-shell'],
  ],
  [
    'sh -i with sockets of node',
    '/bin/sh -i',
    'unix',
    relay('node', '/usr/bin/node', { holds: 'parent', ...asPipes }),
    ['proves reverse-shell'],
  ],
  [
    'a shell that node has given a command',
    '/bin/sh -c make',
    'pipe',
    relay('node', '/usr/bin/node', { holds: 'parent', ...asPipes }),
    [],
  ],
  [
    'bash -i in the terminal of an editor',
    'bash -i',
    'pty',
    relay('node', '/usr/bin/node', {}),
    ['supports reverse-shell'],
  ],
  [
    'sh -i below a server',
    'sh -i',
    'pipe',
    relay('node', '/usr/bin/node', { holds: 'parent', isListening: true }),
    [],
  ],
])('%s', (_, command, kind, by, expected) => {
  const streams = [{ kind, id: 1 } as const, { kind, id: 2 } as const]
  const facts = {
    look: look('sh', '/usr/bin/dash', { streams, context: { command } }),
    streams: { relays: [by], peers: [] },
  }
  const found = findingsOf({ pid: 1, startMs: 0, name: 'sh' }, facts, knows)
  expect(found.map(({ question, says }) => `${says} ${question}`)).toEqual(expected)
})

const asks = ['user', 'accounts', 'system']
const alone = { network: { connections: [], isListening: false } }
test.each<[string, string, Partial<ProcessFacts>, string[]]>([
  [
    'a shell with pipes of a program with a connection',
    '/usr/bin/dash',
    {
      ...alone,
      asked: asks,
      streams: { relays: [relay('x', '/opt/x', { state: 'unowned', holds: 'parent' })], peers: [] },
    },
    ['proves reverse-shell', 'supports reverse-shell'],
  ],
  [
    'a script that turns to one host now and then and asks four kinds',
    '/usr/bin/python3.11',
    { ...alone, asked: [...asks, 'processes'], contacted: '10.0.0.1:80' },
    ['proves reverse-shell'],
  ],
  [
    'an inventory that asks three and reports',
    '/usr/bin/python3.11',
    { ...alone, asked: asks, contacted: '10.0.0.1:80' },
    [],
  ],
  [
    'a shell in a terminal of a script with a connection',
    '/usr/bin/bash',
    {
      ...alone,
      asked: asks,
      streams: { relays: [relay('python3', '/usr/bin/python3.11', {})], peers: [] },
    },
    ['proves reverse-shell', 'supports reverse-shell'],
  ],
  [
    'a developer in the terminal of an editor',
    '/usr/bin/bash',
    { ...alone, asked: asks, streams: { relays: [relay('node', '/usr/bin/node', {})], peers: [] } },
    ['supports reverse-shell'],
  ],
  ['a script that asks all and tells nobody', '/usr/bin/dash', { ...alone, asked: asks }, []],
])('questions of %s', (_, path, more, expected) => {
  const facts = { look: look('x', path), program: { ...own, state: 'verified' as const }, ...more }
  const found = findingsOf({ pid: 1, startMs: 0, name: 'x' }, facts, knows)
  expect(found.map(({ question, says }) => `${says} ${question}`).sort()).toEqual(expected)
})

test('who turns to many guesses no password, and who asks for no names tunnels nothing', () => {
  const contacts = { connects: 40, sends: 0, heard: 40 }
  const says = (findings: Finding[]) => findings.map(({ says }) => says)
  expect(says(guessFindings({ ...contacts, ends: 60 }))).toEqual(['refutes'])
  expect(says(guessFindings({ ...contacts, ends: 1 }))).toEqual([])
  expect(says(guessFindings({ ...contacts, connects: 0 }))).toEqual(['refutes'])
  expect(says(tunnelFindings({ ...contacts, dnsQueries: 2 }))).toEqual(['refutes'])
  expect(says(tunnelFindings({ ...contacts, dnsQueries: 60 }))).toEqual([])
  expect(says(tunnelFindings(contacts))).toEqual([])
})

const CONTACTS = { connects: 100, sends: 0, heard: 0, ends: 60 }
test.each<[string, Partial<typeof CONTACTS>, Finding['says'][] | undefined]>([
  ['19 ends', { ends: 19 }, ['refutes']],
  ['20 ends', { ends: 20 }, []],
  ['149 connections, nothing heard', { connects: 149 }, []],
  ['150 connections', { connects: 150 }, ['supports']],
  ['200 connections, 99 answers', { connects: 200, heard: 99 }, ['supports']],
  ['200 connections, 100 answers', { connects: 200, heard: 100 }, []],
  ['149 answers to 100 connections', { heard: 149 }, []],
  ['150 answers', { heard: 150 }, ['refutes']],
  ['39 connections', { connects: 39 }, ['refutes']],
  ['39 connections and a packet', { connects: 39, sends: 1 }, undefined],
  ['40 connections', { connects: 40 }, []],
])('in ten seconds %s: a scan?', (_, contacts, expected) => {
  expect(scanFindings({ ...CONTACTS, ...contacts })?.map(({ says }) => says)).toEqual(expected)
})

test.each<[string, Finding[], Finding['says'][]]>([
  ['10 ends', guessFindings({ ...CONTACTS, ends: 10 }), []],
  ['11 ends', guessFindings({ ...CONTACTS, ends: 11 }), ['refutes']],
  ['4 queries', tunnelFindings({ ...CONTACTS, dnsQueries: 4 }), ['refutes']],
  ['5 queries', tunnelFindings({ ...CONTACTS, dnsQueries: 5 }), []],
])('in ten seconds %s: guessing, a tunnel?', (_, found, expected) => {
  expect(found.map(({ says }) => says)).toEqual(expected)
})

test('a connection that may have come from outside supports, no more', () => {
  const facts = {
    look: look('bash', '/usr/bin/bash'),
    streams: { connection: doubtful, relays: [], peers: [] },
  }
  expect(findingsOf({ pid: 1, startMs: 0, name: 'bash' }, facts, knows)).toMatchObject([
    { question: 'reverse-shell', says: 'supports' },
  ])
})

test('a copied interpreter under a name of its kind is no masquerade', () => {
  expect(said('nodejs', '/srv/nodejs', { ...own, copyOf: '/bin/node' })).toEqual([])
})

test('a shell below a web server supports, no more', () => {
  const below = look('sh', '/usr/bin/dash', {
    context: { parents: [{ pid: 9, name: 'php-fpm8.2' }] },
  })
  expect(findingsOf({ pid: 1, startMs: 0, name: 'sh' }, { look: below }, knows)).toEqual([
    { question: 'web-shell', says: 'supports', because: 'a shell below php-fpm8.2 (9)' },
  ])
})

test.each([
  'kworker/u8:3-writeback',
  'ksoftirqd/0',
  '[kworker/0:1]',
  'rcu_preempt',
  'kswapd0',
  'jbd2/sda1-8',
  '[watchdogd]',
])('%p is called as a thread of the kernel', (name) => expect(isKernelThreadName(name)).toBe(true))
test.each([
  'kded5',
  'kwin_x11',
  'ksmtuned',
  'watchdogd',
  'nfsd',
  'kubelet',
  'irqbalance',
  'kdevtmpfsi',
  'rcutorture',
  '[celery]',
])('%p may be a program', (name) => expect(isKernelThreadName(name)).toBe(false))
test.each([
  ['vim', 'vim.basic', true],
  ['python3', 'python3.11', true],
  ['systemd-journal', 'systemd-journald', true],
  ['nginx: worker', 'nginx', true],
  ['php-fpm8.2', 'php-fpm8.2', true],
  ['sshd', 'ssh', false],
  ['sshd-session', 'sshd', true],
  ['nginx', 'find', false],
  ['', 'x', false],
])('canBeNamed(%p, %p) is %p', (name, file, can) => {
  expect(canBeNamed(name, file)).toBe(can)
})
test('daemons are known with what they say of themselves', () => {
  expect(['sshd', 'postgres: writer', 'php-fpm8.2', 'mytool'].map(isDaemonName)).toEqual([
    true,
    true,
    true,
    false,
  ])
})

interface Computing {
  cores?: undefined
  executable?: Partial<Executable>
  command?: string
}
const pool = { remote: '10.0.0.1:8080', isLoopback: false, isOutgoing: true }
test.each<[string, string, string, Partial<Program>, Connection[], Computing, string[]]>([
  [
    'a stranger in /tmp, where people try out a worker of their own',
    'w',
    '/tmp/w',
    {},
    [pool],
    {},
    ['supports masquerade', 'supports crypto-miner'],
  ],
  [
    'a stranger that lists do not show',
    '.w',
    '/dev/shm/.w',
    {},
    [pool],
    {},
    ['supports masquerade', 'proves crypto-miner'],
  ],
  [
    'one under the name of a kernel thread',
    'kworker/u4:2',
    '/srv/x/k',
    {},
    [pool],
    {},
    ['proves masquerade', 'proves crypto-miner'],
  ],
  ["a simulation of one's own", 'sim', '/srv/x/sim', {}, [pool], {}, ['supports crypto-miner']],
  [
    'one connected to a port of pools',
    'sim',
    '/srv/x/sim',
    {},
    [{ ...pool, remote: '10.0.0.1:3333' }],
    {},
    ['proves crypto-miner'],
  ],
  ['one without a connection', 'w', '/tmp/w', {}, [], {}, ['supports masquerade']],
  [
    'one that was called',
    'w',
    '/tmp/w',
    {},
    [{ ...pool, isOutgoing: false }],
    {},
    ['supports masquerade'],
  ],
  [
    'one that does not compute',
    'w',
    '/tmp/w',
    {},
    [pool],
    { cores: undefined },
    ['supports masquerade'],
  ],
  [
    'ffmpeg of a package',
    'ffmpeg',
    '/usr/bin/ffmpeg',
    { state: 'verified' },
    [pool],
    {},
    ['refutes masquerade', 'refutes crypto-miner'],
  ],
  [
    'xmrig of a package',
    'xmrig',
    '/usr/bin/xmrig',
    { state: 'verified' },
    [pool],
    {},
    ['refutes masquerade'],
  ],
  [
    'python',
    'python3',
    '/tmp/venv/bin/python3',
    {},
    [pool],
    {},
    ['supports masquerade', 'supports crypto-miner'],
  ],
  ['one on a host without packages', 'w', '/tmp/w', { state: 'unknown' }, [pool], {}, []],
  [
    'one that was deleted, without a connection',
    'w',
    '/opt/w',
    {},
    [],
    { executable: { deleted: true, isGone: true } },
    ['supports masquerade', 'proves crypto-miner'],
  ],
  [
    'one whose file a new build has replaced',
    'w',
    '/opt/w',
    {},
    [],
    { executable: { deleted: true } },
    ['supports masquerade'],
  ],
  [
    'one executed from memory',
    'w',
    '/memfd:w',
    {},
    [],
    { executable: { inMemory: true } },
    ['supports masquerade', 'proves crypto-miner'],
  ],
  [
    'one under a false name and command line',
    'bash',
    '/opt/w',
    {},
    [],
    { command: '-bash' },
    ['proves crypto-miner'],
  ],
  ['one that gives itself a title', 'w: step 3', '/opt/w', {}, [], { command: 'w' }, []],
  ['one that renames its thread', 'main', '/opt/w', {}, [], { command: '/opt/w -n 3' }, []],
])('computing: %s', (_, name, path, program, connections, more, expected) => {
  const { executable, command = path } = more
  const facts: ProcessFacts = {
    look: look(name, path, {
      executable: { path, deleted: false, inMemory: false, place: placeOf(path), ...executable },
      context: { command },
    }),
    program: { ...own, ...program },
    network: { connections, isListening: false },
    ...('cores' in more ? {} : { cores: 1.9 }),
  }
  const found = findingsOf({ pid: 1, startMs: 0, name }, facts, knows)
  expect(found.map(({ question, says }) => `${says} ${question}`)).toEqual(expected)
})

test.each<[string, Partial<FileChanges>, number, Finding['says'][]]>([
  ['three became unreadable', { sampled: 9, encrypted: 3 }, 0, ['proves']],
  ['two did', { sampled: 9, encrypted: 2 }, 0, ['supports']],
  ['nine, and it only looked on', { sampled: 9, encrypted: 9, unreadable: 0 }, 0, ['supports']],
  [
    'nine, beside one that writes what can be read',
    { sampled: 9, encrypted: 9, written: 5, unreadable: 0, isWithin: true },
    9,
    ['supports'],
  ],
  ['none of six did', { sampled: 6 }, 9, ['refutes']],
  ['none of five', { sampled: 5 }, 9, []],
  ['replaced, the originals removed', { replaced: 6 }, 6, ['proves']],
  ['made elsewhere, nothing removed', { replaced: 6 }, 0, ['supports']],
  ['packed by directory, what was there removed', { ciphers: 3, gone: 8 }, 40, ['proves']],
  ['a backup that removes the oldest one', { ciphers: 3, gone: 1 }, 9, []],
  ['packed, what it had made itself removed', { ciphers: 3, gone: 0 }, 40, []],
  ['moved, beside unreadable files that came', { ciphers: 4, gone: 9 }, 0, []],
])('files: %s', (_, changes, unlinked, expected) => {
  const files = {
    ...{ sampled: 0, encrypted: 0, replaced: 0, ciphers: 0, gone: 0, written: 1, unreadable: 1 },
    ...{ isWithin: false, examples: [] },
    ...changes,
  }
  const found = findingsOf(
    { pid: 1, startMs: 0, name: 'x' },
    { files, unlinked, removed: unlinked },
    knows,
  )
  expect(found.map(({ says }) => says)).toEqual(expected)
})
