/**
 * A unix socket for those who may look at the agent while it runs: one side sends lines to whoever is
 * connected, the other reads them. The file has mode 0600, so it is for the agent's own user and root.
 *
 * The sender never waits and never listens: what a viewer says is thrown away, a viewer that does not read misses
 * lines and not the agent its second. Paths that are too long for a socket's name (107 bytes) are reached through
 * /proc/self/fd.
 */
import { closeSync, constants, openSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Socket } from 'bun'

const NAME_BYTES = 107

export interface Broadcast {
  readonly viewers: number
  /** A viewer that has not read what came before misses it. */
  send(line: string): void
  close(): void
}

interface Viewer {
  /** What it has not taken yet of the last line. */
  rest: Uint8Array
}

/** Takes over what a killed agent left there: the caller holds the directory's lock. */
export function openBroadcast(path: string, viewersMax: number): Broadcast {
  unlinkIfThere(path)
  const viewers = new Map<Socket<Viewer>, Viewer>()
  const leave = (socket: Socket<Viewer>) => void viewers.delete(socket)
  // Nobody may connect between bind(2) and chmod(2): the mode is right from the start.
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
 * Lines as they come, until the sender closes or the signal.
 * @throws what connect(2) says; Error where a line is longer than `lineBytesMax`
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
