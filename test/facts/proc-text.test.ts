/** What /proc says, with everything in it that a process may choose against us. */
import { describe, expect, test } from 'bun:test'
import { maskedCommand } from '../../src/domain/command-line.ts'
import { isLocalIn, parseMounts } from '../../src/facts/proc-files.ts'
import { isMappedIn, loginUidOf, parseStat, scriptOf, unitOf } from '../../src/facts/proc-text.ts'
import { connectionOf, parseSockets } from '../../src/facts/sockets.ts'

describe('parseStat()', () => {
  const rest = 'S 7 8 9 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 12345 4096000 100 1'
  test.each([
    ['a plain name', 'nginx', 'nginx'],
    ['brackets and a line break', 'a) S 1 (\n b', 'a) S 1 (? b'],
    ['nothing', '', ''],
  ])('keeps %s', (_, name, shown) => {
    expect(parseStat(`12 (${name}) ${rest}`)).toEqual({
      name: shown,
      ppid: 7,
      session: 9,
      isKernelThread: false,
      cpuMs: 2_000,
      startMs: 123_450,
      memoryBytes: 4_096_000,
    })
  })

  test('knows a thread of the kernel by its flag', () => {
    expect(parseStat(`2 (kthreadd) ${rest.replace('4194560', '2129984')}`)?.isKernelThread).toBe(
      true,
    )
  })

  test.each(['', '12', '12 (x', '12 (x) S', ') ('])('refuses %p', (text) => {
    expect(parseStat(text)).toBeUndefined()
  })
})

test.each([
  [['mysql', '-psecret', '-u', 'root'], 'mysql -p*** -u root'],
  [['curl', '-H', 'Authorization: Bearer abc.def'], 'curl -H Authorization: *** ***'],
  [['psql', 'postgres://bob:pw@db/x'], 'psql postgres://bob:***@db/x'],
  [
    ['x', '--password', 'pw', '--db-password=pw', 'API_KEY=k'],
    'x --password *** --db-password=*** API_KEY=***',
  ],
  [['openssl', 'enc', '-pass', 'pass:x'], 'openssl enc -pass ***'],
  [['tool', '--token-file', '/run/t', '--name', 'n'], 'tool --token-file *** --name n'],
  [['curl', '-u', 'bob:pw', 'http://bob:pw@h/x'], 'curl -u bob:*** http://bob:***@h/x'],
  [['curl', '--user=bob:pw', 'https://h:8443/x'], 'curl --user=bob:*** https://h:8443/x'],
  [['sshpass', '-p', 'pw', 'ssh', '-p', '22', 'h'], 'sshpass -p *** ssh -p *** h'],
  [['a\nb', '\u001b[31m'], 'a?b ?[31m'],
])('maskedCommand() hides secrets in %p', (words, shown) => {
  expect(maskedCommand(words)).toBe(shown)
})

test.each([
  [['python3', 'x.py', 'a'], 'x.py'],
  [['python3', '-u', 'x.py'], 'x.py'],
  [['python3', '-W', 'ignore', 'x.py'], 'x.py'],
  [['python3', '-c', 'print(1)'], undefined],
  [['perl', '-e', '1'], undefined],
  [['bash'], undefined],
])('scriptOf(%p)', (words, script) => {
  expect(scriptOf(words)).toBe(script)
})

test.each([
  ['0::/system.slice/nginx.service\n', 'nginx.service'],
  ['4:memory:/x\n1:name=systemd:/user.slice/user-1.slice/session-3.scope\n', 'session-3.scope'],
  ['0::/\n', undefined],
])('unitOf(%p)', (text, unit) => {
  expect(unitOf(text)).toBe(unit)
})

