/** The attacks on a live agent, and what must come of each. */
import type { Alert } from '../../src/domain/alert.ts'
import { Attacker, lostIn, statusOf, type WatchedHost } from './host.ts'
import { pool, typist } from './servers.ts'

export interface Row {
  readonly attack: string
  /** What was found, or refused, for people. */
  readonly found: string
  /** Of the windows in that time, 0…1; absent where it was not measured. */
  readonly blind?: number
  readonly passed: boolean
  readonly note: string
}

export interface Range {
  readonly host: WatchedHost
  readonly directory: string
  /** The program `attacks`. */
  readonly compiled: string
}

const BLIND_SECONDS = 50
const EVADE_SECONDS = 45
/** Where more is blind it must be told. */
const BLIND_MOST = 0.1

// --- Blinding ------------------------------------------------------------------------------------

interface Blinding {
  readonly name: string
  readonly start: (attacker: Attacker) => void
}

export const BLINDINGS: readonly Blinding[] = [
  { name: 'none: what is found without a blinding', start: () => {} },
  {
    name: 'unknown calls: 22 children with 1,088 each every 8 s',
    start: (attacker) => attacker.attack('indexer', BLIND_SECONDS, 'unknown', 22),
  },
  {
    name: 'exec storm: 720 programs that live 4 s, two busy processes a core',
    start(attacker) {
      attacker.attack('burner', BLIND_SECONDS, 'burn', 2 * navigator.hardwareConcurrency)
      attacker.attack('starter', BLIND_SECONDS, 'storm', 720)
    },
  },
  {
    name: 'many calls: as many as four processes can make',
    start: (attacker) => attacker.attack('caller', BLIND_SECONDS, 'calls', 4),
  },
  {
    name: 'decoys: 90 programs that behave like nothing',
    start: (attacker) => attacker.attack('decoy', BLIND_SECONDS, 'decoys', 90),
  },
]

/** Four behaviours beside the blinding, each of a user of its own. */
export async function blind(range: Range, { name, start }: Blinding): Promise<Row> {
  const { host, directory, compiled } = range
  const user = () => new Attacker(directory, compiled)
  const shells = typist()
  const miners = pool()
  const [ransom, scan, shell, miner, blinder] = [user(), user(), user(), user(), user()]
  const hidden = { ransom, scan, shell, miner }
  const files = ransom.files(1_200)
  const before = await statusOf(host.state)
  const sinceAlert = host.alerts.length
  start(blinder)
  await Bun.sleep(5_000)
  const seconds = BLIND_SECONDS - 5
  ransom.attack('reports', seconds, 'ransom', files)
  scan.attack('checker', seconds, 'scan')
  shell.attack('session', seconds, 'shell', shells.port)
  miner.attack('render', seconds, 'mine', miners.port)
  await Bun.sleep(seconds * 1000)
  for (const attacker of [...Object.values(hidden), blinder]) attacker.end()
  // The status is saved every few seconds.
  await Bun.sleep(6_000)
  shells.stop()
  miners.stop()
  const after = await statusOf(host.state)
  const found = Object.entries(hidden).filter(([, by]) => by.found(host.alerts).length > 0)
  const windows = (after.sight?.day.windows ?? 0) - (before.sight?.day.windows ?? 0)
  const blindWindows = (after.sight?.day.blind ?? 0) - (before.sight?.day.blind ?? 0)
  const share = windows === 0 ? 1 : blindWindows / windows
  const told = toldIn(host.alerts.slice(sinceAlert))
  return {
    attack: name,
    found: `${found.length} of 4${found.length === 4 ? '' : ` (${found.map(([what]) => what).join(', ')})`}`,
    blind: share,
    passed: found.length >= 3 && (share <= BLIND_MOST || told !== ''),
    note: [`${(lostIn(after) - lostIn(before)).toLocaleString('en-US')} calls lost`, told]
      .filter((text) => text !== '')
      .join('; '),
  }
}

function toldIn(alerts: readonly Alert[]): string {
  const about = alerts.filter(({ behaviour }) => behaviour?.includes('blind') === true)
  return [...new Set(about.map(({ behaviour }) => `told as ${behaviour}`))].join(', ')
}

/** Seconds in which nobody takes counts out of the kernel. */
const STOPPED_SECONDS = 25

export const STOPPED = 'its collector is stopped for 25 s: that must be told'

