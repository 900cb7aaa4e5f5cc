/**
 * Who is at the other end of a shell's standard streams: a TCP connection itself, the holder of its
 * terminal's master, or processes that its pipes lead to. Tells what is there; what it means is for
 * `detect/findings.ts`.
 */
import { defined } from '../domain/defined.ts'
import {
  PARENTS_MAX,
  RELAY_CANDIDATES_MAX,
  SOCKET_TABLE_BYTES_MAX,
  SOCKET_TABLES_MAX,
} from '../domain/limits.ts'
import type { Connection, Look, Network, Relay, Stream, Streams } from '../domain/process-facts.ts'
import { executableOf, look, streamOf } from './look.ts'
import type { Packages } from './packages.ts'
import { descriptorsOf, processTable, procLink, procStat, procText } from './proc-files.ts'
import { numberOfLink, type ProcStat } from './proc-text.ts'
import { Recent } from './recent.ts'
import { connectionOf, datagramOf, parseSockets, type SocketTable } from './sockets.ts'

/** More connections of one process say nothing more. */
const CONNECTIONS_TOLD = 8
/** Pipes may lead through so many others (cat, tee) to the one that holds the connection. */
const PIPE_HOPS = 3
const PASSES_ON = /^(cat|tail|head|dd|tee|pv|sed|awk|mawk|gawk|grep)$/

export async function streamsOf(
  pid: number,
  stat: ProcStat,
  { streams }: Look,
  packages: Packages,
): Promise<Streams> {
  const [input, output] = streams as [Stream, Stream]
  const connection =
    input.kind === 'unix' && input.id === output.id
      ? (connectionOf(socketsOf(pid), input.id) ?? datagramOf(datagramTexts(pid), input.id))
      : undefined
  const holders = connection === undefined ? holdersOf(pid, stat, [input, output]) : []
  const relays: Relay[] = []
  for (const { pid: holder, holds } of holders.slice(0, RELAY_CANDIDATES_MAX)) {
    const relay = await relayOf(holder, holds, packages)
    if (relay !== undefined) relays.push(relay)
  }
  const peers = connectionsOf(pid, descriptorsOf(pid)).map(({ remote }) => remote)
  return { relays, peers, ...defined({ connection }) }
}

/** Connections of one process, and whether it waits for others. */
export function networkOf(pid: number): Network {
  const links = descriptorsOf(pid)
  return {
    connections: connectionsOf(pid, links),
    isListening: listensAt(links, socketsOf(pid)),
  }
}

function listensAt(links: ReadonlyMap<number, string>, table: SocketTable): boolean {
  return [...links.values()].some((link) => table.listening.has(numberOfLink(link, 'socket') ?? -1))
}

/**
 * By network namespace. Shorter than the others: a shell is asked about within a second of its
 * connection.
 */
const socketTables = new Recent<SocketTable>(300, SOCKET_TABLES_MAX)

function socketsOf(pid: number): SocketTable {
  return socketTables.get(procLink(pid, 'ns/net') ?? `of ${pid}`, () =>
    parseSockets(
      ['net/tcp', 'net/tcp6'].map((file) => procText(pid, file, SOCKET_TABLE_BYTES_MAX) ?? ''),
    ),
  )
}

function datagramTexts(pid: number): string[] {
  return ['net/udp', 'net/udp6'].map((file) => procText(pid, file, SOCKET_TABLE_BYTES_MAX) ?? '')
}

function connectionsOf(pid: number, links: ReadonlyMap<number, string>): Connection[] {
  const connections: Connection[] = []
  const numbers = [...links.values()].map((link) => numberOfLink(link, 'socket'))
  for (const socket of new Set(numbers)) {
    if (socket === undefined) continue
    const connection = connectionOf(socketsOf(pid), socket)
    if (connection !== undefined) connections.push(connection)
    if (connections.length >= CONNECTIONS_TOLD) break
  }
  return connections
}

async function relayOf(
  pid: number,
  holds: Relay['holds'],
  packages: Packages,
): Promise<Relay | undefined> {
  const stat = procStat(pid)
  if (stat === undefined) return undefined
  const links = descriptorsOf(pid)
  const connections = connectionsOf(pid, links)
  // Without a connection there is no relay to look for.
  if (connections.length === 0) return undefined
  const table = socketsOf(pid)
  const numberOf = (descriptor: number) => numberOfLink(links.get(descriptor) ?? '', 'socket')
  const standard = [0, 1]
    .map(numberOf)
    .map((socket) => (socket === undefined ? undefined : connectionOf(table, socket)))
    .find((found) => found !== undefined)
  const { state } = await packages.program(pid, look(pid, stat))
  return {
    pid,
    name: stat.name,
    state,
    holds,
    isListening: listensAt(links, table),
    connections,
    ...defined({ executable: executableOf(pid), standard }),
  }
}

