/**
 * Notices by e-mail, through the mail server of this host: one message an incident and change, in
 * words. The messages of one incident are one thread. What waits for a server that is away is sent
 * later, also after a restart (retrying-sender.ts).
 */
import { SmtpRefusal, sendMail } from '../platform/smtp.ts'
import { type Notice, Notices } from './notices.ts'
import type { Output } from './output.ts'
import { type KeptQueue, RetryingSender, type Trouble } from './retrying-sender.ts'
import { textOf, titleOf } from './webhook-templates.ts'

export interface MailOptions {
  /** HOST:PORT of the server, on this host. */
  readonly server: string
  readonly to: readonly string[]
  readonly queue: KeptQueue
  readonly now: () => number
  readonly retryMs?: number
}

/** What is kept until it is delivered. */
interface Letter {
  readonly from: string
  readonly message: string
}

export function mailOutput(options: MailOptions): Output {
  const notices = new Notices()
  const sender = new RetryingSender<Letter>({
    ...{ receiver: 'mail server', queue: options.queue, isItem: isLetter },
    retryMs: options.retryMs,
    deliver: (letter) => deliver(options, letter, (reason) => sender.count(reason)),
  })
  return {
    name: 'mail',
    leavesHost: true,
    refused: sender.refused,
    take({ alerts }) {
      for (const alert of alerts) {
        const notice = notices.push(alert)
        if (notice !== undefined) sender.put(letterOf(notice, options.to, options.now()))
      }
    },
    close: () => sender.close(),
  }
}

/** @param nowMs Unix ms; a message says when it was written */
export function letterOf(notice: Notice, to: readonly string[], nowMs: number): Letter {
  const { alert, incident, status } = notice
  const domain = alert.host.replace(/[^A-Za-z0-9.-]/g, '-')
  const from = `callsign@${domain}`
  const thread = `<${word(incident)}.${word(alert.site)}@${domain}>`
  const head = [
    `From: Callsign <${from}>`,
    `To: ${to.join(', ')}`,
    `Subject: ${encodedWords(titleOf(notice))}`,
    `Date: ${new Date(nowMs).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${word(incident)}.${word(alert.id)}.${status}.${nowMs}@${domain}>`,
    `References: ${thread}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    // Nobody answers it, and no holiday notice does. [RFC 3834]
    'Auto-Submitted: auto-generated',
  ]
  const body = Buffer.from(`${titleOf(notice)}\n\n${textOf(notice)}\n`, 'utf8').toString('base64')
  return { from, message: [...head, '', ...(body.match(/.{1,76}/g) ?? [])].join('\n') }
}

/** What a Message-ID may hold of an id. */
function word(text: string): string {
  return text.replace(/[^A-Za-z0-9-]/g, '-').slice(0, 64)
}

/** A subject of any characters, in words that fit a line [RFC 2047]; no line break gets in. */
function encodedWords(text: string): string {
  const words: string[] = []
  let part = ''
  for (const character of text.slice(0, 300)) {
    if (Buffer.byteLength(part + character) > 42) {
      words.push(part)
      part = ''
    }
    part += character
  }
  return [...words, part]
    .map((word) => `=?utf-8?B?${Buffer.from(word, 'utf8').toString('base64')}?=`)
    .join('\n ')
}

async function deliver(
  { server, to }: MailOptions,
  letter: Letter,
  count: (reason: string) => void,
): Promise<Trouble | undefined> {
  const colon = server.lastIndexOf(':')
  const host = server.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  try {
    const [, domain = 'localhost'] = letter.from.split('@')
    const port = Number(server.slice(colon + 1))
    const refusals = await sendMail({ host, port }, { ...letter, to }, domain)
    for (const { code } of refusals) count(`recipient-${code}`)
    return undefined
  } catch (error) {
    if (error instanceof SmtpRefusal)
      return { reason: `smtp-${error.code}`, isFinal: error.code >= 500 }
    return {
      reason: error instanceof Error && 'code' in error ? String(error.code) : 'error',
      isFinal: false,
    }
  }
}

function isLetter(value: unknown): value is Letter {
  const { from, message } = (value ?? {}) as Partial<Letter>
  return typeof from === 'string' && typeof message === 'string'
}
