/**
 * Alerts as syslog messages [RFC 5424] to a server: by UDP [RFC 5426], or by TCP and TLS with a
 * length before each message [RFC 6587 3.4.1, RFC 5425]. Facility authpriv; the severity follows
 * the alert's.
 *
 * A server that is away is tried again with growing pauses; meanwhile messages wait in a bounded
 * queue, and at the bound the oldest goes, counted. UDP promises nothing: what is sent is taken for
 * delivered.
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { SYSLOG_QUEUE_MAX, SYSLOG_RETRY_MS } from '../domain/limits.ts'
import { log } from '../platform/log.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import { reasons, sentence, who } from './alert-words.ts'
import type { Output } from './output.ts'

export interface SyslogTarget {
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly host: string
  readonly port: number
  /** Certificates that a TLS server is checked against (PEM); the system's where absent. */
  readonly ca?: string
}

const PORTS = { udp: 514, tcp: 601, tls: 6514 } as const
const AUTHPRIV = 10
/** [RFC 5424 6.2.1] */
export const SEVERITIES: Readonly<Record<Severity, number>> = {
  critical: 2,
  high: 3,
  medium: 4,
  low: 5,
}
/** The number that RFC 5612 sets aside for documentation: we have none of our own. */
const DATA_ID = 'callsign@32473'

/** @throws Error with what is wrong with the address */
export function parseSyslogTarget(value: unknown): SyslogTarget {
  const url = typeof value === 'string' ? URL.parse(value) : null
  const transport = url?.protocol.slice(0, -1)
  if (url === null || (transport !== 'udp' && transport !== 'tcp' && transport !== 'tls'))
    throw new Error('not an address like udp://HOST[:PORT], tcp://… or tls://…')
  if (url.hostname === '') throw new Error('it names no host')
  const port = url.port === '' ? PORTS[transport] : Number(url.port)
  return { transport, host: url.hostname.replace(/^\[|\]$/g, ''), port }
}

/** One alert as a message, without framing. */
export function syslogMessage(alert: AlertMessage, pid: number): string {
  const priority = AUTHPRIV * 8 + SEVERITIES[alert.severity]
  const time = new Date(alert.time * 1000).toISOString()
  const data = Object.entries({
    ...{ id: alert.id, incident: alert.incident, kind: alert.kind, state: alert.state },
    ...{ severity: alert.severity, certainty: alert.certainty, site: alert.site },
    ...{ pid: String(alert.process.pid), name: alert.process.name },
    ...defined({ behaviour: alert.behaviour }),
  })
    .map(([name, value]) => `${name}="${value.replace(/["\\\]]/g, '\\$&')}"`)
    .join(' ')
  const words = `${who(alert)} ${sentence(alert)}; ${reasons(alert)}`
  const host = alert.host.replace(/[^\x21-\x7e]/g, '?').slice(0, 255)
  return `<${priority}>1 ${time} ${host} callsign ${pid} ${alert.kind} [${DATA_ID} ${data}] \uFEFF${words}`
}

export function syslogOutput(target: SyslogTarget): Output {
  const queue = target.transport === 'udp' ? new Datagrams(target) : new Stream(target)
  return {
    name: 'syslog',
    leavesHost: true,
    refused: queue.refused,
    take({ alerts }) {
      for (const alert of alerts) queue.put(syslogMessage(alert, process.pid))
    },
    close: () => queue.close(),
  }
}

class Datagrams {
  readonly refused: Record<string, number> = {}
  readonly #target: SyslogTarget
  readonly #socket = createSocket('udp4')

  constructor(target: SyslogTarget) {
    this.#target = target
    this.#socket.on('error', (error) => this.#count(error))
    this.#socket.unref()
  }

  put(message: string): void {
    const { port, host } = this.#target
    this.#socket.send(message, port, host, (error) => {
      if (error) this.#count(error)
    })
  }

  close(): void {
    this.#socket.close()
  }

  #count(error: Error): void {
    const code = 'code' in error ? String(error.code) : 'error'
    this.refused[code] = (this.refused[code] ?? 0) + 1
  }
}

class Stream {
  readonly refused: Record<string, number> = {}
  readonly #target: SyslogTarget
  readonly #waiting: string[] = []
  #socket: Socket | undefined
  #isConnected = false
  #retry: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #isClosed = false

  constructor(target: SyslogTarget) {
    this.#target = target
  }

  put(message: string): void {
    if (this.#waiting.length >= SYSLOG_QUEUE_MAX) {
      this.#waiting.shift()
      this.refused.full = (this.refused.full ?? 0) + 1
    }
    this.#waiting.push(`${Buffer.byteLength(message)} ${message}`)
    this.#flush()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    if (this.#isConnected) await new Promise<void>((resolve) => this.#socket!.end(() => resolve()))
    else this.#socket?.destroy()
    if (this.#waiting.length > 0) this.refused.closed = this.#waiting.length
  }

  #flush(): void {
    if (this.#isConnected)
      for (const message of this.#waiting.splice(0)) this.#socket!.write(message)
    else if (this.#socket === undefined && this.#retry === undefined) this.#connect()
  }

  #connect(): void {
    const { transport, host, port, ca } = this.#target
    const ready = () => {
      this.#isConnected = true
      this.#failures = 0
      this.#flush()
    }
    const socket =
      transport === 'tls'
        ? connectTls({ host, port, ...(ca === undefined ? {} : { ca: readFileSync(ca) }) }, ready)
        : connect({ host, port }, ready)
    socket.on('error', (error) => {
      if (this.#failures === 0)
        log.warn('Cannot reach the syslog server; alerts wait', {
          host,
          port,
          error: error.message,
        })
    })
    socket.on('close', () => {
      this.#socket = undefined
      this.#isConnected = false
      if (this.#isClosed) return
      const waitMs = Math.min(SYSLOG_RETRY_MS * 2 ** this.#failures++, 60 * SYSLOG_RETRY_MS)
      this.#retry = setTimeout(() => {
        this.#retry = undefined
        if (this.#waiting.length > 0) this.#connect()
      }, waitMs)
      this.#retry.unref()
    })
    this.#socket = socket
  }
}
