/**
 * Answers GET /metrics on a loopback address, and nothing else: no other path, no other method, no
 * Host header but a loopback name (a page in a browser of this host could else read it under a name
 * of its own). Without a password: on loopback every user of the host may read it; the metrics hold
 * no names of processes.
 */
import { AgentError } from '../domain/error.ts'

export interface MetricsListener {
  readonly url: string
  close(): Promise<void>
}

/**
 * @param address HOST:PORT; port 0 for any
 * @param text asked at each request
 * @throws AgentError ERR_CONFIG where the address cannot be used
 */
export function openMetricsListener(
  address: string,
  type: string,
  text: () => string,
): MetricsListener {
  const colon = address.lastIndexOf(':')
  const name = address.slice(0, colon)
  let server: Bun.Server<undefined>
  try {
    server = Bun.serve({
      hostname: name.replace(/^\[(.*)\]$/, '$1'),
      port: Number(address.slice(colon + 1)),
      idleTimeout: 10,
      maxRequestBodySize: 0,
      fetch(request) {
        if (!LOOPBACK_NAME.test(request.headers.get('host') ?? '')) return refusal(421)
        if (new URL(request.url).pathname !== '/metrics') return refusal(404)
        if (request.method !== 'GET' && request.method !== 'HEAD') return refusal(405)
        return new Response(text(), {
          headers: { 'content-type': type, 'x-content-type-options': 'nosniff' },
        })
      },
      error: () => refusal(500),
    })
  } catch (cause) {
    throw new AgentError('ERR_CONFIG', `Cannot listen for metrics at "${address}": ${cause}`, {
      hint: 'Another program may use the port: give another one with --metrics 127.0.0.1:PORT',
      cause,
    })
  }
  return { url: `http://${name}:${server.port}/metrics`, close: () => server.stop(true) }
}

const LOOPBACK_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

function refusal(status: number): Response {
  return new Response(null, { status })
}
