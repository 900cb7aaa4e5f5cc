/**
 * Detects whom processes turn to: scans, password guessing and DNS tunnels. Calls, remote ends and
 * DNS queries are added up over some ten seconds for whoever is responsible (lineage.ts), so a tool
 * that is started once per port counts as one that tries them all.
 *
 *   scan       many different remote ends, and nothing heard from most
 *   guessing   one service that asks for a password, again and again
 *   tunnel     many DNS queries that are long: the data is in the names
 *
 * A load generator hears an answer to each connection, and a client that tries one dead service
 * again and again turns to one remote end. Reads are answers as far as something was written, too:
 * what wakes the loop of an interpreter is read once for each connection that is refused (Ruby). Where
 * the source does not tell remote ends (sysdig, bpftrace, recordings) only scans are looked for, by
 * calls alone, and those take dozens of unanswered connections a second.
 */
import type { Finding, Proof } from '../domain/finding.ts'
import type { Frame, ProcessActivity } from '../domain/frame.ts'
import { CONNECTORS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Contacts, Repeats } from '../domain/process-facts.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'
import { Distinct } from './distinct.ts'
import type { Lineage } from './lineage.ts'
import { isNameServer } from './program-names.ts'
import {
  ASKS_FOR_PASSWORD,
  BURST,
  CONTACTS_DECAY,
  CONTACTS_SECONDS,
  GUESSES,
  ORDERS,
  READS_OF_A_FILE,
  READS_OF_A_START,
  REPEATS,
  SCAN,
  SCAN_BY_CALLS,
  SLOW,
  TUNNEL,
} from './thresholds.ts'

const CONNECTS = indexes('connect')
const SENDS = indexes('sendto sendmsg sendmmsg')
const READS = indexes('read readv pread64')
const RECEIVES = indexes('recvfrom recvmsg recvmmsg')
const WRITES = indexes('write writev sendfile splice')
const EXECS = indexes('execve execveat')
const OPENS = indexes('open openat openat2')

/** Bits of the sketches of remote ends and of names. */
const END_BITS = 128
const NAME_BITS = 64

interface Seen {
  /** As it was seen last. */
  process: Process
  connects: number
  sends: number
  heard: number
  /** Of it, what was received from sockets, or read after something was written. */
  answered: number
  contacts: number
  dnsQueries: number
  dnsBytes: number
  peer: string
  readonly ends: Distinct
  /** Over a minute or two, and what was turned to and heard in it. */
  readonly slowEnds: Distinct
  slowContacts: number
  slowAnswered: number
  readonly names: Distinct
  seconds: number
  last: number
  readonly proven: Set<string>
  /** When it is told as one who repeats, and after how long anew. */
  repeatsFrom: number
  repeatsAgain: number
  repeatsTold: number
}

export interface Repeater {
  readonly process: Process
  /** How often it was told before. */
  readonly looks: number
  readonly repeats: Repeats
}

export class Connecting {
  readonly #seen = new Map<ProcessKey, Seen>()
  readonly #lineage: Lineage
  /** The source tells remote ends. */
  #tellsEnds = false
  #repeaters: Repeater[] = []

  constructor(lineage: Lineage) {
    this.#lineage = lineage
  }

