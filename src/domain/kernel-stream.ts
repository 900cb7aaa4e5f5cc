/**
 * The stream of our in-kernel counter: binary, little-endian, one group of records for each second.
 *
 *   u32 bytes of the payload, u8 kind, payload
 *
 *   1 hello    u8 version (5), u8 machine (1 x86_64, 2 arm64)
 *   2 second   u32 Unix second: what follows happened in it
 *   3 process  u32 pid, u32 start (Unix s, 0 unknown), u32 ppid (who made it; 0 unknown), u32 uid (all ones unknown),
 *              u32 inode of its pid namespace (0 unknown), u8 name kind (4 more: it has executed a file), text name,
 *              text exe, text container
 *              at first sight, and after an exec
 *   4 calls    u32 pid, u8 name kind, text name, then to the end: u16 number (bit 10: 32-bit, bit 11: an opcode of
 *              io_uring), u32 count
 *   5 exit     u32 pid
 *   6 lost     u32 Unix second, u8 reason (0 no room, 1 late: its map held an older second), f64 calls
 *   7 end      u32 drain µs, u32 keys, u32 processes, u32 calls of processes without record: the second is complete
 *   9 cpu      u32 pid, u8 name kind, text name, u32 CPU time of the second in µs, of all its threads
 *   10 unseen  u32 pid (0: some of the user's), u8 name kind, text name, u32 uid, u8 reason (0 more kinds of calls than
 *              are told apart, 1 no room left for its user, 2 the same without a record), u32 kinds, f64 lost calls
 *   11 command u32 pid, u32 digest of the whole, u16 length, bytes: the arguments of what was executed,
 *              words divided by blanks, secrets masked; after its process
 *   12 active  u32 pid, u8 name kind, text name, 16 bytes sketch of remote ends, u16 address family,
 *              u16 port (network order), 4 bytes IPv4 address of the latest, u32 contacts, u32 DNS
 *              queries, u32 bytes of them, u32 kinds of secrets opened, u32 openings, 4 bytes unused,
 *              8 bytes sketch of the names asked for
 *   8 bye      the collector ended as it was asked to
 *
 *   text       u8 length, bytes (any; comm is whatever a process calls itself)
 *   name kind  0 unknown, 1 the leader's, 2 another thread's
 *
 * Written by collect/kernel/records.ts, read by parse/kernel-records.ts.
 */
export const KIND = {
  hello: 1,
  second: 2,
  process: 3,
  calls: 4,
  exit: 5,
  lost: 6,
  end: 7,
  bye: 8,
  cpu: 9,
  unseen: 10,
  command: 11,
  activity: 12,
} as const

export const VERSION = 5
/** Bytes of length and kind before each payload. */
export const HEAD = 5
/** Of an activity, behind its name. */
export const ACTIVITY_BYTES = 56
/** By their number in `hello`. */
export const MACHINES = [undefined, 'x86_64', 'arm64'] as const
export const NAME_KIND = { unknown: 0, leader: 1, thread: 2 } as const
/** Added to a process's name kind. */
export const EXECUTED = 4
export const NO_UID = 0xffff_ffff
export const LOSS = { noRoom: 0, late: 1 } as const
/** Why a process was not seen whole. */
export const UNSEEN = { manyKinds: 0, noRoom: 1, noRecord: 2 } as const
/** Bits of a call's number. */
export const NUMBER_BITS = 10
/** The number is one of the 32-bit table. */
export const COMPAT_FLAG = 1 << NUMBER_BITS
/** The number is an opcode of io_uring. */
export const URING_FLAG = 1 << (NUMBER_BITS + 1)
