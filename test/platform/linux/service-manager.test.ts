import { afterEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { networkHint, serviceManager } from '../../../src/platform/linux/service-manager.ts'
import { temporaryDirectories } from '../../support/temporary.ts'

const directory = temporaryDirectories()
const receivers: Bun.Subprocess[] = []
afterEach(() => {
  for (const receiver of receivers.splice(0)) receiver.kill()
})

/** Bun has no datagrams on Unix sockets: Python receives, and says what it got, a line each. */
async function receive(path: string) {
  const program = `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(${JSON.stringify(path)}.replace("@","\\0",1)); print("bound",flush=True)
while True: print(s.recv(4096).decode(),flush=True)`
  const receiver = Bun.spawn(['python3', '-c', program], { stdout: 'pipe', stderr: 'inherit' })
  receivers.push(receiver)
  const lines = receiver.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  const next = async () => {
    while (!rest.includes('\n')) rest += (await lines.read()).value ?? ''
    const end = rest.indexOf('\n')
    const line = rest.slice(0, end)
    rest = rest.slice(end + 1)
    return line
  }
  expect(await next()).toBe('bound')
  return next
}

describe.skipIf(Bun.which('python3') === null)('serviceManager()', () => {
  test.each([['a path'], ['an abstract name']])('tells systemd by %s', async (kind) => {
    const path =
      kind === 'a path'
        ? join(directory(), 'notify')
        : `@callsign-test-${process.pid}-${Date.now()}`
    const next = await receive(path)
    const manager = serviceManager({ NOTIFY_SOCKET: path })
    manager.ready()
    expect(await next()).toBe('READY=1')
    // A ping every five seconds is enough, however often it is asked for.
    for (const now of [1_000, 2_000, 6_000, 6_001]) manager.alive(now)
    manager.stopping()
    expect([await next(), await next(), await next()]).toEqual([
      ...['WATCHDOG=1', 'WATCHDOG=1', 'STOPPING=1'],
    ] as never)
  })

  test.each([[undefined], ['relative'], [`/${'x'.repeat(200)}`], ['/no/such/socket']])(
    'does nothing where NOTIFY_SOCKET is %p',
    (path) => {
      const manager = serviceManager({ NOTIFY_SOCKET: path })
      manager.ready()
      manager.alive(1)
      manager.stopping()
    },
  )
})

test('networkHint() names the unit where there is one', () => {
  expect(networkHint({})).toBeUndefined()
  expect(networkHint({ NOTIFY_SOCKET: '/run/notify' })).toContain('IPAddressAllow=')
})