  /**
   * Frames in ascending order; the lineage has seen this one.
   * @returns what is beyond doubt, each once
   */
  push(frame: Frame): Proof[] {
    const touched = new Set<Seen>()
    this.#tellsEnds ||= frame.activity !== undefined
    for (const [i, process] of frame.processes.entries()) {
      if (process.pid < 0) continue
      const calls = callsOf(frame, i)
      const seen = this.#at(process, frame.index, calls.connects + calls.sends > 0)
      if (seen === undefined) continue
      seen.connects += calls.connects
      seen.sends += calls.sends
      seen.heard += calls.heard
      seen.answered += calls.answered
      seen.slowAnswered += calls.answered
      touched.add(seen)
    }
    for (const activity of frame.activity ?? []) {
      const begins = activity.contacts + activity.dnsQueries > 0
      const seen = this.#at(activity.process, frame.index, begins)
      if (seen === undefined) continue
      note(seen, activity, frame.index)
      touched.add(seen)
    }
    while (this.#seen.size > CONNECTORS_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    this.#repeaters = [...touched].flatMap((seen) => repeaterOf(seen, frame.index))
    return [...touched].flatMap((seen) => this.#judge(seen, frame.index))
  }

  /** Who was found in the latest frame to connect to one end again and again. */
  get repeaters(): readonly Repeater[] {
    return this.#repeaters
  }

  /** Of some ten seconds; undefined before enough of them were seen. */
  of(process: Process): Contacts | undefined {
    const seen = this.#seen.get(processKey(this.#lineage.responsible(process)))
    if (seen === undefined) return NO_CONTACTS
    if (seen.seconds < CONTACTS_SECONDS) return undefined
    const { connects, sends, heard, ends, dnsQueries, last } = seen
    const told = this.#tellsEnds ? { ends: ends.count(last), dnsQueries } : {}
    return { connects, sends, heard, ...told }
  }

  /**
   * The one remote end that a process turns to for each question that it asks of this host and once
   * more with the answer: as who takes orders does. An installer or an inventory asks many between
   * two contacts. Undefined where there are others.
   */
  ordersFrom(process: Process, questions: number): string | undefined {
    const seen = this.#seen.get(processKey(this.#lineage.responsible(process)))
    if (seen === undefined || seen.slowContacts < ORDERS.contacts * questions) return undefined
    const isOne = seen.slowEnds.count(seen.last) <= ORDERS.ends && !seen.peer.startsWith('127.')
    return isOne ? seen.peer : undefined
  }

  /** @param begins follows whoever is not followed yet: who never connects is not */
  #at(process: Process, index: number, begins: boolean): Seen | undefined {
    const one = this.#lineage.responsible(process)
    const key = processKey(one)
    const before = this.#seen.get(key)
    if (before === undefined && !begins) return undefined
    const seen = before ?? nothingOf(one, index)
    seen.process = one
    if (seen.last !== index || before === undefined) {
      const faded = CONTACTS_DECAY ** Math.max(0, index - seen.last)
      for (const sum of SUMS) seen[sum] *= faded
      const slowly = SLOW.decay ** Math.max(0, index - seen.last)
      seen.slowContacts *= slowly
      seen.slowAnswered *= slowly
      seen.seconds++
      seen.last = index
      this.#seen.delete(key)
      this.#seen.set(key, seen)
    }
    return seen
  }

  #judge(seen: Seen, index: number): Proof[] {
    const findings = this.#tellsEnds ? byDistinct(seen, index) : byCalls(seen)
    const news = findings.filter(({ question }) => !seen.proven.has(question))
    for (const { question } of news) seen.proven.add(question)
    return news.map((finding) => ({ process: seen.process, finding }))
  }
}

const NO_CONTACTS: Contacts = { connects: 0, sends: 0, heard: 0 }
const SUMS = [
  'connects',
  'sends',
  'heard',
  'answered',
  'contacts',
  'dnsQueries',
  'dnsBytes',
] as const

function nothingOf(process: Process, index: number): Seen {
  return {
    ...{ process, connects: 0, sends: 0, heard: 0, answered: 0, contacts: 0 },
    ...{ dnsQueries: 0, dnsBytes: 0 },
    ...{ peer: '', ends: new Distinct(END_BITS), names: new Distinct(NAME_BITS) },
    ...{ slowEnds: new Distinct(END_BITS, 60), slowContacts: 0, slowAnswered: 0 },
    ...{ seconds: 0, last: index, proven: new Set() },
    ...{ repeatsFrom: index, repeatsAgain: REPEATS.again, repeatsTold: 0 },
  }
}

function note(seen: Seen, activity: ProcessActivity, index: number): void {
  seen.dnsQueries += activity.dnsQueries
  seen.dnsBytes += activity.dnsBytes
  seen.names.add(activity.dnsNames, index)
  if (activity.contacts === 0) return
  seen.contacts += activity.contacts
  seen.peer = activity.peer
  seen.slowContacts += activity.contacts
  seen.ends.add(activity.peers, index)
  seen.slowEnds.add(activity.peers, index)
}

function byCalls({ connects, heard, seconds }: Seen): Finding[] {
  const isScan =
    connects >= SCAN_BY_CALLS.connects &&
    heard < SCAN_BY_CALLS.heard * connects &&
    seconds >= SCAN_BY_CALLS.seconds
  if (!isScan) return []
  return [
    proves('network-scan', 'opens dozens of connections a second and hears nothing over them'),
  ]
}

