/**
 * Word to systemd that this service is ready, alive or ending [sd_notify(3)]: datagrams to the
 * socket that NOTIFY_SOCKET names. Does nothing where there is none. A pipeline that hangs stops
 * the pings, and the service is restarted.
 */
import { addressOf, CLOCK_MONOTONIC, checked, loadLibc, nativeBytes, readClock } from './libc.ts'

const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
/** Of sun_path in sockaddr_un, its ending zero included. */
const SUN_PATH_BYTES = 108
const PING_EVERY_MS = 5_000

export interface ServiceManager {
  ready(): void
  /** Settings are read again; `ready` tells that it is done. */
  reloading(): void
  /** As often as it pleases the caller: a ping goes out every few seconds. */
  alive(nowMs: number): void
  stopping(): void
}

export function serviceManager(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ServiceManager {
  const path = environment.NOTIFY_SOCKET
  const send = path === undefined || !/^[@/]/.test(path) ? undefined : openSender(path)
  let pingedMs = Number.NEGATIVE_INFINITY
  return {
    ready: () => send?.('READY=1'),
    // systemd orders this before the reload's end by the time [sd_notify(3)].
    reloading: () =>
      send?.(`RELOADING=1\nMONOTONIC_USEC=${Math.floor(readClock(CLOCK_MONOTONIC) * 1000)}`),
    alive(nowMs) {
      if (send === undefined || nowMs - pingedMs < PING_EVERY_MS) return
      pingedMs = nowMs
      send('WATCHDOG=1')
    },
    stopping: () => send?.('STOPPING=1'),
  }
}

/**
 * What to try where another machine gives no answer: our unit lets packets to private networks only
 * out, and drops others in silence.
 */
export function networkHint(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  return environment.NOTIFY_SOCKET === undefined
    ? undefined
    : 'The service reaches private networks only; name others by IPAddressAllow= ("systemctl edit callsign")'
}

function openSender(path: string): ((state: string) => void) | undefined {
  const encoded = new TextEncoder().encode(path)
  if (encoded.length >= SUN_PATH_BYTES) return undefined
  const libc = loadLibc()
  const descriptor = checked(libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0))
  if (descriptor < 0) return undefined
  const address = nativeBytes(2 + encoded.length)
  new DataView(address.buffer).setUint16(0, AF_UNIX, true)
  address.set(encoded, 2)
  // An @ stands for the zero of an abstract name.
  if (path.startsWith('@')) address[2] = 0
  return (state) => {
    const message = nativeBytes(state.length)
    message.set(new TextEncoder().encode(state))
    libc.sendto(
      descriptor,
      addressOf(message),
      message.length,
      0,
      addressOf(address),
      address.length,
    )
  }
}
