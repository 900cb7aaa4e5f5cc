/**
 * What sys_enter notes beside the counts, of a few calls only: the remote ends that a process turns
 * to (connect, sendto), DNS queries and raw packets (sendto, sendmsg, sendmmsg), and
 * files with secrets that it opens (open, openat, openat2).
 *
 * Counts alone cannot tell a scanner from a client that tries one dead service again and again, nor
 * who reads private keys from who reads anything. Remote ends are kept as a sketch of 128 bits in
 * the second's record: a bit for the hash of address and port (linear counting, Whang et al. 1990),
 * which tells up to some 400 apart. Of a path only its last six bytes are looked at, and of those
 * only whether they are in a map of ours; nothing of it leaves the kernel.
 *
 * A resolver connects its socket and then names no address, so a query is known by what it begins
 * with: a DNS header with one question and no answer. Of the name that is asked for only a bit is
 * kept, for the hash of its beginning: data in names makes them differ. A packet that a scanner puts
 * together itself is known by its Ethernet type and IP header. Of a message 24 bytes are looked at.
 *
 * Every other call pays seven comparisons. What is missed: calls of 32-bit programs, paths over
 * PATH_HEAD_BYTES, io_uring, queries sent by write (Go), and, in its first call of a second, a
 * process without a record.
 */
import { type Assembler, FP, R0, R1, R2, R3, R6, R7, R8, R9 } from './assembler.ts'
import { ACTIVITY, RECORD, SECRET_SUFFIX_BYTES } from './layout.ts'
import {
  argument,
  BUILT,
  dispatch,
  ENTRY,
  GOLDEN_RATIO,
  lookUp,
  probe,
  SCRATCH,
  secondSlot,
  TGID,
  type Wiring,
} from './parts.ts'

const IS_ARM = process.arch === 'arm64'
/** Numbers of the native calls; those that a machine does not have are left out. */
const NUMBER = IS_ARM
  ? {
      ...{ connect: 203, sendto: 206, sendmsg: 211, sendmmsg: 269 },
      ...{ open: undefined, openat: 56, openat2: 437 },
    }
  : {
      ...{ connect: 42, sendto: 44, sendmsg: 46, sendmmsg: 307 },
      ...{ open: 2, openat: 257, openat2: 437 },
    }
/** Where a call's arguments lie in the saved registers (struct pt_regs). */
const ARGUMENT = IS_ARM ? [0, 8, 16, 24, 32] : [112, 104, 96, 56, 72]
const O_ACCMODE = 3
const O_WRONLY = 1
const O_DIRECTORY = IS_ARM ? 0x4000 : 0x1_0000
const AF_INET = 2
const AF_INET6 = 10
const AF_PACKET = 17
const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28
/** Port 53 as it lies in memory, read as a little-endian number. */
const DNS_PORT = 53 << 8
/** Of a message: an Ethernet header and the beginning of the packet in it. */
const MESSAGE_BYTES = 24
/**
 * A DNS header by its place and what must be there: no response, opcode 0 and no answer that was cut
 * ("recursion desired" may be set or not), no error, one question, and nothing that answers it.
 */
const DNS_QUERY = [
  { at: 2, bytes: 1, mask: 0xfe, value: 0 },
  { at: 3, bytes: 1, mask: 0x8f, value: 0 },
  { at: 4, bytes: 2, mask: 0xffff, value: 0x0100 },
  { at: 6, bytes: 2, mask: 0xffff, value: 0 },
  { at: 8, bytes: 2, mask: 0xffff, value: 0 },
] as const
/** Ethernet type and IP version with a header of 20 bytes, and where the header begins then. */
const IP_IN_ETHERNET = { typeAt: 12, type: 0x0008, at: 14 }
const IP_VERSION = 0x45
/** Of an IP header: where the destination is; source and destination port are behind it. */
const IP_DESTINATION = 16
const IP_DESTINATION_BYTES = 8
/** Offsets in struct msghdr and struct iovec. */
const MESSAGE_PARTS = 16
const PART_LENGTH = 8
/** The kernel sends no more at once. */
const MESSAGES_MASK = 0x3ff
/** Where a query's first label begins, behind the header and the label's length. */
const NAME_AT = 13
/** Both cases of eight letters are one: some resolvers ask in mixed case. */
const LOWER_CASE = 0x2020_2020_2020_2020n
const PATH_HEAD_BYTES = 128

