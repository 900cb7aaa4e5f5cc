/**
 * Recordings of several hosts that share a kernel: which vector goes to whom, and what the ledger
 * say.
 */
import { describe, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defined } from '../../src/domain/defined.ts'
import { HOSTS_HOLD_SECONDS } from '../../src/domain/limits.ts'
import type { Process } from '../../src/domain/process.ts'
import { HostsFile } from '../../src/record/hosts-file.ts'
import { Recording } from '../../src/record/recording.ts'
import { frameOf } from '../support/hand-frames.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const put = (text: string) => {
  const path = join(directory(), 'hosts.tsv')
  writeFileSync(path, text)
  return path
}
const member = (pidNamespace?: number): Process => ({
  pid: 5,
  startMs: 0,
  name: 'x',
  ...defined({ pidNamespace }),
})

/** A second in which each namespace's one process reads as often as its number says. */
function second(index: number, namespaces: readonly number[], lost = 0) {
  const made = frameOf(
    index,
    namespaces.map((n) => ({ pid: n, counts: { read: n } })),
    lost,
  )
  const processes = made.processes.map((p, i) => ({ ...p, pidNamespace: namespaces[i]! }))
  return { ...made, processes }
}

describe('HostsFile.hostOf()', () => {
  test('names hosts by pid namespace; `-`, strangers and the unknown are not recorded', () => {
    const hosts = new HostsFile(put('11\tac\n12\t-\n'))
    expect(hosts.hostOf(member(11), 1)).toBe('ac')
    expect(hosts.hostOf(member(12), 1)).toBeUndefined()
    expect(hosts.hostOf(member(13), 1)).toBeUndefined()
    expect(hosts.hostOf(member(), 1)).toBeUndefined()
  })

  test('reads the file anew for a namespace that it did not name, once a second', () => {
    const path = put('11\tac\n')
    const hosts = new HostsFile(path)
    expect(hosts.hostOf(member(13), 1)).toBeUndefined()
    writeFileSync(path, '11\tac\n13\tbs\n')
    expect(hosts.hostOf(member(13), 1)).toBeUndefined()
    expect(hosts.hostOf(member(13), 2)).toBe('bs')
  })

  test('keeps what it knew when the file goes or is garbled', () => {
    const path = put('11\tac\n')
    const hosts = new HostsFile(path)
    writeFileSync(path, 'nonsense\n')
    expect(hosts.hostOf(member(13), 1)).toBeUndefined()
    rmSync(path)
    expect(hosts.hostOf(member(13), 2)).toBeUndefined()
    expect(hosts.hostOf(member(11), 2)).toBe('ac')
  })

  test.each([
    ['a line without tab', '11 ac\n', 'line 1'],
    ['a name with spaces', '11\tac\n12\ta c\n', 'line 2'],
    ['a host without namespace', '\tac\n', 'line 1'],
  ])('refuses %s', (_, text, where) => {
    expect(() => new HostsFile(put(text))).toThrow(where)
  })

  test('says so when it is not there', () => {
    expect(() => new HostsFile('/nonexistent/hosts.tsv')).toThrow(
      'Cannot read "/nonexistent/hosts.tsv": ENOENT',
    )
  })
})

describe('Recording', () => {
  const lines = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n')

  test('writes each vector under its host, losses for all, and closes its ledger', async () => {
    const hosts = put('11\tac\n12\tas\n')
    const out = join(directory(), 'frames.ndjson')
    const recording = new Recording({ out, hosts, host: 'machine' })
    await recording.write([second(100, [11, 12, 13]), second(101, [12], 3)])
    expect(await recording.close()).toEqual({
      ...{ frames: 2, vectors: 3, lostSeconds: 1, first: 100, last: 101 },
      hosts: { ac: { vectors: 1, calls: 11 }, as: { vectors: 2, calls: 24 } },
      notRecorded: { vectors: 1, calls: 13 },
    })
    expect(lines(out)).toEqual([
      '{"t":100,"host":"ac","pid":11,"start":0,"name":"p11","counts":{"read":11}}',
      '{"t":100,"host":"as","pid":12,"start":0,"name":"p12","counts":{"read":12}}',
      '{"t":101,"loss":{"calls":3}}',
      '{"t":101,"host":"as","pid":12,"start":0,"name":"p12","counts":{"read":12}}',
    ])
  })

  test('waits with its seconds, so that a host has its first ones though it is named later', async () => {
    const hosts = put('')
    const out = join(directory(), 'frames.ndjson')
    const recording = new Recording({ out, hosts, host: 'machine' })
    await recording.write([second(100, [11])])
    await recording.write([second(101, [11])])
    writeFileSync(hosts, '11\tac\n')
    await recording.write([second(102 + HOSTS_HOLD_SECONDS, [11])])
    expect(await recording.close()).toMatchObject({
      hosts: { ac: { vectors: 3 } },
      notRecorded: { vectors: 0 },
    })
  })

  test('without a hosts file is what it was, and writes the tree beside it', async () => {
    const out = join(directory(), 'frames.ndjson')
    const tree = join(directory(), 'tree.tsv')
    const recording = new Recording({ out, tree, host: 'machine', label: 'nmap' })
    const frame = second(100, [11])
    await recording.write([{ ...frame, processes: [{ ...frame.processes[0]!, ppid: 3 }] }])
    expect(await recording.close()).toEqual({
      ...{ frames: 1, vectors: 1, lostSeconds: 0, first: 100, last: 100 },
    })
    expect(lines(out)).toEqual([
      '{"t":100,"host":"machine","pid":11,"start":0,"name":"p11","counts":{"read":11},"label":"nmap"}',
    ])
    expect(lines(tree)).toEqual(['100\tF\t3\t11', '100\tX\t11\tp11'])
  })
})
