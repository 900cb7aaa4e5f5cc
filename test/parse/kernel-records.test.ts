/** The collector's stream: what it means, wherever it is cut, and whatever is wrong with it. */
import { describe, expect, test } from 'bun:test'
import { RecordWriter } from '../../src/collect/kernel/records.ts'
import { OTHER, SYSCALLS } from '../../src/domain/syscalls.ts'
import type { TallySink } from '../../src/domain/tally.ts'
import { KernelRecordsParser } from '../../src/parse/kernel-records.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const T = 1_700_000_000

/** Writes down what it is told, in words. */
function scribe() {
  const told: string[] = []
  const names = ['']
  const nameOf = (id: number) => (id < 0 ? `thread ${names[-id]}` : names[id]!)
  const sink: TallySink = {
    nameEpoch: 0,
    intern(text, from, to) {
      const name = new TextDecoder().decode(text.subarray(from, to))
      const at = names.indexOf(name)
      return at > 0 ? at : names.push(name) - 1
    },
    add: (pid, name, syscall, count, timeMs) =>
      void told.push(`${timeMs} ${pid} "${nameOf(name)}" ${SYSCALLS[syscall]} ${count}`),
    cpu: (pid, name, cpuMs, timeMs) =>
      void told.push(`${timeMs} ${pid} "${nameOf(name)}" ${cpuMs} ms of CPU`),
    unseenProcess: (pid, name, { reason, kinds, lost }, timeMs) =>
      void told.push(`${timeMs} ${pid} "${nameOf(name)}" unseen: ${reason} ${kinds} ${lost}`),
    unseenUser: (uid, lost, timeMs) => void told.push(`${timeMs} user ${uid} unseen: ${lost}`),
    describe: (pid, name, facts, timeMs) =>
      void told.push(`${timeMs} ${pid} is "${nameOf(name)}" ${JSON.stringify(facts)}`),
    activity: (pid, name, { contacts, peer, dnsQueries, dnsBytes, secrets }, timeMs) =>
      void told.push(
        `${timeMs} ${pid} "${nameOf(name)}" ${contacts} contacts, ${peer}, ${dnsQueries} queries of ${dnsBytes}, secrets ${secrets}`,
      ),
    exit: (pid, timeMs) => void told.push(`${timeMs} ${pid} exits`),
    drop: (reason, count, sample) => void told.push(`drop ${reason} ${count} ${sample}`),
    lost: (reason, count, timeMs) => void told.push(`${timeMs} ${reason} ${count}`),
    advance: (timeMs) => void told.push(`${timeMs} reached`),
  }
  return { told, sink, parser: new KernelRecordsParser(sink) }
}

function stream(write: (writer: RecordWriter) => void): Uint8Array {
  const writer = new RecordWriter()
  write(writer)
  return writer.take().slice()
}

const whole = stream((writer) => {
  writer.hello(1)
  writer.second(T)
  writer.process(
    {
      ...{ pid: 812, start: T - 9, ppid: 1, uid: 33, pidNamespace: 4_026_533_316 },
      ...{ exe: '/usr/sbin/nginx', container: 'c0ffee' },
    },
    bytes('nginx'),
    1,
  )
  writer.beginCalls(812, bytes('nginx'), 1)
  writer.call(0, 3)
  writer.call(232, 12)
  writer.call((1 << 10) | 64, 5)
  writer.call((1 << 11) | 18, 6)
  writer.endCalls()
  writer.beginCalls(900, bytes('pool-1'), 2)
  writer.call(1023, 4_294_967_295)
  writer.endCalls()
  writer.command(900, 7, bytes('curl -u bob:*** h'))
  const active = new Uint8Array(56)
  const words = new DataView(active.buffer)
  words.setUint16(16, 2, true)
  words.setUint16(18, 53)
  active.set([10, 0, 0, 1], 20)
  for (const [i, value] of [9, 8, 700, 3, 4].entries()) words.setUint32(24 + 4 * i, value, true)
  writer.activity(812, bytes('nginx'), 1, active)
  writer.cpu(77, bytes('xmrig'), 1, 998_700)
  writer.unseen(812, bytes('nginx'), 1, { uid: 33, reason: 1, keys: 40, lost: 9 })
  writer.unseen(0, bytes(''), 0, { uid: 1000, reason: 2, keys: 0, lost: 5 })
  writer.exit(900)
  writer.lost(T, 0, 7)
  writer.endOfSecond(1500, 4, 2, 0)
  writer.bye()
})

