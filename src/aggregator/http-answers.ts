/**
 * Answers of the HTTP side: JSON, errors, and compression. What is compressed holds no secret that
 * a stranger's text stands beside (there is no token in a body), so its length tells nothing.
 */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}
/** Less is sent as it is: the packet is one anyway. */
const COMPRESSED_FROM_BYTES = 1_024

export function jsonResponse(status: number, json: string): Response {
  return new Response(json, {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
  })
}

export function failure(status: number, code: string, message: string): Response {
  return jsonResponse(status, JSON.stringify({ error: { code, message } }))
}

export function comeBack(code: string, message: string): Response {
  const refused = failure(503, code, message)
  refused.headers.set('retry-after', '10')
  return refused
}

/** The answer as it is sent: without a body for HEAD, compressed, with the headers of every one. */
export async function finish(request: Request, response: Response): Promise<Response> {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.headers.set(name, value)
  if (request.method === 'HEAD') return new Response(null, response)
  const { headers, status } = response
  const type = headers.get('content-type') ?? ''
  if (type === 'text/event-stream' || status === 304) return response
  headers.append('vary', 'accept-encoding')
  if (!/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) return response
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (bytes.length < COMPRESSED_FROM_BYTES) return new Response(bytes, { status, headers })
  headers.set('content-encoding', 'gzip')
  return new Response(Bun.gzipSync(bytes, { level: 6 }), { status, headers })
}
