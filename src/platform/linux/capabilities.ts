/**
 * Capabilities, and dropping them in all threads.
 *
 * Bun has many threads, and Linux keeps credentials per thread: capset(2) changes the calling
 * thread only. Two things do apply to a whole program, and only they are used:
 * - a *child* starts with the credentials of the thread that spawned it (`withCapabilities`);
 * - an *exec* of one's own program keeps the pid and ends all threads but the caller, so the new
 *   image has the caller's credentials in all of its threads (`execWithoutCapabilities`).
 *
 * Root regains all capabilities at each exec unless SECBIT_NOROOT is set; it is set for both.
 * `heldCapabilities` reads the actual state of each thread.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { AgentError } from '../../domain/error.ts'
import { type FileAccess, restrictFiles } from './landlock.ts'
import { addressOf, checked, loadLibc, zeroEnded } from './libc.ts'

/** linux/capability.h */
export const CAPABILITY = {
  chown: 0,
  dacOverride: 1,
  dacReadSearch: 2,
  setgid: 6,
  setuid: 7,
  setpcap: 8,
  netBindService: 10,
  sysPtrace: 19,
  sysAdmin: 21,
  sysNice: 23,
  sysResource: 24,
  perfmon: 38,
  bpf: 39,
} as const
export type Capability = keyof typeof CAPABILITY

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const PR_CAPBSET_DROP = 24
const PR_SET_SECUREBITS = 28
const PR_GET_SECUREBITS = 27
const PR_SET_NO_NEW_PRIVS = 38
const PR_SET_KEEPCAPS = 8
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_RAISE = 2
const PR_CAP_AMBIENT_CLEAR_ALL = 4
const PR_GET_MDWE = 66
/** NOROOT and its lock, NO_SETUID_FIXUP is left alone. */
const SECBIT_NOROOT = 1
const SECBIT_NOROOT_LOCKED = 2
const CAP_LAST = 63
const CAPABILITY_VERSION_3 = 0x2008_0522
const SIGKILL = 9

interface Sets {
  effective: bigint
  permitted: bigint
  inheritable: bigint
}

/** The union of the effective and permitted sets of all threads of this process. */
export function heldCapabilities(): bigint {
  let held = 0n
  for (const thread of readdirSync('/proc/self/task')) {
    const status = statusOf(`/proc/self/task/${thread}/status`)
    for (const field of ['CapEff', 'CapPrm', 'CapAmb'] as const)
      held |= BigInt(`0x${new RegExp(`^${field}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? '0'}`)
  }
  return held
}

/** The effective set of the calling thread. */
export function effectiveCapabilities(): bigint {
  return BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(statusOf('/proc/thread-self/status'))?.[1] ?? '0'}`)
}

export function hasCapability(set: bigint, capability: Capability): boolean {
  return (set & maskOf([capability])) !== 0n
}

function statusOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function maskOf(capabilities: readonly Capability[]): bigint {
  return capabilities.reduce((mask, name) => mask | (1n << BigInt(CAPABILITY[name])), 0n)
}

/**
 * Runs `spawn`, which starts a child, so that the child has exactly these capabilities (of those
 * that we have), whatever its user. Must be called on the main thread, and `spawn` must spawn
 * synchronously.
 */
export function withCapabilities<T>(wanted: readonly Capability[], spawn: () => T): T {
  const before = readSets()
  const mask = maskOf(wanted) & before.permitted
  const securebits = prctl(PR_GET_SECUREBITS)
  const canSetBits = hasCapability(before.effective, 'setpcap')
  if (canSetBits) prctl(PR_SET_SECUREBITS, securebits | SECBIT_NOROOT)
  writeSets({ ...before, inheritable: mask })
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
  for (const name of wanted)
    if ((mask & maskOf([name])) !== 0n)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITY[name])
  try {
    return spawn()
  } finally {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    writeSets(before)
    if (canSetBits) prctl(PR_SET_SECUREBITS, securebits)
  }
}

export interface NewImage {
  /** What the new image may still hold (kernels that want it for each bpf call). */
  readonly keep?: readonly Capability[]
  /** Whom it belongs to, where that is not the present user; needs CAP_SETUID and CAP_SETGID. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /**
   * All that it may read, write and execute, where the kernel has Landlock; absent: what its user
   * may.
   */
  readonly files?: FileAccess | undefined
}