export async function stopCollector({ host }: Range): Promise<Row> {
  const before = await statusOf(host.state)
  const sinceAlert = host.alerts.length
  host.signalCollector('SIGSTOP')
  await Bun.sleep(STOPPED_SECONDS * 1000)
  host.signalCollector('SIGCONT')
  await Bun.sleep(10_000)
  const lost = lostIn(await statusOf(host.state)) - lostIn(before)
  const told = toldIn(host.alerts.slice(sinceAlert))
  return {
    attack: STOPPED,
    found: told === '' ? 'not told' : 'told',
    passed: told.includes('agent-blinded'),
    note: `${lost.toLocaleString('en-US')} calls lost; ${told}`,
  }
}

// --- Evasion -------------------------------------------------------------------------------------

interface Evasion {
  readonly name: string
  readonly start: (attacker: Attacker) => void
  /** Alerts at most: one cause is not many. */
  readonly incidentsMax?: number
}

const ransomAs =
  (name: string, ...how: (string | number)[]) =>
  (attacker: Attacker) =>
    attacker.attack(name, EVADE_SECONDS, 'ransom', attacker.files(1_200), ...how)

/** Groups run at a time. */
export const EVASIONS: readonly (readonly Evasion[])[] = [
  [
    { name: 'another name every 2 s', start: ransomAs('task-0', 'rename', 2) },
    { name: 'a relay: forks every 1.7 s and ends', start: ransomAs('relay', 'refork', 1.7) },
    { name: 'a relay: forks every 8.2 s and ends', start: ransomAs('relayd', 'refork', 8.2) },
    {
      name: 'a scanner that forks every 8.2 s and ends',
      start: (attacker) => attacker.attack('walker', EVADE_SECONDS, 'scan-refork', 8.2),
    },
  ],
  [
    { name: 'file encryption as "wget"', start: ransomAs('wget') },
    { name: 'file encryption as "dd"', start: ransomAs('dd') },
    { name: 'file encryption as "1"', start: ransomAs('1') },
    { name: 'file encryption as "(sd-pam)"', start: ransomAs('(sd-pam)') },
  ],
  [
    {
      name: 'scanners of 2 s each, as "1"',
      start: (attacker) => attacker.attack('1', EVADE_SECONDS, 'scan-lives', '1'),
    },
    {
      name: 'a process for each port (bash, /dev/tcp)',
      start: (attacker) =>
        attacker.run([
          ...['timeout', String(EVADE_SECONDS), 'bash', '-c'],
          'for p in $(seq 1 60000); do (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null; done',
        ]),
      incidentsMax: 1,
    },
    {
      name: 'a kernel thread by name: "kworker/u4:2"',
      start: (attacker) => attacker.attack('kworker/u4:2', EVADE_SECONDS, 'linger'),
    },
    {
      name: 'a kernel thread by name: "[ksoftirqd/0]"',
      start: (attacker) => attacker.attack('[ksoftirqd/0]', EVADE_SECONDS, 'linger'),
    },
  ],
  [
    {
      name: 'file encryption by io_uring',
      start: (attacker) => attacker.attack('syncer', EVADE_SECONDS, 'uring', attacker.files(1_200)),
    },
    {
      name: 'file encryption by io_uring, polled by the kernel',
      start: (attacker) =>
        attacker.attack('syncerd', EVADE_SECONDS, 'sqpoll', attacker.files(1_200)),
    },
  ],
]

export async function evade(range: Range, evasions: readonly Evasion[]): Promise<Row[]> {
  const { host, directory, compiled } = range
  const attempts = evasions.map((evasion) => {
    const attacker = new Attacker(directory, compiled)
    evasion.start(attacker)
    return { evasion, attacker }
  })
  await Bun.sleep(EVADE_SECONDS * 1000)
  for (const { attacker } of attempts) attacker.end()
  await Bun.sleep(3_000)
  return attempts.map(({ evasion: { name, incidentsMax = 3 }, attacker }) => {
    const found = attacker.found(host.alerts)
    const incidents = new Set(found.map(({ incident }) => incident)).size
    const kinds = [...new Set(found.map(({ kind, behaviour }) => behaviour ?? kind))]
    return {
      attack: name,
      found: found.length === 0 ? 'missed' : `after ${attacker.foundAfter(host.alerts)} s`,
      passed: found.length > 0 && incidents <= incidentsMax,
      note: found.length === 0 ? '' : `${kinds.join(', ')}; ${incidents} incidents`,
    }
  })
}