const expected = [
  `${T}000 812 is "nginx" {"startMs":${T - 9}000,"ppid":1,"uid":33,"pidNamespace":4026533316,"exe":"/usr/sbin/nginx","container":"c0ffee"}`,
  `${T}000 812 "nginx" read 3`,
  `${T}000 812 "nginx" epoll_wait 12`,
  `${T}000 812 "nginx" getppid 5`,
  `${T}000 812 "nginx" openat 6`,
  `${T}000 900 "thread pool-1" ${SYSCALLS[OTHER]} 4294967295`,
  `${T}000 900 is "" {"command":{"text":"curl -u bob:*** h","digest":7}}`,
  `${T}000 812 "nginx" 9 contacts, 10.0.0.1:53, 8 queries of 700, secrets 3`,
  `${T}000 77 "xmrig" 998.7 ms of CPU`,
  `${T}000 812 "nginx" unseen: no-room 40 9`,
  `${T}000 user 1000 unseen: 5`,
  `${T}500 900 exits`,
  `${T}000 lost(kernel) 7`,
  `${T + 1}000 reached`,
]

describe('KernelRecordsParser', () => {
  test('tells a second: processes, calls by either table, ends, losses, and that it is over', () => {
    const { told, parser } = scribe()
    parser.push(whole)
    parser.end()
    expect(told).toEqual(expected)
  })

  test('tells the same wherever the bytes are cut, and one byte at a time', () => {
    for (let cut = 0; cut <= whole.length; cut++) {
      const { told, parser } = scribe()
      parser.push(whole.subarray(0, cut))
      parser.push(whole.subarray(cut))
      parser.end()
      expect(told).toEqual(expected)
    }
    const { told, parser } = scribe()
    for (const byte of whole) parser.push(Uint8Array.of(byte))
    parser.end()
    expect(told).toEqual(expected)
  })

  test('status tells cost and losses of the collector', () => {
    const { parser } = scribe()
    parser.push(whole)
    expect(parser.status).toEqual({
      drainMs: 1.5,
      keys: 4,
      processes: 2,
      unrecorded: 0,
      most: { drainMs: 1.5, keys: 4, processes: 2 },
      lost: { 'no room for its user': 14, 'no room': 7 },
      complete: true,
    })
  })

  test('leaves out what nobody knows', () => {
    const { told, parser } = scribe()
    parser.push(
      stream((writer) => {
        writer.hello(2)
        writer.second(T)
        const unknown = { start: 0, ppid: 0, uid: 0xffff_ffff, pidNamespace: 0 }
        const facts = { pid: 5, ...unknown, exe: '', container: '' }
        writer.process(facts, bytes(''), 0)
        writer.beginCalls(5, bytes(''), 0)
        writer.call(63, 1)
        writer.endCalls()
      }),
    )
    expect(told).toEqual([`${T}000 5 is "" {}`, `${T}000 5 "" read 1`])
  })

  const damage: [string, Uint8Array, string][] = [
    ['ends within a record', whole.subarray(0, whole.length - 3), 'stream ends within a record'],
    ['bears another version', Uint8Array.of(2, 0, 0, 0, 1, 9, 1), 'version 9'],
    ['has a record longer than any', Uint8Array.of(0, 0, 2, 0, 4), 'record too long'],
    ['claims four gigabytes', Uint8Array.of(255, 255, 255, 255, 4), 'record too long'],
    ['has a kind that we do not know', Uint8Array.of(0, 0, 0, 0, 99), 'kind 99'],
    ['has calls before hello', Uint8Array.of(6, 0, 0, 0, 4, 1, 0, 0, 0, 1, 0), 'before hello'],
    ['has a second of three bytes', Uint8Array.of(3, 0, 0, 0, 2, 1, 2, 3), 'kind 2'],
    [
      'has a name that runs over its record',
      Uint8Array.of(...whole.subarray(0, 7), 6, 0, 0, 0, 4, 1, 0, 0, 0, 1, 9),
      'calls garbled',
    ],
    [
      'has half a call',
      Uint8Array.of(...whole.subarray(0, 7), 9, 0, 0, 0, 4, 1, 0, 0, 0, 1, 0, 1, 2, 3),
      'calls garbled',
    ],
    [
      'has pid 0',
      Uint8Array.of(...whole.subarray(0, 7), 6, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0),
      'calls garbled',
    ],
    ['is text', bytes('1700000000 nginx read 3\n'), 'record too long'],
  ]
  test.each(damage)('drops the rest of a stream that %s, counted once', (_, damaged, sample) => {
    const { told, parser } = scribe()
    parser.push(damaged)
    parser.push(whole)
    parser.end()
    const drops = told.filter((line) => line.startsWith('drop'))
    // Cut within a record, what follows is read as its rest: still one complaint at most a stream.
    expect(drops.length).toBeLessThanOrEqual(1)
    if (sample === 'stream ends within a record') {
      const alone = scribe()
      alone.parser.push(damaged)
      alone.parser.end()
      expect(alone.told.at(-1)).toContain(sample)
    } else expect(drops[0]).toContain(sample)
  })
})
