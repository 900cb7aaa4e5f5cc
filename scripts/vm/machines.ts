/**
 * The machines that the agent is tried on: Debian releases with their own kernel, by emulation, and
 * Debian's systemd on the kernel that runs here, in namespaces.
 *
 * Kernels of other distributions are not here: their packages come from other archives.
 */

import { release } from 'node:os'

export interface Machine {
  readonly name: string
  /** Debian's release, and the Linux that comes with it. */
  readonly suite: string
  readonly linux: string
  readonly architecture: 'amd64' | 'arm64'
  /** Debian packages beside those that every machine has. */
  readonly packages: readonly string[]
  /** No emulation: a container on this machine's kernel, for what depends on systemd alone. */
  readonly here?: true
  /** Needed to write anything at all: the image is this large, and sparse. */
  readonly diskGigabytes: number
}

/** What the checks in guest/ use on every machine. */
export const BASE_PACKAGES: readonly string[] = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'udev',
  'kmod',
  'procps',
  'iproute2',
  'curl',
  'openssl',
  'python3',
]

/** Servers and clients of the check `lab`. */
const LAB_PACKAGES = [
  'nginx-light',
  'lighttpd',
  'redis-server',
  'memcached',
  'mosquitto',
  'mosquitto-clients',
  'openssh-server',
  'rsyslog',
  'cron',
]

/** Programs that count for the agent, and what builds sysdig's module. */
const TRACERS = ['sysdig', 'falcosecurity-scap-dkms', 'linux-headers-amd64']

/** install.sh checks signatures by OpenSSL 3 or Node; Debian 11 has OpenSSL 1.1. */
const VERIFIER = ['nodejs']

export const MACHINES: readonly Machine[] = [
  debian('bullseye', '5.10', 'amd64', VERIFIER),
  debian('bookworm', '6.1', 'amd64', [...TRACERS, ...LAB_PACKAGES]),
  debian('trixie', '6.12', 'amd64'),
  debian('bookworm', '6.1', 'arm64', LAB_PACKAGES),
  container('bullseye', VERIFIER),
  container('bookworm'),
  container('trixie'),
]

function debian(
  suite: string,
  linux: string,
  architecture: Machine['architecture'],
  packages: readonly string[] = [],
): Machine {
  const name = architecture === 'amd64' ? suite : `${suite}-${architecture}`
  return { name, suite, linux, architecture, packages, diskGigabytes: 6 }
}

function container(suite: string, packages: readonly string[] = []): Machine {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const linux = release()
  return {
    name: `${suite}-here`,
    suite,
    linux,
    architecture,
    packages,
    here: true,
    diskGigabytes: 0,
  }
}

export function machineOf(name: string): Machine {
  const machine = MACHINES.find((machine) => machine.name === name)
  if (machine !== undefined) return machine
  throw new Error(`No machine "${name}"; there are ${MACHINES.map(({ name }) => name).join(', ')}`)
}
