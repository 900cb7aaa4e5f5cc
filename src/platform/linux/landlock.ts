/**
 * Landlock [landlock(7)]: which files a process may read, write and execute, whatever its user may.
 * Rules are for the calling thread and what it executes, so they are set right before an exec
 * (`execWithoutCapabilities`) and then hold in every thread of the new image and in its children.
 *
 * Needs no right, only no_new_privs. Kernels before 5.13, or without the module, have none: then
 * the user's own permissions are all there is, and `agent doctor` says so. Each kernel knows more
 * kinds of access than the last; only those that it knows are asked for.
 *
 * Not restricted: connections without ports given, UDP, pathname sockets, what is open already.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { addressOf, landlockSyscall, nativeBytes } from './libc.ts'

/**
 * Directories and files; a directory stands for all below it. Those that are missing are left out.
 */
export interface FileAccess {
  readonly read: readonly string[]
  readonly write: readonly string[]
  readonly execute: readonly string[]
  /** TCP ports that may be bound, and connected to (0: any free one); absent: all. */
  readonly bind?: readonly number[] | undefined
  readonly connect?: readonly number[] | undefined
}

/** linux/landlock.h */
const EXECUTE = 1n << 0n
const WRITE_FILE = 1n << 1n
const READ_FILE = 1n << 2n
const READ_DIR = 1n << 3n
const MAKE_CHAR = 1n << 6n
const MAKE_BLOCK = 1n << 11n
const TRUNCATE = 1n << 14n
const IOCTL_DEV = 1n << 15n
/** What rules for a file that is no directory may hold. */
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
/**
 * Bits that version 1, 2, … of the interface knows; the fourth and later ones add none of files.
 */
const KNOWN = [13n, 14n, 15n, 15n, 16n]
/** Version 4: TCP ports. */
const PORTS_VERSION = 4
const BIND_TCP = 1n << 0n
const CONNECT_TCP = 1n << 1n
const RULE_NET_PORT = 2
/** Version 6: no signals and no abstract sockets out of the sandbox. */
const SCOPED_VERSION = 6
const SCOPE_ABSTRACT_SOCKETS = 1n << 0n
const SCOPE_SIGNALS = 1n << 1n

const CREATE_RULESET_VERSION = 1
const RULE_PATH_BENEATH = 1
/** Not in node:fs. */
const O_PATH = 0o10000000

/** Version of the kernel's interface; 0 where there is none. */
export function landlockVersion(): number {
  return Math.max(0, landlockSyscall('create', 0, 0, CREATE_RULESET_VERSION))
}

/**
 * Restricts the calling thread.
 * @returns version of the interface; 0 where nothing is restricted
 */
export function restrictFiles({ read, write, execute, bind, connect }: FileAccess): number {
  const version = landlockVersion()
  if (version === 0) return 0
  const handled = (1n << KNOWN[Math.min(version, KNOWN.length) - 1]!) - 1n
  // A notification socket may have an abstract name.
  const talksAbstract = process.env.NOTIFY_SOCKET?.startsWith('@') === true
  const scoped =
    version < SCOPED_VERSION ? 0n : SCOPE_SIGNALS | (talksAbstract ? 0n : SCOPE_ABSTRACT_SOCKETS)
  // handled_access_fs, handled_access_net, scoped; older kernels know a prefix of it.
  const network =
    version < PORTS_VERSION
      ? 0n
      : (bind === undefined ? 0n : BIND_TCP) | (connect === undefined ? 0n : CONNECT_TCP)
  const attributes = new BigUint64Array([handled, network, scoped])
  const size = version < 4 ? 8 : version < SCOPED_VERSION ? 16 : 24
  const ruleset = landlockSyscall('create', addressOf(attributes), size, 0)
  if (ruleset < 0) return 0
  const allow = (paths: readonly string[], access: bigint) => {
    for (const path of paths) addRule(ruleset, path, access & handled)
  }
  allow(read, READ_FILE | READ_DIR)
  allow(write, handled & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK))
  allow(execute, EXECUTE | READ_FILE)
  if (network !== 0n) {
    for (const port of bind ?? []) addPort(ruleset, port, BIND_TCP & network)
    for (const port of connect ?? []) addPort(ruleset, port, CONNECT_TCP & network)
  }
  const restricted = landlockSyscall('restrict', ruleset, 0, 0)
  closeSync(ruleset)
  return restricted < 0 ? 0 : version
}

function addRule(ruleset: number, path: string, access: bigint): void {
  let parent: number
  try {
    parent = openSync(path, O_PATH | constants.O_RDONLY)
  } catch {
    // Not there, or not ours to reach: then it needs no rule.
    return
  }
  try {
    const allowed = fstatSync(parent).isDirectory() ? access : access & OF_FILES
    // struct landlock_path_beneath_attr is packed.
    const rule = nativeBytes(12)
    const view = new DataView(rule.buffer)
    view.setBigUint64(0, allowed, true)
    view.setInt32(8, parent, true)
    landlockSyscall('add', ruleset, RULE_PATH_BENEATH, addressOf(rule))
  } finally {
    closeSync(parent)
  }
}

function addPort(ruleset: number, port: number, access: bigint): void {
  // struct landlock_net_port_attr
  const rule = new BigUint64Array([access, BigInt(port)])
  landlockSyscall('add', ruleset, RULE_NET_PORT, addressOf(rule))
}
