/**
 * Hands one message to a mail server by SMTP [RFC 5321], without a password and without TLS: for
 * the server of this host, which knows how mail leaves it. (Its program, /usr/sbin/sendmail, would
 * be of no use here: it is setgid, and an agent in its sandbox gains no right by an exec.)
 */
import { connect } from 'node:net'
import { SMTP_REPLY_BYTES_MAX, WEBHOOK_TIMEOUT_MS } from '../domain/limits.ts'

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  /** Head and body; line ends of any kind. */
  readonly message: string
}

/** A server's reply that is no success. [RFC 5321 4.2.1: 5yz is for good, 4yz for now] */
export class SmtpRefusal extends Error {
  readonly code: number

  constructor(code: number, text: string) {
    super(`${code} ${text}`)
    this.code = code
  }
}

/**
 * Goes to those recipients that the server takes, if it takes one.
 * @returns why it does not take the others
 * @throws SmtpRefusal, or Error where the server does not answer or speaks something else
 */
export async function sendMail(
  server: { readonly host: string; readonly port: number },
  { from, to, message }: Mail,
  helloName: string,
): Promise<readonly SmtpRefusal[]> {
  const socket = connect({ ...server, timeout: WEBHOOK_TIMEOUT_MS })
  const replies = repliesOf(socket)
  try {
    const say = async (line: string | undefined, success: number): Promise<void> => {
      if (line !== undefined) socket.write(`${line}\r\n`)
      const { value, done } = await replies.next()
      if (done === true) throw new Error('The server closed the connection')
      if (Math.floor(value.code / 100) !== success) throw new SmtpRefusal(value.code, value.text)
    }
    await say(undefined, 2)
    await say(`EHLO ${helloName}`, 2)
    await say(`MAIL FROM:<${from}>`, 2)
    const refusals: SmtpRefusal[] = []
    for (const address of to)
      await say(`RCPT TO:<${address}>`, 2).catch((error) => {
        if (!(error instanceof SmtpRefusal)) throw error
        refusals.push(error)
      })
    // One mailbox that is gone must not cost the others their message. Of several codes the lowest
    // counts: 4yz is worth another try.
    const [first] = refusals.sort((a, b) => a.code - b.code)
    if (first !== undefined && refusals.length === to.length) throw first
    await say('DATA', 3)
    await say(`${dotted(message)}\r\n.`, 2)
    socket.write('QUIT\r\n')
    return refusals
  } finally {
    socket.destroySoon()
  }
}

/** Lines end in CRLF, and one that begins with a dot gets another. [RFC 5321 4.5.2] */
export function dotted(message: string): string {
  return message
    .split(/\r\n|\r|\n/)
    .map((line) => (line.startsWith('.') ? `.${line}` : line))
    .join('\r\n')
}

interface Reply {
  readonly code: number
  readonly text: string
}

async function* repliesOf(socket: ReturnType<typeof connect>): AsyncGenerator<Reply> {
  socket.once('timeout', () => socket.destroy(new Error('The server does not answer')))
  let text = ''
  for await (const bytes of socket) {
    text += String(bytes)
    if (text.length > SMTP_REPLY_BYTES_MAX) throw new Error('The server says too much')
    // A reply of several lines has "250-" in all but the last.
    for (;;) {
      const whole = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: ([^\n]*))?\r?\n/.exec(text)
      if (whole === null) break
      text = text.slice(whole[0].length)
      yield { code: Number(whole[1]), text: (whole[2] ?? '').trim().slice(0, 200) }
    }
  }
}
