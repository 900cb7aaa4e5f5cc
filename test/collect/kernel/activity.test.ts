/** What is noted beside the counts, of real programs: remote ends, secrets, arguments. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Activity, Frame } from '../../../src/domain/frame.ts'
import { secretKinds } from '../../../src/domain/secrets.ts'
import { recordWhile, refusal } from '../../support/kernel.ts'

const PORTS = 40
const QUERIES = 25
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
      // Gone within milliseconds: nothing but the kernel can tell what it was told.
      Bun.spawnSync(['/usr/bin/true', '--password', 'hunter2', 'a-word'])
    })
    frames = recording.frames
    rmSync(directory, { recursive: true, force: true })
  }, 60_000)

  const own = () =>
    frames
      .flatMap(({ activity = [] }) => activity)
      .filter(({ process }) => process.command?.text.includes(directory))
  const sum = (what: 'contacts' | 'dnsQueries' | 'dnsBytes' | 'secretOpens') =>
    own().reduce((all: number, activity: Activity) => all + activity[what], 0)

  test('contacts are counted, those of IPv6 and datagrams too', () => {
    expect(sum('contacts')).toBe(2 * PORTS + QUERIES)
    expect(own().at(-1)?.peer).toBe('127.0.0.1:53')
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
