/**
 * Events as they happen, one stream for all tabs: a shared worker holds the connection, because a
 * browser has six for one server. The worker is this same script (main.ts). Where a browser has no
 * shared workers, each tab has a stream of its own.
 */

export interface Hello {
  readonly version: string
  readonly broker: string
}

export type FeedMessage =
  | { readonly kind: 'hello'; readonly hello: Hello }
  /** Events may have been missed: ask anew. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'lost' }
  /** What the store has changed: JSON of the API. */
  | { readonly kind: 'alert' | 'host' | 'action'; readonly data: unknown }

type Tell = (message: FeedMessage) => void

const PAUSE_MS = 3_000
const EVENTS = ['alert', 'host', 'action'] as const

/** @param script address of this program, for the worker */
export function listen(tell: Tell, script: string): void {
  if (typeof SharedWorker === 'undefined') {
    follow(tell)
    return
  }
  const worker = new SharedWorker(script, { type: 'module', name: 'callsign-events' })
  worker.port.onmessage = ({ data }: MessageEvent<FeedMessage>) => tell(data)
  worker.onerror = () => follow(tell)
  worker.port.start()
  addEventListener('pagehide', () => worker.port.postMessage('gone'))
}

/** The worker's side. */
export function serveFeed(scope: { onconnect: ((event: MessageEvent) => void) | null }): void {
  const ports = new Set<MessagePort>()
  let state: FeedMessage | undefined
  follow((message) => {
    if (message.kind === 'hello' || message.kind === 'lost') state = message
    for (const port of ports) port.postMessage(message)
  })
  scope.onconnect = ({ ports: [port] }) => {
    if (port === undefined) return
    ports.add(port)
    port.onmessage = () => ports.delete(port)
    if (state !== undefined) port.postMessage(state)
  }
}

/** The browser reconnects where it can; where it gives up (a 5xx, a proxy), we do. */
function follow(tell: Tell, again = false): void {
  const source = new EventSource('/api/v1/events')
  let seen = again
  source.addEventListener('hello', (event) => {
    if (seen) tell({ kind: 'reset' })
    seen = true
    tell({ kind: 'hello', hello: JSON.parse(event.data) })
  })
  source.addEventListener('reset', () => tell({ kind: 'reset' }))
  for (const kind of EVENTS)
    source.addEventListener(kind, (event) => tell({ kind, data: JSON.parse(event.data) }))
  source.addEventListener('error', () => {
    tell({ kind: 'lost' })
    if (source.readyState !== EventSource.CLOSED) return
    source.close()
    setTimeout(() => follow(tell, true), PAUSE_MS)
  })
}