/** The stack while no record is being built there. */
const ADDRESS = BUILT
const PEER = BUILT + 32
const BIT = BUILT + 40
const LENGTH = BUILT + 48
const QUERIES = BUILT + 56
const MESSAGE = BUILT + 64
const TEXT = BUILT + 72
const NAME = BUILT + 96
const SUFFIX = ENTRY

/**
 * Notes the call in R8 of the process in R7 and goes on at "noted". R6 = context; loses R6 and R9.
 */
export function noteActivity(a: Assembler, wiring: Wiring, secrets: number): void {
  for (const [call, number] of Object.entries(NUMBER))
    if (number !== undefined) a.jumpIf(R8, '==', number, call)
  a.jump('noted')

  if (NUMBER.open !== undefined) {
    a.label('open')
    leaveToOthers(a, 1)
    loadArgument(a, 0).jump('path')
  }
  a.label('openat')
  leaveToOthers(a, 2)
  a.label('openat2')
  loadArgument(a, 1).label('path')
  noteSecret(a, wiring, secrets)

  a.label('connect').storeValue(8, FP, LENGTH, 0)
  loadArgument(a, 1).jump('address')
  a.label('sendmmsg')
  loadArgument(a, 2).and(R9, MESSAGES_MASK).store(8, FP, QUERIES, R9).jump('messages')
  a.label('sendmsg').storeValue(8, FP, QUERIES, 1).label('messages')
  loadFirstPart(a)
  a.jump('message')
  a.label('sendto').storeValue(8, FP, QUERIES, 1)
  loadArgument(a, 2).store(8, FP, LENGTH, R9)
  loadArgument(a, 1).store(8, FP, MESSAGE, R9)
  loadArgument(a, 4).jumpIf(R9, '!=', 0, 'address')
  a.load(8, R9, FP, MESSAGE).label('message')
  noteMessage(a, wiring)
  a.label('address')
  notePeer(a, wiring)
  a.label('noted')
}

/** R9 = address of the first part of the first message in R9's argument, LENGTH = its bytes. */
function loadFirstPart(a: Assembler): void {
  loadArgument(a, 1).add(R9, MESSAGE_PARTS)
  readUser(a, TEXT, 8)
  a.load(8, R9, FP, TEXT).add(R9, PART_LENGTH)
  readUser(a, LENGTH, 8)
  a.add(R9, -PART_LENGTH)
  readUser(a, TEXT, 8)
  a.load(8, R9, FP, TEXT)
}

/** Copies user memory at R9 to the stack; zeroes where it cannot be read. */
function readUser(a: Assembler, to: number, bytes: number): void {
  a.copy(R1, FP).add(R1, to).set(R2, bytes).copy(R3, R9).call('probeReadUser')
}

/**
 * R9 = address of what is sent without an address. A packet's own destination counts as a remote
 * end; goes on to "noted" with all else.
 */
function noteMessage(a: Assembler, wiring: Wiring): void {
  a.store(8, FP, MESSAGE, R9)
  readUser(a, TEXT, MESSAGE_BYTES)
  for (const { at, bytes, mask, value } of DNS_QUERY)
    a.load(bytes, R1, FP, TEXT + at)
      .and(R1, mask)
      .jumpIf(R1, '!=', value, 'no query')
  hashName(a)
  findRecord(a, wiring, 'query')
  countQueries(a)
  a.jump('noted')

  a.label('no query').load(2, R1, FP, TEXT + IP_IN_ETHERNET.typeAt)
  a.jumpIf(R1, '!=', IP_IN_ETHERNET.type, 'noted')
  a.load(1, R1, FP, TEXT + IP_IN_ETHERNET.at).jumpIf(R1, '!=', IP_VERSION, 'noted')
  a.load(8, R9, FP, MESSAGE).add(R9, IP_IN_ETHERNET.at).jump('packet')

  // To a link, not to an address: a whole frame, or a packet for which the kernel makes one.
  a.label('link')
  loadArgument(a, 1)
  readUser(a, TEXT, 1)
  a.load(1, R1, FP, TEXT).jumpIf(R1, '!=', IP_VERSION, 'message')

  // R9 = address of an IP header.
  a.label('packet').add(R9, IP_DESTINATION)
  readUser(a, TEXT, IP_DESTINATION_BYTES)
  a.storeValue(8, FP, PEER, 0).storeValue(2, FP, PEER, AF_INET)
  a.load(4, R1, FP, TEXT).store(4, FP, PEER + 4, R1)
  a.load(2, R1, FP, TEXT + 6).store(2, FP, PEER + 2, R1)
  // It is counted as a contact, not as a query.
  a.storeValue(8, FP, LENGTH, 0).load(8, R1, FP, PEER).jump('hash')
}