interface Holder {
  readonly pid: number
  readonly holds: Relay['holds']
}

function holdersOf(pid: number, stat: ProcStat, [input, output]: [Stream, Stream]): Holder[] {
  if (input.kind === 'pty') return terminalHolders(stat, input.id)
  // One socket for both, or one for each, as node gives its children.
  if (input.kind === 'unix' && output.kind === 'unix') return parentOf(stat)
  if (input.kind !== 'pipe' || output.kind !== 'pipe') return []
  const relays = pipeHolders(pid, stat, input.id, output.id)
  return relays.length > 0 ? relays : parentOf(stat)
}

function parentOf({ ppid }: ProcStat): Holder[] {
  return ppid > 1 ? [{ pid: ppid, holds: 'parent' }] : []
}

/** Ancestors that hold the terminal's master. */
function terminalHolders(stat: ProcStat, terminal: number): Holder[] {
  const holders: Holder[] = []
  let { ppid } = stat
  for (let hop = 0; hop < PARENTS_MAX && ppid > 1; hop++) {
    if (holdsMaster(ppid, terminal)) holders.push({ pid: ppid, holds: 'terminal' })
    ppid = procStat(ppid)?.ppid ?? 0
  }
  return holders
}

function holdsMaster(pid: number, terminal: number): boolean {
  for (const [descriptor, link] of descriptorsOf(pid)) {
    if (!/^\/dev\/(pts\/)?ptmx$/.test(link)) continue
    const info = procText(pid, `fdinfo/${descriptor}`, 1024) ?? ''
    if (Number(/^tty-index:\s*(\d+)$/m.exec(info)?.[1] ?? -1) === terminal) return true
  }
  return false
}

/** Reading all processes takes 10 ms at 600: pipelines of one second share it. */
const processes = new Recent<ReadonlyMap<number, ProcStat>>(1_000)

/**
 * Processes to which the shell's output leads and from which its input comes: one that is both
 * relays it, and so do two that are connected to the same place. Looked for in its session and
 * among its parent and siblings.
 */
function pipeHolders(pid: number, stat: ProcStat, input: number, output: number): Holder[] {
  const near: { pid: number; reads: Set<number>; writes: Set<number> }[] = []
  const related = [...processes.get('', processTable)].filter(
    ([candidate, other]) =>
      candidate !== pid &&
      (other.session === stat.session || other.ppid === stat.ppid || candidate === stat.ppid),
  )
  // What is started together has neighbouring numbers; a session may have hundreds of others.
  related.sort(([a], [b]) => Math.abs(a - pid) - Math.abs(b - pid))
  for (const [candidate, other] of related.slice(0, RELAY_CANDIDATES_MAX)) {
    // What a program reads that passes on may be named in its arguments: cat /tmp/f.
    const descriptors = PASSES_ON.test(other.name) ? [0, 1, 2, 3] : [0, 1, 2]
    const ends = descriptors.map((descriptor) => streamOf(candidate, descriptor))
    const pipe = (end: Stream | undefined) => (end?.kind === 'pipe' ? end.id : 0)
    near.push({
      pid: candidate,
      reads: new Set([pipe(ends[0]), pipe(ends[3])].filter((id) => id !== 0)),
      writes: new Set([pipe(ends[1]), pipe(ends[2])].filter((id) => id !== 0)),
    })
  }
  const reached = (from: number, step: 'forward' | 'backward'): Set<number> => {
    const pipes = new Set([from])
    const found = new Set<number>()
    for (let hop = 0; hop < PIPE_HOPS; hop++)
      for (const { pid: candidate, reads, writes } of near) {
        const touches = [...(step === 'forward' ? reads : writes)].some((id) => pipes.has(id))
        if (!touches || found.has(candidate)) continue
        found.add(candidate)
        for (const id of step === 'forward' ? writes : reads) pipes.add(id)
      }
    return found
  }
  const after = reached(output, 'forward')
  const before = reached(input, 'backward')
  const both = [...after].filter((candidate) => before.has(candidate))
  if (both.length > 0) return both.map((relay) => ({ pid: relay, holds: 'pipes' }))
  if (after.size === 0 || before.size === 0) return []
  return [...after, ...before].map((relay) => ({ pid: relay, holds: 'half' }))
}
