/**
 * Brokers for tests: aedes in this process (MQTT 3.1.1), mosquitto as a child (MQTT 5;
 * scripts/test.sh installs it), and a bare socket for what no honest broker does.
 */
import { writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Aedes } from 'aedes'

export interface TestBroker {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export interface AedesBroker extends TestBroker {
  readonly aedes: Aedes
  /** All messages that clients published, oldest first. */
  readonly published: { topic: string; payload: Uint8Array; retain: boolean }[]
  publish(topic: string, payload: Uint8Array | string, retain?: boolean): Promise<void>
  /** Drops every connection, as a crash does. */
  dropAll(): void
}

export async function startAedes(port = 0): Promise<AedesBroker> {
  const aedes = await Aedes.createBroker()
  const published: AedesBroker['published'] = []
  aedes.on('publish', (packet, client) => {
    if (client === null) return
    published.push({
      topic: packet.topic,
      payload: Buffer.from(packet.payload),
      retain: packet.retain,
    })
  })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    aedes.handle(socket)
  })
  const at = await listen(server, port)
  const dropAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `mqtt://127.0.0.1:${at}`,
    port: at,
    aedes,
    published,
    dropAll,
    publish: (topic, payload, retain = false) =>
      new Promise((resolve, reject) => {
        const packet = {
          cmd: 'publish',
          topic,
          payload: Buffer.from(payload),
          qos: 1,
          retain,
          dup: false,
        } as const
        aedes.publish(packet, (error) => (error ? reject(error) : resolve()))
      }),
    close: async () => {
      dropAll()
      await new Promise((resolve) => server.close(resolve))
      await new Promise<void>((resolve) => aedes.close(() => resolve()))
    },
  }
}

/** A server that does with each connection whatever the test says. */
export async function startRawServer(onSocket: (socket: Socket) => void): Promise<TestBroker> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  const port = await listen(server, 0)
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const mosquitto = Bun.which('mosquitto', { PATH: `${process.env.PATH}:/usr/sbin` })

export interface Mosquitto extends TestBroker {
  kill(): Promise<void>
  start(): Promise<void>
}

/**
 * @param settings further lines of its configuration; `allow_anonymous true` unless they say
 *   otherwise
 */
export async function startMosquitto(
  directory: string,
  settings: string[] = [],
): Promise<Mosquitto> {
  const port = await freePort()
  const anonymous = settings.some((line) => line.startsWith('allow_anonymous'))
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(anonymous ? [] : ['allow_anonymous true']),
    ...settings,
  ]
  // Started by root it would become another user, who cannot read the test's files.
  if (process.geteuid?.() === 0) lines.push('user root')
  const path = join(directory, `mosquitto-${port}.conf`)
  writeFileSync(path, `${lines.join('\n')}\n`)
  let child: Bun.Subprocess | undefined
  const kill = async () => {
    child?.kill('SIGKILL')
    await child?.exited
    child = undefined
  }
  const start = async () => {
    child = Bun.spawn([mosquitto!, '-c', path], { stdout: 'ignore', stderr: 'ignore' })
    while (!(await accepts(port))) await Bun.sleep(5)
  }
  await start()
  return { url: `mqtt://127.0.0.1:${port}`, port, kill, start, close: kill }
}

/** A port nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server, 0)
  await new Promise((resolve) => server.close(resolve))
  return port
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
    socket.end()
    return true
  } catch {
    return false
  }
}
