/**
 * The id of an alert: what it is made of, under the secret of the host's state directory, as 16 hex
 * digits. The same cause has the same id on every run; without the secret an id cannot be
 * predicted. Without a secret (a replay that keeps no state) the same input gives the same ids
 * everywhere.
 */
import { createHmac } from 'node:crypto'

export function alertId(secret: string, parts: readonly (string | number)[]): string {
  return createHmac('sha256', secret).update(parts.join('\n')).digest('hex').slice(0, 16)
}
