/**
 * Understands /proc/PID/net/tcp and tcp6 (and udp): whose end a socket is, and whether a process
 * listens on its local port. Pure. A connection without a listening socket is outgoing; that
 * distinguishes a reverse shell from a service.
 */
import type { Connection } from '../domain/process-facts.ts'

const ESTABLISHED = 0x01
const LISTEN = 0x0a

interface Socket {
  readonly localPort: number
  readonly remotePort: number
  readonly remote: string
  readonly isLoopback: boolean
}

export interface SocketTable {
  /** Established ones, by the number that descriptors show. */
  readonly established: ReadonlyMap<number, Socket>
  /** Numbers of the listening ones. */
  readonly listening: ReadonlySet<number>
  readonly listeningPorts: ReadonlySet<number>
}

/** @param texts of tcp and tcp6; a last line that was cut is left out */
export function parseSockets(texts: readonly string[]): SocketTable {
  const established = new Map<number, Socket>()
  const listening = new Set<number>()
  const listeningPorts = new Set<number>()
  for (const text of texts)
    for (const line of text.split('\n')) {
      // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
      const fields = line.trim().split(/\s+/)
      const [, local, remote, state] = fields
      const inode = Number(fields[9])
      if (local === undefined || remote === undefined || !(inode > 0)) continue
      const localPort = Number.parseInt(local.split(':')[1] ?? '', 16)
      const status = Number.parseInt(state ?? '', 16)
      if (status === LISTEN) {
        listening.add(inode)
        listeningPorts.add(localPort)
      } else if (status === ESTABLISHED) {
        const end = endOf(remote)
        if (end !== undefined) established.set(inode, { localPort, ...end })
      }
    }
  return { established, listening, listeningPorts }
}

/**
 * The other end of a UDP socket that has one. @param texts of /proc/PID/net/udp and udp6
 */
export function datagramOf(texts: readonly string[], inode: number): Connection | undefined {
  const socket = parseSockets(texts).established.get(inode)
  if (socket === undefined) return undefined
  const { remote, isLoopback } = socket
  return { remote, isLoopback, isOutgoing: true, isDatagram: true }
}

/** The connection that a socket's number stands for; undefined where it is none of TCP. */
export function connectionOf(table: SocketTable, inode: number): Connection | undefined {
  const socket = table.established.get(inode)
  if (socket === undefined) return undefined
  const isOutgoing = !table.listeningPorts.has(socket.localPort)
  const isDoubtful = isOutgoing && !isEphemeral(socket.localPort) && isEphemeral(socket.remotePort)
  return {
    remote: socket.remote,
    isLoopback: socket.isLoopback,
    isOutgoing,
    ...(isDoubtful ? { isDoubtful } : {}),
  }
}

/** Ports that a kernel gives to who connects without asking for one. */
function isEphemeral(port: number): boolean {
  return port >= 32_768
}

/**
 * "0100007F:1F90": the address in words of the machine's byte order, the port in plain hexadecimal.
 */
function endOf(text: string): Omit<Socket, 'localPort'> | undefined {
  const [hex = '', portHex = ''] = text.split(':')
  const port = Number.parseInt(portHex, 16)
  if (!/^([0-9A-F]{8}|[0-9A-F]{32})$/i.test(hex) || !Number.isInteger(port)) return undefined
  const bytes: number[] = []
  for (let word = 0; word < hex.length; word += 8)
    for (let at = 6; at >= 0; at -= 2)
      bytes.push(Number.parseInt(hex.slice(word + at, word + at + 2), 16))
  const isMapped =
    bytes.length === 16 &&
    bytes.slice(0, 10).every((b) => b === 0) &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff
  const four = bytes.length === 4 ? bytes : isMapped ? bytes.slice(12) : undefined
  if (four !== undefined)
    return { remote: `${four.join('.')}:${port}`, remotePort: port, isLoopback: four[0] === 127 }
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16))
  const isLoopback = bytes.slice(0, 15).every((b) => b === 0) && bytes[15] === 1
  const address = isLoopback ? '::1' : groups.join(':')
  return { remote: `[${address}]:${port}`, remotePort: port, isLoopback }
}
