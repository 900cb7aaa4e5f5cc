/**
 * The agent's own sandbox, beside the user and the capabilities that it gives up: files by
 * Landlock, set with the exec that drops privileges, and calls by seccomp, set once everything has
 * started. It holds also where no service manager has set up one.
 */
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { compiled } from '../embedded.ts'
import { hideMemory } from './capabilities.ts'
import type { FileAccess } from './landlock.ts'
import { cacheHome, isNoexec } from './private-directory.ts'
import { filterCalls } from './seccomp.ts'

/** What a command uses beside the files of the system. */
export interface OwnFiles {
  /** First of all the state directory. */
  readonly write: readonly [string, ...string[]]
  readonly read: readonly string[]
}

/** Programs, libraries, time zones, processes, sockets of the name service. */
const SYSTEM = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib64', '/lib32', '/nix/store'],
  ...['/proc', '/sys', '/run', '/dev/random', '/dev/urandom', '/dev/full'],
]
/**
 * Whoever stays root could read all of /etc, /etc/shadow too. A file that is replaced by another
 * (resolv.conf) is lost to it then, so other users get the directory.
 */
const ROOTS_ETC = [
  ...['callsign', 'ssl', 'pki', 'ca-certificates', 'resolv.conf', 'hosts', 'host.conf', 'gai.conf'],
  ...['nsswitch.conf', 'services', 'protocols', 'passwd', 'group', 'hostname', 'os-release'],
  ...['localtime', 'timezone', 'machine-id', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d'],
].map((name) => `/etc/${name}`)
/** The kernel opens it at each exec of ours (adapting to the host runs the agent again). */
const LOADERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1']
const WRITABLE_DEVICES = ['/dev/null', '/dev/zero', '/dev/tty']

/** @param asRoot the new image stays root, without capabilities */
export function sandboxFor({ read, write }: OwnFiles, asRoot: boolean): FileAccess {
  const source = compiled ? [] : [fileURLToPath(new URL('../../..', import.meta.url))]
  // Libraries that cannot be executed there are unpacked elsewhere (native.ts).
  const elsewhere = isNoexec(write[0]) ? [cacheHome(), tmpdir()] : []
  return {
    read: [...SYSTEM, ...(asRoot ? ROOTS_ETC : ['/etc']), ...source, ...read],
    write: [...write, ...elsewhere, ...WRITABLE_DEVICES],
    execute: [process.execPath, ...LOADERS],
  }
}

/**
 * Once everything runs that needs more: no other process reads our memory, and calls that the agent
 * never makes are refused.
 * @param programs whether it may still start processes
 * @returns why calls are not filtered, where they are not
 */
export function closeSandbox({ programs = true } = {}): string | undefined {
  hideMemory()
  return filterCalls({ programs })
}
