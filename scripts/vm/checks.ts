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
  /** Bash, run as root in the guest: one boot each, all on one disk. */
  readonly scripts: readonly string[]
  /** What the boot must be; checks of one machine that ask for the same share a boot (plan.ts). */
  readonly boot: Boot
  /** Needs the releases of releases.ts. */
  readonly releases?: true
}

const X86 = ['bullseye', 'bookworm', 'trixie']
/** The same releases without emulation (container.ts). */
const HERE = X86.map((name) => `${name}-here`)
const ALL = [...X86, 'bookworm-arm64']

/**
 * A script of guest/.
 * @param before commands that come before it
 * @param after commands that undo them, for the checks that follow in the same boot
 */
function guest(name: string, before = '', after = ''): string {
  const script = readFileSync(join(import.meta.dir, 'guest', `${name}.sh`), 'utf8')
  return `${before}\n${script}\n${after}`
}

/** Without systemd: up in a quarter of the time, and shared by all checks that want no other. */
const PLAIN: Boot = {}

const kernel = { source: 'kernel' } as const

/**
 * The same conservation under conditions that change how the kernel counts. They are set while the
 * machine runs; what cannot be undone comes last.
 */
const CONDITIONS: readonly Check[] = [
  {
    name: 'no-jit',
    what: "conservation without the kernel's JIT for BPF",
    machines: X86,
    ...kernel,
    scripts: [guest('conservation', `LESS=10\n${jit(0)}`, jit(1))],
    boot: PLAIN,
  },
  {
    name: 'no-types',
    what: 'conservation on a kernel without type information',
    machines: ['bookworm'],
    ...kernel,
    scripts: [
      guest(
        'conservation',
        'NO_TYPES=1 NO_URING=1\nmount -t tmpfs none /sys/kernel/btf',
        'umount /sys/kernel/btf',
      ),
    ],
    boot: PLAIN,
  },
  {
    name: 'cgroup-v1',
    what: 'conservation with control groups of version 1',
    machines: X86,
    ...kernel,
    scripts: [guest('conservation', 'LESS=10\n. /host/cgroup-v1.sh')],
    boot: PLAIN,
  },
  {
    name: 'lockdown-integrity',
    what: 'conservation under lockdown=integrity',
    machines: X86,
    ...kernel,
    scripts: [guest('conservation', `LESS=10\n${lockDown('integrity')}`)],
    boot: PLAIN,
  },
  {
    name: 'lockdown-confidentiality',
    what: 'conservation under lockdown=confidentiality',
    machines: ['bookworm', 'trixie'],
    ...kernel,
    scripts: [guest('conservation', `NO_URING=1\n${lockDown('confidentiality')}`)],
    boot: PLAIN,
  },
  {
    name: 'lockdown-refused',
    what: 'lockdown=confidentiality before Linux 5.12: refused, with the reason',
    machines: ['bullseye'],
    ...kernel,
    scripts: [
      guest('refused', `${lockDown('confidentiality')}\nREASON='locked down to "confidentiality"'`),
    ],
    boot: PLAIN,
  },
]

function jit(enabled: 0 | 1): string {
  return `sysctl -w net.core.bpf_jit_enable=${enabled}`
}

/** It can be raised while the machine runs, never lowered. */
function lockDown(level: 'integrity' | 'confidentiality'): string {
  return `echo ${level} >/sys/kernel/security/lockdown; cat /sys/kernel/security/lockdown`
}

/** In the order in which those of one boot run. */
export const CHECKS: readonly Check[] = [
  {
    name: 'conservation',
    what: 'doctor, and calls counted against calls made',
    machines: ALL,
    ...kernel,
    scripts: [guest('conservation')],
    boot: PLAIN,
  },
  {
    name: 'watch',
    what: 'a Python web server with the name sshd',
    machines: [...ALL, ...HERE],
    ...kernel,
    scripts: [guest('watch')],
    boot: PLAIN,
  },
  {
    name: 'hidepid',
    what: 'the same masquerade with /proc mounted hidepid=2',
    machines: ['bookworm', 'bookworm-here'],
    ...kernel,
    scripts: [
      guest(
        'watch',
        'mount -o remount,hidepid=2 /proc; STATE_USER=vm',
        'mount -o remount,hidepid=0 /proc',
      ),
    ],
    boot: PLAIN,
  },
  {
    name: 'disk',
    what: "the state's file system is full",
    machines: ['bookworm', 'bookworm-here'],
    ...kernel,
    scripts: [guest('disk')],
    boot: PLAIN,
  },
  {
    name: 'clock',
    what: 'the clock is set ahead and back while the agent watches',
    machines: ['bookworm'],
    ...kernel,
    scripts: [guest('clock')],
    boot: PLAIN,
  },
  ...CONDITIONS,
  {
    name: 'sysdig',
    what: 'live sysdig with its module: chisel, lines, pipe, killed, module removed',
    machines: ['bookworm'],
    source: 'sysdig',
    scripts: [guest('sysdig')],
    boot: { memoryMegabytes: 2048 },
  },
  {
    name: 'service',
    what: 'installed, started, killed, hung, rebooted, upgraded, rolled back, purged',
    machines: [...X86, ...HERE],
    ...kernel,
    releases: true,
    scripts: [guest('service'), guest('service-after-reboot')],
    boot: { systemd: true },
  },
  {
    name: 'hotplug',
    what: 'CPUs go offline, come back and are added, up to four',
    machines: ['bookworm'],
    ...kernel,
    scripts: [guest('hotplug')],
    boot: { cpus: 2, cpusMax: 4 },
  },
  {
    name: 'memory',
    what: 'a machine of 256 MB whose memory is used up',
    machines: ['bookworm'],
    ...kernel,
    scripts: [guest('memory')],
    boot: { memoryMegabytes: 256 },
  },
  {
    name: 'lab',
    what: "a server's ordinary programs, recorded for the model's card",
    machines: ['bookworm', 'bookworm-arm64'],
    ...kernel,
    scripts: [guest('lab')],
    boot: { memoryMegabytes: 1536 },
  },
]