/**
 * Drops all capabilities permanently by re-executing this program (or another); returns only the
 * reason of a failure. Descriptors without close-on-exec stay open; the pid stays the same.
 */
export function execWithoutCapabilities(
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  { keep = [], user, files }: NewImage = {},
): never {
  const mask = maskOf(keep) & readSets().permitted
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
  // Both need CAP_SETPCAP; without it we are not root, or our parent has done it.
  prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)
  for (let capability = 0; capability <= CAP_LAST; capability++)
    if ((mask & (1n << BigInt(capability))) === 0n) prctl(PR_CAPBSET_DROP, capability)
  // Otherwise the kernel drops the capabilities to be kept when the user is no longer root.
  if (user !== undefined && mask !== 0n) prctl(PR_SET_KEEPCAPS, 1)
  if (user !== undefined) becomeUser(user)
  writeSets({ effective: mask, permitted: mask, inheritable: mask })
  for (const name of keep)
    if ((mask & maskOf([name])) !== 0n)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITY[name])
  // Nor by a set-uid program, nor by file capabilities.
  prctl(PR_SET_NO_NEW_PRIVS, 1)
  if (files !== undefined) restrictFiles(files)
  const environmentWords = Object.entries(environment)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
  const [program] = command
  const kept: Uint8Array[] = []
  const path = zeroEnded(program ?? '')
  const failed = checked(
    loadLibc().execve(
      addressOf(path),
      addressOf(pointers(command, kept)),
      addressOf(pointers(environmentWords, kept)),
    ),
  )
  throw new AgentError('ERR_FAILED', `Cannot execute "${program}": errno ${-failed}`)
}

/**
 * For good, with all capabilities gone where it was root; needs CAP_SETUID and CAP_SETGID. The C
 * library applies it to all threads. @throws AgentError ERR_PERMISSION
 */
export function becomeUser({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const { setgroups, setresgid, setresuid } = loadLibc()
  for (const returned of [setgroups(0, null), setresgid(gid, gid, gid), setresuid(uid, uid, uid)]) {
    const result = checked(returned)
    if (result < 0)
      throw new AgentError('ERR_PERMISSION', `Cannot become user ${uid}: errno ${-result}`)
  }
}

/** A NULL-ended array of C strings; `kept` holds what the addresses point to. */
function pointers(words: readonly string[], kept: Uint8Array[]): BigUint64Array<ArrayBuffer> {
  const array = new BigUint64Array(new ArrayBuffer(8 * (words.length + 1)))
  words.forEach((word, i) => {
    const bytes = zeroEnded(word)
    kept.push(bytes)
    array[i] = BigInt(addressOf(bytes))
  })
  return array
}

/** The kernel kills this process when the thread that started it ends. */
export function dieWithParent(): void {
  prctl(PR_SET_PDEATHSIG, SIGKILL)
}

/**
 * No core dumps of this process, and no other one of its user may trace it or read its memory. An
 * exec undoes it.
 */
export function hideMemory(): void {
  prctl(PR_SET_DUMPABLE, 0)
}

/** True under systemd's MemoryDenyWriteExecute, which disables the JIT. */
export function writeExecuteDenied(): boolean {
  return prctl(PR_GET_MDWE) > 0
}

function prctl(option: number, first = 0, second = 0): number {
  return checked(loadLibc().prctl(option, first, second, 0, 0))
}

function header(): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(new ArrayBuffer(8))
  words[0] = CAPABILITY_VERSION_3
  return words
}

function readSets(): Sets {
  const data = new Uint32Array(new ArrayBuffer(24))
  const result = checked(loadLibc().capget(addressOf(header()), addressOf(data)))
  if (result < 0) throw new AgentError('ERR_FAILED', `Cannot read capabilities: errno ${-result}`)
  const set = (i: number) => BigInt(data[i]!) | (BigInt(data[i + 3]!) << 32n)
  return { effective: set(0), permitted: set(1), inheritable: set(2) }
}

function writeSets({ effective, permitted, inheritable }: Sets): void {
  const data = new Uint32Array(new ArrayBuffer(24))
  ;[effective, permitted, inheritable].forEach((set, i) => {
    data[i] = Number(set & 0xffff_ffffn)
    data[i + 3] = Number(set >> 32n)
  })
  const result = checked(loadLibc().capset(addressOf(header()), addressOf(data)))
  if (result < 0) throw new AgentError('ERR_FAILED', `Cannot set capabilities: errno ${-result}`)
}
