/** What is tried on the machines. Each check is one script of guest/, or several boots of one disk. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Boot } from './virtual-machine.ts'

export interface Check {
  readonly name: string
  /** For the list and the table. */
  readonly what: string
  readonly machines: readonly string[]
  /** What the agent counts by. */
  readonly source: string
  /** One after the other, on one disk. */
  readonly boots: readonly Boot[]
  /** Needs the releases of releases.ts. */
  readonly releases?: true
}

const X86 = ['bullseye', 'bookworm', 'trixie']
const ALL = [...X86, 'bookworm-arm64']

/**
 * A script of guest/.
 * @param before commands that come before it
 */
function guest(name: string, before = ''): string {
  const script = readFileSync(join(import.meta.dir, 'guest', `${name}.sh`), 'utf8')
  return `${before}\n${script}`
}

/** One boot without systemd. */
function once(name: string, boot: Omit<Boot, 'script'> = {}, before = ''): readonly Boot[] {
  return [{ script: guest(name, before), ...boot }]
}

const kernel = { source: 'kernel' } as const

/** The same conservation under conditions that change how the kernel counts. */
const CONDITIONS: readonly Check[] = [
  {
    name: 'no-jit',
    what: "conservation without the kernel's JIT for BPF",
    machines: X86,
    ...kernel,
    boots: once('conservation', {}, 'sysctl -w net.core.bpf_jit_enable=0'),
  },
  {
    name: 'lockdown-integrity',
    what: 'conservation under lockdown=integrity',
    machines: X86,
    ...kernel,
    boots: once('conservation', { parameters: ['lockdown=integrity'] }),
  },
  {
    name: 'lockdown-confidentiality',
    what: 'conservation under lockdown=confidentiality',
    machines: ['bookworm', 'trixie'],
    ...kernel,
    boots: once('conservation', { parameters: ['lockdown=confidentiality'] }),
  },
  {
    name: 'lockdown-refused',
    what: 'lockdown=confidentiality before Linux 5.12: refused, with the reason',
    machines: ['bullseye'],
    ...kernel,
    boots: once(
      'refused',
      { parameters: ['lockdown=confidentiality'] },
      `REASON='locked down to "confidentiality"'`,
    ),
  },
  {
    name: 'no-types',
    what: 'conservation on a kernel without type information',
    machines: ['bookworm'],
    ...kernel,
    boots: once('conservation', {}, 'mount -t tmpfs none /sys/kernel/btf'),
  },
  {
    name: 'cgroup-v1',
    what: 'conservation with control groups of version 1',
    machines: X86,
    ...kernel,
    boots: once('conservation', { parameters: ['vm.cgroup_v1'] }),
  },
]

export const CHECKS: readonly Check[] = [
  {
    name: 'conservation',
    what: 'doctor, and calls counted against calls made',
    machines: ALL,
    ...kernel,
    boots: once('conservation'),
  },
  {
    name: 'watch',
    what: 'a Python web server with the name sshd',
    machines: ALL,
    ...kernel,
    boots: once('watch'),
  },
  ...CONDITIONS,
  {
    name: 'hidepid',
    what: 'the same masquerade with /proc mounted hidepid=2',
    machines: ['bookworm'],
    ...kernel,
    boots: once('watch', {}, 'mount -o remount,hidepid=2 /proc; STATE_USER=vm'),
  },
  {
    name: 'sysdig',
    what: 'live sysdig with its module: chisel, lines, pipe, killed, module removed',
    machines: ['bookworm'],
    source: 'sysdig',
    boots: once('sysdig', { memoryMegabytes: 2048, seconds: 2400 }),
  },
  {
    name: 'service',
    what: 'installed, started, killed, hung, rebooted, upgraded, rolled back, purged',
    machines: X86,
    ...kernel,
    releases: true,
    boots: [
      { script: guest('service'), systemd: true, seconds: 2400 },
      { script: guest('service-after-reboot'), systemd: true, seconds: 2400 },
    ],
  },
  {
    name: 'clock',
    what: 'the clock is set ahead and back while the agent watches',
    machines: ['bookworm'],
    ...kernel,
    boots: once('clock'),
  },
  {
    name: 'hotplug',
    what: 'CPUs go offline, come back and are added, up to four',
    machines: ['bookworm'],
    ...kernel,
    boots: once('hotplug', { cpus: 2, cpusMax: 4 }),
  },
  {
    name: 'memory',
    what: 'a machine of 256 MB whose memory is used up',
    machines: ['bookworm'],
    ...kernel,
    boots: once('memory', { memoryMegabytes: 256 }),
  },
  {
    name: 'disk',
    what: "the state's file system is full",
    machines: ['bookworm'],
    ...kernel,
    boots: once('disk'),
  },
  {
    name: 'lab',
    what: "a server's ordinary programs, recorded for the model's card",
    machines: ['bookworm', 'bookworm-arm64'],
    ...kernel,
    boots: once('lab', { memoryMegabytes: 1536, seconds: 3600 }),
  },
]

export function checkOf(name: string): Check {
  const check = CHECKS.find((check) => check.name === name)
  if (check !== undefined) return check
  throw new Error(`No check "${name}"; "scripts/vm/run list" shows them`)
}
