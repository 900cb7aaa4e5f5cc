/**
 * The outputs that an operator's settings ask for, beside the local store, the broker and the
 * terminal.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { type AlertFormat, fileOutput } from './file.ts'
import { mailOutput } from './mail.ts'
import type { Output } from './output.ts'
import type { KeptQueue } from './retrying-sender.ts'
import { parseSyslogTarget, syslogOutput } from './syslog.ts'
import { type WebhookOptions, webhookOutput } from './webhook.ts'
import type { WebhookTemplate } from './webhook-templates.ts'

export interface ChosenOutputs {
  readonly alertFile?: string | undefined
  readonly alertFormat?: AlertFormat
  readonly syslog?: string | undefined
  /** Certificates that the syslog server is checked against. */
  readonly ca?: string | undefined
  readonly webhook?: string | undefined
  readonly webhookTemplate?: WebhookTemplate
  readonly webhookSecret?: string | undefined
  readonly mailTo?: readonly string[]
  readonly mailServer?: string
}

/** @throws AgentError ERR_CONFIG where an address cannot be used */
export function chosenOutputs(
  chosen: ChosenOutputs &
    Pick<WebhookOptions, 'queue' | 'now'> & { readonly mailQueue?: KeptQueue },
): Output[] {
  const { alertFile, syslog, ca, webhook, queue, now } = chosen
  const { alertFormat: format = 'json', mailTo = [], mailServer, mailQueue } = chosen
  const { webhookTemplate: template = 'json', webhookSecret: secret } = chosen
  return [
    ...(alertFile === undefined ? [] : [fileOutput(alertFile, { format })]),
    ...(syslog === undefined ? [] : [syslogOutput({ ...targetOf(syslog), ...defined({ ca }) })]),
    ...(webhook === undefined
      ? []
      : [webhookOutput({ url: webhook, template, queue, now, ...defined({ secret }) })]),
    ...(mailQueue === undefined || mailServer === undefined || mailTo.length === 0
      ? []
      : [mailOutput({ server: mailServer, to: mailTo, queue: mailQueue, now })]),
  ]
}

function targetOf(address: string) {
  try {
    return parseSyslogTarget(address)
  } catch (cause) {
    throw new AgentError(
      'ERR_CONFIG',
      `Cannot send to syslog "${address}": ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    )
  }
}
