/**
 * What is noted beside the counts, of real programs: remote ends, queries, secrets, arguments.
 */
import { beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Activity, Frame } from '../../../src/domain/frame.ts'
import { secretKinds } from '../../../src/domain/secrets.ts'
import { recordWhile, refusal } from '../../support/kernel.ts'

const PORTS = 40
const QUERIES = 25
/** As a resolver asks: the socket is connected, each message names no address. */
const RESOLVER = `import socket,struct,sys
u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.connect(("127.0.0.9",5300))
q=b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0"+b"\\x3c"+b"a"*60+b"\\7example\\0\\0\\1\\0\\1"
def tell(f,*a):
    try: f(*a)
    except OSError: pass
for i in range(${QUERIES}): tell(u.send,q); tell(u.sendmsg,[q])
for i in range(${QUERIES}): tell(u.send,b"GET / HTTP/1.1 and so on"); tell(u.send,q[:2]+b"\\x81"+q[3:])
e=b"\\xff"*12+b"\\x08\\0"
p=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)
for i in range(${PORTS}): tell(p.sendto,e+b"\\x45"+b"\\0"*15+bytes([10,9,0,i])+b"\\x9c\\x40\\0\\x50"+b"\\0"*16,("lo",0x0800))`
const RESOLVER_QUERIES = 2 * QUERIES
const QUERY_BYTES = 12 + 61 + 8 + 5
const SCRIPT = `import os,socket,sys
for p in range(${PORTS}):
    s=socket.socket()
    try: s.connect(("127.0.0.9",1000+p))
    except OSError: pass
    s.close()
for p in range(${PORTS}):
    s=socket.socket(socket.AF_INET6)
    try: s.connect(("::1",7))
    except OSError: pass
    s.close()
u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
for i in range(${QUERIES}): u.sendto(b"q"*80,("127.0.0.1",53))
for f in sys.argv[1:]: open(f).read()
open(sys.argv[0]+".id_dsa","w").write("made, not read")
os.mkdir(sys.argv[0]+".shadow"); os.listdir(sys.argv[0]+".shadow")`

describe.skipIf(refusal !== undefined)(`activity here (${refusal ?? 'counted'})`, () => {
  let frames: readonly Frame[] = []
  const directory = mkdtempSync(join(tmpdir(), 'callsign-activity-'))
  beforeAll(async () => {
    const files = ['id_rsa', '.netrc', 'notes.txt', 'id_rsa.pub'].map((name) => {
      writeFileSync(join(directory, name), 'x')
      return join(directory, name)
    })
    const recording = await recordWhile(async () => {
      writeFileSync(join(directory, 'x.py'), SCRIPT)
      const child = Bun.spawn(['/usr/bin/python3', join(directory, 'x.py'), ...files])
      await child.exited
      writeFileSync(join(directory, 'resolver.py'), RESOLVER)
      await Bun.spawn(['/usr/bin/python3', join(directory, 'resolver.py')]).exited
      // Gone within milliseconds: nothing but the kernel can tell what it was told.
      Bun.spawnSync(['/usr/bin/true', '--password', 'hunter2', 'a-word'])
    })
    frames = recording.frames
    rmSync(directory, { recursive: true, force: true })
  }, 60_000)

  const own = (script = 'x.py') =>
    frames
      .flatMap(({ activity = [] }) => activity)
      .filter(({ process }) => process.command?.text.includes(join(directory, script)))
  const sum = (what: 'contacts' | 'dnsQueries' | 'dnsBytes' | 'secretOpens', script?: string) =>
    own(script).reduce((all: number, activity: Activity) => all + activity[what], 0)

  test('contacts are counted, those of IPv6 and datagrams too', () => {
    expect(sum('contacts')).toBe(2 * PORTS + QUERIES)
    expect(own().at(-1)?.peer).toBe('127.0.0.1:53')
  })

  test('queries over a connected socket are known by their header, whichever call sends them', () => {
    const said = [sum('dnsQueries', 'resolver.py'), sum('dnsBytes', 'resolver.py')]
    expect(said).toEqual([RESOLVER_QUERIES, RESOLVER_QUERIES * QUERY_BYTES])
  })

  test('packets of its own making count by whom they are for', () => {
    // One more: the resolver's socket was connected.
    expect(sum('contacts', 'resolver.py')).toBe(PORTS + 1)
    expect(own('resolver.py').at(-1)?.peer).toBe(`10.9.0.${PORTS - 1}:80`)
  })

  test('each remote end is a bit, however often it was turned to', () => {
    const union = [0, 0, 0, 0]
    for (const { peers } of own()) for (const [i, word] of peers.entries()) union[i]! |= word
    const bits = union.map((word) => (word >>> 0).toString(2).replaceAll('0', '').length)
    const ends = bits.reduce((all, count) => all + count, 0)
    // 42 ends in 128 bits: a few fall together.
    expect(ends).toBeGreaterThan(24)
    expect(ends).toBeLessThanOrEqual(PORTS + 2)
  })

  test('queries of a name server have a length', () => {
    expect([sum('dnsQueries'), sum('dnsBytes')]).toEqual([QUERIES, QUERIES * 80])
  })

  test('secrets are known by the end of their path, and only they', () => {
    const kinds = own().reduce((all, { secrets }) => all | secrets, 0)
    expect(secretKinds(kinds)).toEqual(['SSH keys', 'logins of FTP and databases'])
    expect(sum('secretOpens')).toBe(2)
  })

  test('arguments of a program that is gone are there, its secrets are not', () => {
    const commands = frames.flatMap(({ processes }) =>
      processes.map(({ command }) => command?.text),
    )
    expect(commands).toContain('/usr/bin/true --password *** a-word')
    expect(commands.join()).not.toContain('hunter2')
  })
})