/** BIT = which bit of the sketch is that of the name in the query at MESSAGE. */
function hashName(a: Assembler): void {
  a.load(8, R9, FP, MESSAGE).add(R9, NAME_AT)
  readUser(a, NAME, 8)
  a.load(8, R1, FP, NAME).set64(R2, LOWER_CASE).or(R1, R2)
  a.set64(R2, GOLDEN_RATIO).multiply(R1, R2)
  a.shiftRight(R1, 64 - ACTIVITY.dnsNameBits).store(8, FP, BIT, R1)
}

/** QUERIES of LENGTH bytes each, the name of the first at BIT, in the record in R0. */
function countQueries(a: Assembler): void {
  a.load(4, R1, R0, RECORD.activity + ACTIVITY.dnsQueries).load(8, R2, FP, QUERIES)
  a.addRegister(R1, R2).store(4, R0, RECORD.activity + ACTIVITY.dnsQueries, R1)
  a.load(8, R1, FP, LENGTH).multiply(R1, R2)
  a.load(4, R2, R0, RECORD.activity + ACTIVITY.dnsBytes).addRegister(R1, R2)
  a.store(4, R0, RECORD.activity + ACTIVITY.dnsBytes, R1)
  a.load(8, R2, FP, BIT).and(R2, 63).set(R1, 1).shiftLeftBy(R1, R2)
  a.load(8, R2, R0, RECORD.activity + ACTIVITY.dnsNames).or(R2, R1)
  a.store(8, R0, RECORD.activity + ACTIVITY.dnsNames, R2)
}

/** R9 = an argument of the call. */
function loadArgument(a: Assembler, position: number): Assembler {
  a.load(8, R3, R6, argument(0)).add(R3, ARGUMENT[position]!)
  probe(a, SCRATCH, 8)
  return a.load(8, R9, FP, SCRATCH)
}

/**
 * Who only writes a file with secrets makes it, and a directory of that name is one of sources.
 * @param flags position of the argument
 */
function leaveToOthers(a: Assembler, flags: number): void {
  loadArgument(a, flags).copy(R1, R9).and(R1, O_DIRECTORY).jumpIf(R1, '!=', 0, 'noted')
  a.and(R9, O_ACCMODE).jumpIf(R9, '==', O_WRONLY, 'noted')
}

/** R9 = address of a path in user memory. */
function noteSecret(a: Assembler, wiring: Wiring, secrets: number): void {
  a.copy(R1, FP).add(R1, BUILT).set(R2, PATH_HEAD_BYTES).copy(R3, R9).call('probeReadUserStr')
  // The length has the final NUL in it; a path that fills the field was cut.
  a.jumpIf(R0, 'signed<', SECRET_SUFFIX_BYTES + 1, 'noted')
  a.jumpIf(R0, '>=', PATH_HEAD_BYTES, 'noted')
  a.storeValue(8, FP, SUFFIX, 0)
  a.copy(R3, R9)
    .addRegister(R3, R0)
    .add(R3, -SECRET_SUFFIX_BYTES - 1)
  a.copy(R1, FP).add(R1, SUFFIX).set(R2, SECRET_SUFFIX_BYTES).call('probeReadUser')
  lookUp(a, secrets, SUFFIX)
  a.jumpIf(R0, '==', 0, 'noted').load(4, R9, R0, 0)
  findRecord(a, wiring, 'secret')
  a.load(4, R1, R0, RECORD.activity + ACTIVITY.secrets).or(R1, R9)
  a.store(4, R0, RECORD.activity + ACTIVITY.secrets, R1)
  addTo(a, ACTIVITY.secretOpens)
  a.jump('noted')
}

