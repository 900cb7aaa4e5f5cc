/** One alert and one summary that tests of wire/, publish/ and buffer/ start from. */
import type { Alert } from '../../src/domain/alert.ts'
import type { Summary } from '../../src/domain/summary.ts'

export const sampleAlert: Alert = {
  id: 'a1b2c3d4e5f60718',
  kind: 'masquerade',
  state: 'open',
  time: 1_700_000_010,
  first: 1_700_000_001,
  last: 1_700_000_010,
  count: 3,
  process: {
    pid: 812,
    start: 1_699_999_990,
    name: 'nginx',
    exe: '/tmp/.x/nginx',
    container: 'c0ffee',
    uid: 33,
    user: 'www-data',
    loginUid: 1000,
    loginUser: 'alice',
    parents: [{ pid: 1, name: 'systemd', exe: '/usr/lib/systemd/systemd' }],
    unit: 'nginx.service',
    cwd: '/',
    command: './nginx -q',
    deleted: true,
    package: 'nginx-light',
  },
  severity: 'high',
  certainty: 'confirmed',
  incident: 'a1b2c3d4e5f60718',
  behaviour: 'network-scan',
  techniques: ['T1046', 'T1036'],
  peers: ['10.0.0.5:4444'],
  because: ['no package owns /tmp/.x/nginx'],
  predicted: { class: 'nmap', confidence: 0.9731 },
  alternatives: [{ class: 'python', confidence: 0.01 }],
  claimed: { class: 'nginx', confidence: 0.0012 },
  why: [
    { syscall: 'socket', seen: 0.31, expected: 0.001, seconds: '00135779bd' },
    { syscall: 'epoll_wait', seen: 0, expected: 0.42 },
  ],
  model: 'sha256:0123456789abcdef',
  technique: 'T1036',
  evidence: { from: 1_700_000_001, to: 1_700_000_010 },
}

export const sampleSummary: Summary = {
  from: 1_700_000_000,
  to: 1_700_000_059,
  syscalls: ['read', 'write', 'epoll_wait'],
  processes: [
    {
      pid: 812,
      start: 1_699_999_990,
      name: 'nginx',
      container: 'c0ffee',
      active: 58,
      calls: 12_345,
      class: 'nginx',
      confidence: 0.987,
      top: [
        [2, 8_000],
        [0, 4_000],
      ],
    },
    { pid: 1, start: 1_690_000_000, name: 'systemd', active: 2, calls: 7, top: [[1, 7]] },
  ],
  processesOmitted: 3,
  calls: 12_400,
  dropped: { late: 2, 'lost(sysdig)': 10 },
  alertsOpen: 1,
  guarantee: { hours: 40, needed: 23, alertHoursMax: 0.0244 },
  agent: { cpuSeconds: 0.25, rssBytes: 90_000_000, lagMs: 12, outboxRows: 4 },
}

export const sampleOrigin = { site: 'lab', host: 'web-1', boot: 1_795_000_000_000, seq: 7 }
