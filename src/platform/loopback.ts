/**
 * TCP on 127.0.0.1 for simulations: a listener that says lines to whoever connects, and connections
 * that may fail.
 */
import { connect, createServer, type Socket } from 'node:net'

const ADDRESS = '127.0.0.1'
const SAY_EVERY_MS = 600
const CONNECT_MS = 500

export interface QuietListener {
  readonly port: number
  close(): void
}

/** @param lines said to each connection in turn, over and over; what comes back is thrown away */
export function listenQuietly(lines: readonly string[]): Promise<QuietListener> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let next = 0
    const timer = setInterval(() => {
      if (lines.length > 0) socket.write(lines[next++ % lines.length]!)
    }, SAY_EVERY_MS)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      sockets.delete(socket)
    })
    socket.resume()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, ADDRESS, () => {
      const at = server.address()
      resolve({
        port: typeof at === 'object' && at !== null ? at.port : 0,
        close() {
          for (const socket of sockets) socket.destroy()
          server.close()
        },
      })
    })
  })
}

/** Connects and closes; with `keep` the open connection. Undefined if no socket listens. */
export function connectQuietly(
  port: number,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: ADDRESS, timeout: CONNECT_MS })
    const end = (connected: boolean) => {
      if (!keep || !connected) socket.destroy()
      resolve(keep && connected ? socket : undefined)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.on('error', () => end(false))
  })
}