/** R9 = address of a socket address in user memory, LENGTH = bytes sent to it. */
function notePeer(a: Assembler, wiring: Wiring): void {
  a.jumpIf(R9, '==', 0, 'noted')
  for (let at = 0; at < 32; at += 8) a.storeValue(8, FP, ADDRESS + at, 0)
  a.copy(R1, FP).add(R1, ADDRESS).set(R2, SOCKADDR_IN_BYTES).copy(R3, R9).call('probeReadUser')
  a.load(2, R1, FP, ADDRESS)
  a.jumpIf(R1, '==', AF_PACKET, 'link')
  a.jumpIf(R1, '==', AF_INET, 'peer').jumpIf(R1, '!=', AF_INET6, 'noted')
  a.copy(R1, FP).add(R1, ADDRESS).set(R2, SOCKADDR_IN6_BYTES).copy(R3, R9).call('probeReadUser')
  // The flow label is no part of the address.
  a.storeValue(4, FP, ADDRESS + 4, 0)
  a.label('peer').load(8, R1, FP, ADDRESS).store(8, FP, PEER, R1)
  // Behind an IPv4 address are eight bytes of padding, which may be anything.
  a.load(2, R2, FP, ADDRESS).jumpIf(R2, '==', AF_INET, 'hash')
  for (const at of [8, 16]) {
    a.load(8, R2, FP, ADDRESS + at).set64(R3, GOLDEN_RATIO)
    a.multiply(R1, R3).addRegister(R1, R2)
  }
  a.label('hash')
  // Twice, with the upper half brought down between: neighbouring ports are one step apart, and a
  // single product leaves them in step.
  a.set64(R2, GOLDEN_RATIO ^ wiring.userSeed).orValue(R2, 1)
  a.multiply(R1, R2).copy(R3, R1).shiftRight(R3, 32).addRegister(R1, R3).multiply(R1, R2)
  a.shiftRight(R1, 64 - ACTIVITY.peerBits).store(8, FP, BIT, R1)
  findRecord(a, wiring, 'contact')
  a.load(8, R2, FP, BIT).copy(R3, R2).and(R2, 63).set(R1, 1).shiftLeftBy(R1, R2)
  a.jumpIf(R3, '>=', 64, 'upper bits')
  for (const [word, after] of [
    [0, 'contacts'],
    [8, undefined],
  ] as const) {
    if (word === 8) a.label('upper bits')
    a.load(8, R2, R0, RECORD.activity + ACTIVITY.peers + word).or(R2, R1)
    a.store(8, R0, RECORD.activity + ACTIVITY.peers + word, R2)
    if (after !== undefined) a.jump(after)
  }
  a.label('contacts')
    .load(8, R1, FP, PEER)
    .store(8, R0, RECORD.activity + ACTIVITY.peer, R1)
  addTo(a, ACTIVITY.contacts)
  // A connection made is no query yet, and how long those over it are is not seen.
  a.load(8, R1, FP, LENGTH).jumpIf(R1, '==', 0, 'noted')
  a.load(2, R1, FP, PEER + 2).jumpIf(R1, '!=', DNS_PORT, 'noted')
  // The record stays where it is while the name is read.
  a.copy(R6, R0)
  hashName(a)
  a.copy(R0, R6)
  countQueries(a)
}

/** Adds one to a field of the record in R0. Not atomic: another thread's may be lost. */
function addTo(a: Assembler, field: number): void {
  a.load(4, R1, R0, RECORD.activity + field).add(R1, 1)
  a.store(4, R0, RECORD.activity + field, R1)
}

/** R0 = the caller's record of this second; goes to "noted" where there is none. Loses R6. */
function findRecord(a: Assembler, wiring: Wiring, what: string): void {
  secondSlot(a, wiring, 'noted')
  a.store(4, FP, TGID, R7)
  dispatch(a, what, (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, 'noted').jump(`${what} found`)
  })
  a.label(`${what} found`)
}
