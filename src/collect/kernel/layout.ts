/**
 * What the programs in the kernel write and the drain reads: keys, records, flags. Both sides
 * import it, so they cannot disagree.
 *
 * A count's key is one u64: `tgid << 16 | uring << 11 | compat << 10 | number`, its value a u64. A
 * process's key is its tgid (u32), its value the record below. Numbers that no call has are all
 * LAST_NUMBER, else any user could fill the map by syscall(480), syscall(481), … (x32's bit 30 and
 * syscall(-1) land there, too).
 *
 * No single process or user can fill the maps. A process has a quota of keys; calls beyond it are
 * counted under one more key, OVERFLOW_NUMBER. A user's share of a slot's keys and records is
 * limited by what is left (QUOTA_FACTOR): one who takes all he can leaves a third, which is
 * everybody else's. Calls that find no room are counted in their process's record (`missed`), or,
 * where it has none, with its user: seconds of other users are not affected.
 */
import { NUMBER_BITS, URING_FLAG } from '../../domain/kernel-stream.ts'
import { SUFFIX_CHARS } from '../../domain/secrets.ts'
import type { MapShape } from './bpf.ts'

/**
 * Maps in the ring: one is written, one waits for its grace, two are room for a collector that is
 * late.
 */
export const SLOTS = 4

export const LAST_NUMBER = (1 << NUMBER_BITS) - 1
/** Calls of a process beyond its quota of keys. */
export const OVERFLOW_NUMBER = LAST_NUMBER - 1
/** Of a key: all that is not the process. */
export const CALL_MASK = 2 * URING_FLAG - 1
export const TGID_SHIFT = 16

/**
 * Where most counts lie: a table in one value of an array map, addressed without a call. For each
 * slot 1,024 buckets of a cache line; in a bucket four entries, a key and its count each. A key
 * whose bucket is full goes to the slot's hash map. Key 0 is free (there is no thread group 0).
 */
export const TABLE = {
  bucketBits: 10,
  bucketShift: 6,
  entriesPerBucket: 4,
  entryBytes: 16,
  count: 8,
  slotShift: 16,
  slotBytes: 1 << 16,
  slotEntries: (1 << 16) / 16,
  bytes: SLOTS << 16,
} as const

/** Byte offsets in a process record. */
export const RECORD = {
  /** u64, ns since boot (of the group leader); 0 where the kernel gives no types. */
  start: 0,
  /** u64, inode of the cgroup v2 directory; 1 where cgroups are v1. */
  cgroup: 8,
  parent: 16,
  uid: 20,
  flags: 24,
  /** u32, inode of the pid namespace; 0 where the kernel gives no types. */
  pidNamespace: 28,
  /** 16 bytes, ended by NUL: the leader's comm, or the calling thread's (THREAD_COMM). */
  comm: 32,
  /**
   * What was executed; empty unless an exec was seen. With FLAG.walked the names of its path from
   * the last to the first, each ended by NUL; else the path as it was called, ended by NUL.
   */
  path: 48,
  /** u64, CPU time of the whole life in ns, with FLAG.exit; 0 where the kernel gives no types. */
  cpu: 176,
  /** u64, keys that the process made in this second, those that were refused included. */
  keys: 184,
  /** u64, calls that found no room. */
  missed: 192,
  /** What ACTIVITY says, with `activity` in the variant. */
  activity: 200,
  size: 256,
} as const
export const COMM_BYTES = 16
export const PATH_BYTES = RECORD.cpu - RECORD.path

/** Byte offsets in the part of a record that activity.ts writes. */
export const ACTIVITY = {
  /** 128 bits: one for the hash of each remote end, address and port. */
  peers: 0,
  peerBits: 7,
  peersBytes: 16,
  /** The latest: the first eight bytes of its socket address (family, port, IPv4 address). */
  peer: 16,
  /** u32, connections begun and datagrams sent to an address. */
  contacts: 24,
  /** u32, those to port 53; and the bytes sent to it. */
  dnsQueries: 28,
  dnsBytes: 32,
  /** u32, a bit for each kind of secret that was opened (domain/secrets.ts); and how often. */
  secrets: 36,
  secretOpens: 40,
  /** 64 bits: one for the hash of how each name begins that was asked for. */
  dnsNames: 48,
  dnsNameBits: 6,
  size: 56,
} as const

