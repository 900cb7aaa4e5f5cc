/**
 * The aggregator's HTTP side: page, API, events, metrics, health, and the actions of operators.
 *
 * Every answer carries the headers that make it harmless: no script but our own file, no framing,
 * no guessing of types, nothing for other origins (there is no CORS). `http-guard.ts` says who may
 * ask and who may change something.
 *
 * Does not promise: rights by site. An operator acts on every host that the store has.
 */
import { defined } from '../domain/defined.ts'
import type { AgentError } from '../domain/error.ts'
import { REQUEST_BYTES_MAX } from '../domain/limits.ts'
import { listenError } from '../platform/listen-error.ts'
import { METRICS_TYPE } from '../wire/metrics-text.ts'
import type { Authenticate } from './access.ts'
import { isActionPath } from './actions.ts'
import { BadParameter } from './api-parameters.ts'
import { Enrolment } from './enrolment.ts'
import type { EventHub } from './events.ts'
import { comeBack, failure, finish, jsonResponse } from './http-answers.ts'
import { isCrossSite, isJson, isLoopback, isServedName, type Login, loginOf } from './http-guard.ts'
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
  /** Does what an operator asks, and answers with JSON; or with nothing where there is no such thing. */
  readonly act: (url: URL, body: string, actor: string) => Promise<string | undefined>
  /** Answers those who ask for a certificate, without a login; absent: there are none. */
  readonly enrolment?: Pick<Enrolment, 'answer'>
  /** Told of each request that was refused, by reason. */
  readonly onRefused: (reason: string) => void
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

export function startHttp(options: HttpOptions): HttpServer {
  const loopback = isLoopback(options.host)
  let server: ReturnType<typeof Bun.serve>
  try {
    server = Bun.serve({
      hostname: options.host,
      port: options.port,
      ...defined({ tls: options.tls }),
      idleTimeout: 30,
      maxRequestBodySize: REQUEST_BYTES_MAX,
      async fetch(request, bun) {
        const url = new URL(request.url)
        // An event stream is quiet for as long as nothing happens.
        if (url.pathname === '/api/v1/events') bun.timeout(request, 0)
        const address = bun.requestIP(request)?.address ?? ''
        return finish(request, await answer(options, loopback, request, url, address))
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
  if (!isServedName(options.names, loopback, request.headers.get('host')))
    return refuse(
      options,
      421,
      'wrong-host',
      'The page is not served under this name: add it with --http-names',
    )
  const { enrolment } = options
  if (enrolment !== undefined && Enrolment.isPath(url.pathname))
    return enrol(options, enrolment, request, url.pathname)
  const reads = request.method === 'GET' || request.method === 'HEAD'
  if (!reads && !(request.method === 'POST' && isActionPath(url))) {
    const refused = failure(405, 'method-not-allowed', 'Only GET and HEAD are answered here')
    refused.headers.set('allow', 'GET, HEAD')
    return refused
  }
  if (reads && url.pathname === '/healthz') return health(options.failing())
  const login = await signIn(options, request, address)
  if (login instanceof Response) return login
  try {
    return reads
      ? await answerRead(options, request, url, login)
      : await answerChange(options, request, url, login)
  } catch (error) {
    if (error instanceof BadParameter) return failure(400, 'bad-parameter', error.message)
    if (error instanceof TooBusy) return comeBack('too-busy', 'Too many requests are waiting')
    throw error
  }
}

async function enrol(
  { onRefused }: HttpOptions,
  enrolment: Pick<Enrolment, 'answer'>,
  request: Request,
  path: string,
): Promise<Response> {
  const reply = await enrolment.answer(request.method, path, await request.bytes())
  if (reply === undefined) return failure(405, 'method-not-allowed', 'This is not answered here')
  const { status, type, body } = reply
  if (status === 403) onRefused('enrolment')
  return new Response(body, {
    status,
    headers: { 'content-type': type, 'cache-control': 'no-store' },
  })
}

/** @returns undefined where no login is needed */
async function signIn(
  options: HttpOptions,
  request: Request,
  address: string,
): Promise<Login | undefined | Response> {
  if (options.authenticate === undefined) return undefined
  const login = await loginOf(options.authenticate, request, address)
  if (typeof login === 'object') return login
  if (login === 'wrong') options.onRefused('wrong-password')
  const refused = failure(401, 'not-authenticated', 'A name and a password are needed')
  refused.headers.set('www-authenticate', 'Basic realm="callsign", charset="UTF-8"')
  return refused
}

async function answerRead(
  options: HttpOptions,
  request: Request,
  url: URL,
  login: Login | undefined,
): Promise<Response> {
  if (url.pathname === '/metrics')
    return new Response(await options.metrics(), {
      headers: { 'content-type': METRICS_TYPE, 'cache-control': 'no-store' },
    })
  if (url.pathname === '/api/v1/events') return events(options.events, request)
  if (url.pathname === '/api/v1/me')
    return jsonResponse(
      200,
      JSON.stringify({ name: login?.name ?? null, mayAct: login?.mayAct ?? false }),
    )
  if (url.pathname.startsWith('/api/')) {
    const json = await options.api(url)
    return json === undefined ? failure(404, 'not-found', 'Not found') : jsonResponse(200, json)
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

/** A request that changes something: of our own page or a program, by an operator, as JSON. */
async function answerChange(
  options: HttpOptions,
  request: Request,
  url: URL,
  login: Login | undefined,
): Promise<Response> {
  if (isCrossSite(request))
    return refuse(options, 403, 'cross-site', 'The request comes from another site')
  if (login === undefined)
    return refuse(
      options,
      403,
      'not-signed-in',
      'Actions need a login: start the aggregator with --http-password-file',
    )
  if (!login.mayAct)
    return refuse(options, 403, 'not-allowed', `"${login.name}" may read, and change nothing`)
  if (!isJson(request))
    return refuse(options, 415, 'not-json', 'The content type must be application/json')
  const json = await options.act(url, await request.text(), login.name)
  return json === undefined ? failure(404, 'not-found', 'Not found') : jsonResponse(201, json)
}

function refuse(options: HttpOptions, status: number, code: string, message: string): Response {
  options.onRefused(code)
  return failure(status, code, message)
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

function httpListenError({ host, port }: HttpOptions, cause: unknown): AgentError {
  return listenError('HTTP', host, port, cause)
}