function byDistinct(seen: Seen, index: number): Finding[] {
  const { contacts, seconds, peer, dnsQueries, dnsBytes } = seen
  const findings: Finding[] = []
  const ends = seen.ends.count(index)
  const slowEnds = seen.slowEnds.count(index)
  if (isScan(seen, ends, slowEnds)) {
    const [count, span] = ends >= SCAN.ends ? [ends, 'some ten seconds'] : [slowEnds, 'a minute']
    findings.push(
      proves(
        'network-scan',
        `turned to ${count} or more different ports and hosts in ${span}, the latest ${peer}, and hears nothing from most`,
      ),
    )
  }
  const guesses = ASKS_FOR_PASSWORD[Number(peer.slice(peer.lastIndexOf(':') + 1))]
  if (
    guesses !== undefined &&
    contacts >= guesses &&
    ends <= GUESSES.ends &&
    seconds >= GUESSES.seconds
  )
    findings.push(
      proves(
        'password-guessing',
        `connected ${Math.round(contacts)} times in some ten seconds to ${peer}, a service that asks for a password`,
      ),
    )
  const isTunnel =
    dnsQueries >= TUNNEL.queries &&
    dnsBytes >= TUNNEL.bytes * dnsQueries &&
    seen.names.count(index) >= TUNNEL.names &&
    seconds >= TUNNEL.seconds
  if (isTunnel && !isNameServer(seen.process.name))
    findings.push(
      proves(
        'dns-tunnel',
        `sends ${Math.round(dnsQueries / 10)} DNS queries a second of ${Math.round(dnsBytes / dnsQueries)} bytes each${peer === '' ? '' : `, the latest end ${peer}`}`,
      ),
    )
  return findings
}

function repeaterOf(seen: Seen, index: number): Repeater[] {
  const { process, contacts, answered, seconds, ends, peer, repeatsFrom, repeatsAgain } = seen
  // Where the clock was set back, no longer than a turn.
  if (index < repeatsFrom && repeatsFrom - index <= repeatsAgain) return []
  const isRepeating =
    contacts >= REPEATS.contacts &&
    seconds >= REPEATS.seconds &&
    answered >= REPEATS.answered * contacts &&
    ends.count(index) <= REPEATS.ends
  if (!isRepeating) return []
  seen.repeatsFrom = index + repeatsAgain
  seen.repeatsAgain = Math.min(REPEATS.latest, 2 * repeatsAgain)
  const looks = seen.repeatsTold++
  return [{ process, looks, repeats: { contacts: Math.round(contacts), peer } }]
}

function isScan(
  { contacts, answered, seconds, slowContacts, slowAnswered }: Seen,
  ends: number,
  slowEnds: number,
): boolean {
  const isWide =
    (ends >= SCAN.ends && contacts >= SCAN.contacts && seconds >= SCAN.seconds) ||
    (ends >= BURST.ends && contacts >= BURST.contacts && seconds >= BURST.seconds)
  if (isWide && answered < SCAN.heard * contacts) return true
  return (
    slowEnds >= SLOW.ends &&
    slowContacts < SLOW.each * slowEnds &&
    slowAnswered < SLOW.heard * slowContacts &&
    seconds >= SLOW.seconds
  )
}

function proves(question: Finding['question'], because: string): Finding {
  return { question, says: 'proves', because }
}

function callsOf(frame: Frame, i: number) {
  let [connects, sends, writes, reads, receives, execs, opens] = [0, 0, 0, 0, 0, 0, 0]
  for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
    const syscall = frame.syscalls[k]!
    const count = frame.counts[k]!
    if (CONNECTS.has(syscall)) connects += count
    else if (SENDS.has(syscall)) sends += count
    else if (WRITES.has(syscall)) writes += count
    else if (READS.has(syscall)) reads += count
    else if (RECEIVES.has(syscall)) receives += count
    else if (EXECS.has(syscall)) execs += count
    else if (OPENS.has(syscall)) opens += count
  }
  const ofFiles = READS_OF_A_FILE * opens + READS_OF_A_START * execs
  const heard = Math.max(0, reads - ofFiles)
  const answered = receives + Math.min(heard, sends + writes)
  return { connects, sends, heard: receives + heard, answered }
}

function indexes(names: string): ReadonlySet<number> {
  return new Set(names.split(' ').map((name) => syscallIndexOf(name)!))
}
