/**
 * The aggregator's HTTP side: page, API, events, metrics, health. It only reads.
 *
 * Every answer carries the headers that make it harmless: no script but our own file, no framing,
 * no guessing of types, nothing for other origins (there is no CORS). The Host header must be an
 * address, this host's name or one that was given; on a loopback address, its name. Otherwise any
 * page in the operator's browser could read the fleet by giving its own name a second address (DNS
 * rebinding).
 *
 * Does not promise: users and roles. A password file protects everything; use a proxy for anything
 * finer.
 */
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { defined } from '../domain/defined.ts'
import type { AgentError } from '../domain/error.ts'
import { listenError } from '../platform/mqtt/broker.ts'
import type { Authenticate } from './access.ts'
import { BadParameter } from './api.ts'
import type { EventHub } from './events.ts'
import { METRICS_TYPE } from './metrics.ts'
import type { PageFiles } from './page.ts'
import { TooBusy } from './store/reader-thread.ts'

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly authenticate?: Authenticate
  /** Under which it is served beyond loopback, beside addresses and the host's own name. */
  readonly names: readonly string[]
  /** Answers an address of the API with JSON, or with nothing. */
  readonly api: (url: URL) => Promise<string | undefined>
  readonly events: EventHub
  readonly page: PageFiles
  readonly metrics: () => Promise<string>
  /** Why the aggregator cannot do its work; undefined while it can. */
  readonly failing: () => string | undefined
}

export interface HttpServer {
  readonly host: string
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

export function startHttp(options: HttpOptions): HttpServer {
  const loopback = isLoopback(options.host)
  let server: ReturnType<typeof Bun.serve>
  try {
    server = Bun.serve({
      hostname: options.host,
      port: options.port,
      ...defined({ tls: options.tls }),
      idleTimeout: 30,
      maxRequestBodySize: 1_024,
      async fetch(request, bun) {
        const url = new URL(request.url)
        // An event stream is quiet for as long as nothing happens.
        if (url.pathname === '/api/v1/events') bun.timeout(request, 0)
        const address = bun.requestIP(request)?.address ?? ''
        const response = await answer(options, loopback, request, url, address)
        for (const [name, value] of Object.entries(SECURITY_HEADERS))
          response.headers.set(name, value)
        return request.method === 'HEAD'
          ? new Response(null, { status: response.status, headers: response.headers })
          : response
      },
      error: () => failure(500, 'internal', 'The aggregator failed to answer'),
    })
  } catch (cause) {
    throw httpListenError(options, cause)
  }
  const port = server.port ?? options.port
  const name = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    host: options.host,
    port,
    url: `${options.tls === undefined ? 'http' : 'https'}://${name}:${port}`,
    close: () => server.stop(true),
  }
}

async function answer(
  options: HttpOptions,
  loopback: boolean,
  request: Request,
  url: URL,
  address: string,
): Promise<Response> {
  if (!isServed(options, loopback, request.headers.get('host')))
    return failure(
      421,
      'wrong-host',
      'The page is not served under this name: --http-names NAME adds one',
    )
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const refused = failure(405, 'method-not-allowed', 'Only GET and HEAD are answered here')
    refused.headers.set('allow', 'GET, HEAD')
    return refused
  }
  if (url.pathname === '/healthz') return health(options.failing())
  if (
    options.authenticate !== undefined &&
    !(await mayRead(options.authenticate, request, address))
  ) {
    const refused = failure(401, 'not-authenticated', 'A name and a password are needed')
    refused.headers.set('www-authenticate', 'Basic realm="callsign", charset="UTF-8"')
    return refused
  }
  if (url.pathname === '/metrics')
    return new Response(await options.metrics(), {
      headers: { 'content-type': METRICS_TYPE, 'cache-control': 'no-store' },
    })
  if (url.pathname === '/api/v1/events') return events(options.events, request)
  if (url.pathname.startsWith('/api/')) {
    try {
      const json = await options.api(url)
      return json === undefined ? failure(404, 'not-found', 'Not found') : jsonResponse(200, json)
    } catch (error) {
      if (error instanceof BadParameter) return failure(400, 'bad-parameter', error.message)
      if (error instanceof TooBusy) return comeBack('too-busy', 'Too many requests are waiting')
      throw error
    }
  }
  const file = options.page.get(url.pathname)
  if (file === undefined) return failure(404, 'not-found', 'There is no such page')
  if (request.headers.get('if-none-match') === file.etag)
    return new Response(null, { status: 304, headers: { etag: file.etag } })
  return new Response(file.bytes, {
    headers: {
      'content-type': file.type,
      etag: file.etag,
      'cache-control': url.pathname === '/' ? 'no-cache' : 'public, max-age=31536000, immutable',
    },
  })
}

function events(hub: EventHub, request: Request): Response {
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
  if (request.method === 'HEAD') return new Response(null, { headers })
  const stream = hub.open(request.headers.get('last-event-id'))
  if (stream === undefined) return comeBack('too-many-streams', 'Too many event streams are open')
  return new Response(stream, { headers })
}

function health(failing: string | undefined): Response {
  return failing === undefined
    ? jsonResponse(200, '{"status":"ok"}')
    : jsonResponse(503, JSON.stringify({ status: 'failing', why: failing }))
}

function comeBack(code: string, message: string): Response {
  const refused = failure(503, code, message)
  refused.headers.set('retry-after', '10')
  return refused
}

function failure(status: number, code: string, message: string): Response {
  return jsonResponse(status, JSON.stringify({ error: { code, message } }))
}

function jsonResponse(status: number, json: string): Response {
  return new Response(json, {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
  })
}

async function mayRead(
  authenticate: Authenticate,
  request: Request,
  address: string,
): Promise<boolean> {
  const [, encoded] = /^Basic ([\w+/=-]+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  if (encoded === undefined) return false
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return (
    colon > 0 &&
    (await authenticate(text.slice(0, colon), text.slice(colon + 1), address)) !== undefined
  )
}

/** @param host an address to listen at, not a header */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function isServed({ names }: HttpOptions, loopback: boolean, header: string | null): boolean {
  const name = (header ?? '').replace(/:\d+$/, '').toLowerCase()
  if (name === 'localhost' || name === '[::1]' || isLoopback(name)) return true
  if (loopback) return false
  const own = hostname().toLowerCase()
  return (
    isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 ||
    name === own ||
    name === own.split('.')[0] ||
    names.some((one) => one.toLowerCase() === name)
  )
}

function httpListenError({ host, port }: HttpOptions, cause: unknown): AgentError {
  return listenError('HTTP', host, port, cause)
}
