/**
 * Harmless behaviours that must raise an alert on the host that runs them: the quickest proof that
 * a running agent sees. Everything happens in one scratch directory of ours and on the loopback
 * interface, and ends by itself.
 *
 * What it proves: that this agent on this host finds these very stand-ins. It is no measure of how
 * many attacks are found (the model card is).
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { SIMULATED_FILES, SIMULATION_SECONDS_MAX } from '../domain/limits.ts'
import { findProgram, type Job, startJob } from '../platform/linux/child.ts'
import { listenQuietly } from '../platform/loopback.ts'
import { poolMessage } from './parts.ts'

export const ATTACKS = {
  masquerade: 'a copy of find with the name nginx',
  'reverse-shell': 'an interactive shell on a TCP connection to this host itself',
  'file-encryption': `${SIMULATED_FILES} files of our own, read, replaced by unreadable ones, removed`,
  'network-scan': 'connections to all ports of 127.0.0.1',
  'crypto-miner':
    "a program outside of any package that computes without pause and talks a mining pool's protocol to this host itself",
} as const
export type AttackKind = keyof typeof ATTACKS

export interface RunningAttack {
  readonly kind: AttackKind
  /** Whether an alert on this process is about the attack. */
  isOurs(process: { readonly pid: number; readonly exe?: string }): boolean
  stop(): void
}

/** The words that run a part of this program again (`agent simulate part …`). */
export type SelfCommand = (...words: readonly string[]) => readonly string[]

export async function startAttack(kind: AttackKind, self: SelfCommand): Promise<RunningAttack> {
  const directory = mkdtempSync(join(tmpdir(), 'callsign-simulate-'))
  const ends: (() => void)[] = [() => rmSync(directory, { recursive: true, force: true })]
  try {
    const job = await STARTS[kind](directory, self, ends)
    const pids = new Set<number>()
    const look = () => {
      for (const pid of familyOf(job.pid)) pids.add(pid)
    }
    look()
    const timer = setInterval(look, 200)
    return {
      kind,
      isOurs: ({ pid, exe }) => pids.has(pid) || (exe?.startsWith(`${directory}/`) ?? false),
      stop() {
        clearInterval(timer)
        look()
        for (const pid of [...familyOf(job.pid)].reverse()) killQuietly(pid)
        job.stop()
        for (const end of [...ends].reverse()) end()
      },
    }
  } catch (error) {
    for (const end of ends.reverse()) end()
    throw error
  }
}

type Start = (directory: string, self: SelfCommand, ends: (() => void)[]) => Promise<Job>

const STARTS: Readonly<Record<AttackKind, Start>> = {
  async masquerade(directory) {
    copyFileSync(required('find'), join(directory, 'nginx'))
    const loop = 'while :; do ./nginx / -xdev -name "*.callsign" >/dev/null 2>&1; done'
    return startJob([required('sh'), '-c', loop], directory)
  },
  async 'reverse-shell'(directory, _, ends) {
    const listener = await listenQuietly(['id\n', 'ls -la /etc\n', 'uname -a\n', 'ps\n', 'df\n'])
    ends.push(() => listener.close())
    const shell = `exec bash -i >& /dev/tcp/127.0.0.1/${listener.port} 0>&1`
    return startJob([required('bash'), '-c', shell], directory)
  },
  async 'file-encryption'(directory, self) {
    mkdirSync(join(directory, 'files'))
    return startJob(
      self('simulate', 'part', 'file-encryption', join(directory, 'files')),
      directory,
    )
  },
  async 'network-scan'(directory, self) {
    return startJob(self('simulate', 'part', 'network-scan', directory), directory)
  },
  async 'crypto-miner'(directory, self, ends) {
    const pool = await listenQuietly([poolMessage('notify')])
    ends.push(() => pool.close())
    return startJob(self('simulate', 'part', 'crypto-miner', String(pool.port)), directory)
  },
}

function required(name: string): string {
  const path = findProgram(name)
  if (path !== undefined) return path
  throw new AgentError('ERR_INPUT', `Cannot simulate: there is no "${name}" on the PATH`)
}

/** A process and all below it, parents first. */
function familyOf(pid: number): number[] {
  const family = [pid]
  for (const parent of family) {
    try {
      for (const thread of readdirSync(`/proc/${parent}/task`))
        for (const word of readFileSync(`/proc/${parent}/task/${thread}/children`, 'utf8').split(
          ' ',
        ))
          if (/^\d+$/.test(word)) family.push(Number(word))
    } catch {
      // It has ended.
    }
    if (family.length > SIMULATION_SECONDS_MAX * 100) break
  }
  return family
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
