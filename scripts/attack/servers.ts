/** What attackers talk to on 127.0.0.1: somebody who types into a shell, and a pool of miners. */

export interface Served {
  readonly port: number
  stop(): void
}

const TYPED = ['id', 'uname -a', 'ls -la /etc', 'cat /etc/passwd', 'ps', 'df', 'ls /home', 'env']

/** Types a command each second. */
export function typist(): Served {
  const timers = new Set<Timer>()
  const server = Bun.listen({
    ...{ hostname: '127.0.0.1', port: 0 },
    socket: {
      open(socket) {
        let next = 0
        timers.add(setInterval(() => socket.write(`${TYPED[next++ % TYPED.length]}\n`), 1_000))
      },
      data() {},
      error() {},
    },
  })
  return {
    port: server.port,
    stop() {
      for (const timer of timers) clearInterval(timer)
      server.stop(true)
    },
  }
}

/** Gives work and accepts every share. */
export function pool(): Served {
  const server = Bun.listen({
    ...{ hostname: '127.0.0.1', port: 0 },
    socket: {
      open: (socket) => void socket.write('{"id":null,"method":"mining.notify","params":["x"]}\n'),
      data: (socket) => void socket.write('{"id":4,"result":true,"error":null}\n'),
      error() {},
    },
  })
  return { port: server.port, stop: () => server.stop(true) }
}
