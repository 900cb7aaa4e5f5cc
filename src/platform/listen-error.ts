/** Why a listener (MQTT, HTTP) could not be opened, with the next step. */
import { AgentError } from '../domain/error.ts'

/** @param what listens: "MQTT", "HTTP" */
export function listenError(what: string, host: string, port: number, cause: unknown): AgentError {
  const code = (cause as { code?: string } | undefined)?.code
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`
  if (code === 'EADDRINUSE')
    return new AgentError('ERR_CONFIG', `Cannot listen for ${what} at ${at}: the port is in use`, {
      hint: `Find its owner with "ss -ltnp 'sport = :${port}'", or choose another port (0 takes a free one)`,
      cause,
    })
  if (code === 'EACCES')
    return new AgentError('ERR_PERMISSION', `Cannot listen for ${what} at ${at}: not allowed`, {
      hint: 'Choose a port above 1023, or give the service CAP_NET_BIND_SERVICE',
      cause,
    })
  return new AgentError(
    'ERR_CONFIG',
    `Cannot listen for ${what} at ${at}: ${cause instanceof Error ? cause.message : String(cause)}`,
    { hint: 'Give an address of this host, such as 127.0.0.1:0', cause },
  )
}