/** Last bytes of a path, by which files with secrets are known. */
export const SECRET_SUFFIX_BYTES = SUFFIX_CHARS

/** Byte offsets in what is kept of a process's arguments. */
export const ARGUMENTS = {
  /** u64, bytes of the text that are used. */
  length: 0,
  /** Words, each ended by NUL; cut at `most`. */
  text: 8,
  most: 384,
  size: 392,
} as const

/** Byte offsets in what the walk over tasks writes for each thread (task-program.ts). */
export const TASK = {
  tgid: 0,
  pid: 4,
  /** u64, ns since boot, of the leader. */
  start: 8,
  /** u64, CPU time of this thread, ns. */
  cpu: 16,
  /** u64, CPU time of the process's threads that have ended, ns. */
  endedCpu: 24,
  /** From here on of leaders only. */
  parent: 32,
  uid: 36,
  comm: 40,
  size: 56,
} as const

export const FLAG = { exec: 1, exit: 2, threadComm: 4, walked: 8 } as const
/** Room for one name of a path; one that fills it was cut, and the path is none. */
export const PATH_NAME_BYTES = 48

/** Calls that could not be kept, counted by slot and reason in an array map. */
export const MISS = {
  /** There was no room, and nothing that says whose they are. */
  noRoom: 0,
  /** The slot still held an older second. */
  late: 1,
} as const
export const MISSES_PER_SLOT = 2

/**
 * What each user takes of a slot: an array of u64 in memory that we share, addressed by a hash of
 * the uid with a secret key (two users with the same hash share a quota). Behind all slots' users
 * stand the slots' totals.
 */
export const USER = {
  bits: 12,
  perSlot: 1 << 12,
  keys: 0,
  records: 8,
  /** Calls of the user's processes that have no record. */
  missed: 16,
  uid: 24,
  size: 32,
} as const
/** The array's index of a slot's totals. */
export const totalOf = (slot: number): number => SLOTS * USER.perSlot + slot
/** A user may take so many times what is left. */
export const QUOTA_FACTOR_BITS = 1

export const countShape = (entries: number): MapShape => ({
  kind: 'hash',
  keyBytes: 8,
  valueBytes: 8,
  entries,
})
export const processShape = (entries: number): MapShape => ({
  kind: 'hash',
  keyBytes: 4,
  valueBytes: RECORD.size,
  entries,
})
/** Of the latest programs that were executed: the oldest give way to new ones. */
export const argumentsShape: MapShape = {
  kind: 'recent hash',
  keyBytes: 4,
  valueBytes: ARGUMENTS.size,
  entries: 2_048,
}
/** Where a program puts together what does not fit on its stack. */
export const scratchShape: MapShape = {
  kind: 'array per CPU',
  keyBytes: 4,
  valueBytes: ARGUMENTS.size,
  entries: 1,
}
export const secretShape = (entries: number): MapShape => ({
  kind: 'hash',
  keyBytes: 8,
  valueBytes: 4,
  entries,
})
export const tableShape: MapShape = {
  kind: 'shared array',
  keyBytes: 4,
  valueBytes: TABLE.bytes,
  entries: 1,
}
export const userShape: MapShape = {
  kind: 'shared array',
  keyBytes: 4,
  valueBytes: USER.size,
  entries: SLOTS * USER.perSlot + SLOTS,
}
/** Which second (u64) each slot takes now; a call of another is late. */
export const turnShape: MapShape = {
  kind: 'array',
  keyBytes: 4,
  valueBytes: SLOTS * 8,
  entries: 1,
}
export const missShape: MapShape = {
  kind: 'array',
  keyBytes: 4,
  valueBytes: 8,
  entries: SLOTS * MISSES_PER_SLOT,
}
