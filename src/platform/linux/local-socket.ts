/**
 * A unix socket for live-view clients: one side sends lines to all connected clients, the other
 * reads them. The file has mode 0600, so only the agent's user and root can connect.
 *
 * The sender never waits and ignores input: a client that does not read misses lines and does not
 * delay the agent. Paths that are too long for a socket name (107 bytes) are used through
 * /proc/self/fd.
 */
import { closeSync, constants, openSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Socket } from 'bun'

const NAME_BYTES = 107

export interface Broadcast {
  readonly viewers: number
  /** A client that has not read the previous line misses this one. */
  send(line: string): void
  close(): void
}

interface Viewer {
  /** The unsent rest of the last line. */
  rest: Uint8Array
}

/** Replaces the socket of a killed agent: the caller holds the directory's lock. */
export function openBroadcast(path: string, viewersMax: number): Broadcast {
  unlinkIfThere(path)
  const viewers = new Map<Socket<Viewer>, Viewer>()
  const leave = (socket: Socket<Viewer>) => void viewers.delete(socket)
  // umask, because a client could connect between bind(2) and chmod(2).
  const umask = process.umask(0o177)
  const short = shortName(path)
  try {
    const server = Bun.listen<Viewer>({
      unix: short.name,
      socket: {
        open(socket) {
          if (viewers.size >= viewersMax) {
            socket.end()
            return
          }
          viewers.set(socket, { rest: new Uint8Array(0) })
        },
        data() {},
        drain(socket) {
          const viewer = viewers.get(socket)
          if (viewer !== undefined) write(socket, viewer, viewer.rest)
        },
        close: leave,
        end: leave,
        error: leave,
      },
    })
    server.unref()
    return {
      get viewers() {
        return viewers.size
      },
      send(line) {
        const bytes = new TextEncoder().encode(`${line}\n`)
        for (const [socket, viewer] of viewers)
          if (viewer.rest.length === 0) write(socket, viewer, bytes)
      },
      close() {
        server.stop(true)
        unlinkIfThere(path)
      },
    }
  } finally {
    process.umask(umask)
    short.release()
  }
}

function write(socket: Socket<Viewer>, viewer: Viewer, bytes: Uint8Array): void {
  const taken = Math.max(0, socket.write(bytes))
  viewer.rest = bytes.subarray(taken)
}

/**
 * Lines as they arrive, until the sender closes or the signal.
 * @throws the error of connect(2); Error for a line longer than `lineBytesMax`
 */
export async function* readBroadcast(
  path: string,
  lineBytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const short = shortName(path)
  const socket = createConnection(short.name)
  const lines: string[] = []
  const decoder = new TextDecoder()
  let text = ''
  let over = false
  let error: unknown
  let wake = () => {}
  socket.on('data', (chunk: Uint8Array) => {
    text += decoder.decode(chunk, { stream: true })
    const whole = text.split('\n')
    text = whole.pop()!
    if ([text, ...whole].some((line) => line.length > lineBytesMax))
      socket.destroy(new Error('a line is longer than it may be'))
    else lines.push(...whole)
    wake()
  })
  socket.on('error', (cause) => {
    error = cause
  })
  socket.on('close', () => {
    over = true
    wake()
  })
  const stop = () => socket.destroy()
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  try {
    while (true) {
      yield* lines.splice(0)
      if (over) break
      // Woken by whatever comes first; what came meanwhile is not waited for.
      if (lines.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    if (error !== undefined && !signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    socket.destroy()
    short.release()
  }
}

function shortName(path: string): { name: string; release(): void } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { name: path, release() {} }
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return {
    name: `/proc/self/fd/${directory}/${basename(path)}`,
    release: () => closeSync(directory),
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