describe('parseSockets()', () => {
  const head =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
  const line = (local: string, remote: string, state: string, inode: number) =>
    `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0\n`

  test('a connection that nobody listens for is outgoing', () => {
    const table = parseSockets([
      head +
        line('00000000:0016', '00000000:0000', '0A', 1) +
        line('0100007F:0016', '0100007F:9C40', '01', 2) +
        line('0101090A:9C41', '0201090A:115C', '01', 3) +
        line('0101090A:9C42', '0201090A:115C', '06', 0),
    ])
    expect(connectionOf(table, 2)).toEqual({
      remote: '127.0.0.1:40000',
      isLoopback: true,
      isOutgoing: false,
    })
    expect(connectionOf(table, 3)).toEqual({
      remote: '10.9.1.2:4444',
      isLoopback: false,
      isOutgoing: true,
    })
    expect(connectionOf(table, 1)).toBeUndefined()
  })

  test('one from a port that nobody gets by chance may have come from outside', () => {
    const table = parseSockets([
      head +
        line('0101090A:1F90', '0201090A:9C41', '01', 6) +
        line('0101090A:9C41', '0201090A:01BB', '01', 7),
    ])
    expect(connectionOf(table, 6)).toMatchObject({ isOutgoing: true, isDoubtful: true })
    expect(connectionOf(table, 7)?.isDoubtful).toBeUndefined()
  })

  test('IPv6, and IPv4 within it', () => {
    const table = parseSockets([
      head +
        line(
          '00000000000000000000000001000000:0016',
          '00000000000000000000000001000000:9C40',
          '01',
          4,
        ) +
        line(
          '0000000000000000FFFF00000100007F:9C41',
          '0000000000000000FFFF00000101090A:0050',
          '01',
          5,
        ),
    ])
    expect(connectionOf(table, 4)?.remote).toBe('[::1]:40000')
    expect(connectionOf(table, 4)?.isLoopback).toBe(true)
    expect(connectionOf(table, 5)?.remote).toBe('10.9.1.1:80')
  })

  test('rubbish and a cut line are left out', () => {
    const table = parseSockets(['\0\n: : :\n   0: 0100007F:0016 0100007F', head.repeat(3)])
    expect(table.established.size + table.listening.size).toBe(0)
  })
})

test('what lies behind another machine is not looked at', () => {
  const mounts = parseMounts(
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /mnt/a\\040b rw shared:1 - nfs4 host:/ rw\n3 1 0:6 / /mnt/x rw - fuse.sshfs x rw\n',
  )
  expect(isLocalIn(mounts, '/usr/bin/x')).toBe(true)
  expect(isLocalIn(mounts, '/mnt/a b/x')).toBe(false)
  expect(isLocalIn(mounts, '/mnt/xy')).toBe(true)
  expect(isLocalIn(mounts, '/mnt/x')).toBe(false)
  expect(isLocalIn([], '/')).toBe(false)
})

test.each([
  ['1000', 1000],
  ['0\n', 0],
  ['4294967295', undefined],
  ['', undefined],
])('loginUidOf(%p)', (text, uid) => {
  expect(loginUidOf(text)).toBe(uid)
})

describe('isMappedIn()', () => {
  const line = (rights: string, path: string) =>
    `55d0c0a00000-55d0c0a05000 ${rights} 00002000 fe:00 1234                       ${path}`
  const stack = '7ffc2a3e0000-7ffc2a401000 rw-p 00000000 00:00 0                   [stack]'
  const kernels = 'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0           [vsyscall]'
  test.each<[string, string[], boolean]>([
    ['its file is executed', [line('r--p', '/usr/bin/x'), line('r-xp', '/usr/bin/x')], true],
    ['another one is', [line('r--p', '/usr/bin/x'), line('r-xp', '/tmp/y')], false],
    ['what has no file is', ['7f00-7f10 r-xp 00000000 00:00 0 ', stack], false],
    // Between execve(2) and its return.
    ['nothing is mapped yet', [stack, kernels], true],
    ['the process is gone', [], true],
  ])('%s: %p', (_, lines, expected) => {
    expect(isMappedIn(lines.join('\n'), '/usr/bin/x')).toBe(expected)
  })
  test('a line break in the path is written as /proc writes it', () => {
    expect(isMappedIn(line('r-xp', '/tmp/a\\012b'), '/tmp/a\nb')).toBe(true)
  })
})
