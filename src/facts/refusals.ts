/**
 * Whether a process is told again and again that a name and password are wrong: by the answers of
 * servers that stand in its memory, as they come over the wire (after TLS, too).
 *
 * Asked only about processes that connect to one end again and again. HTTP refuses for other reasons,
 * too: what was asked must hold a password, and nothing may have been accepted, as pages ask for a
 * password first and get it then. Bounded by REFUSAL_BYTES_MAX.
 */
import { REFUSAL_BYTES_MAX } from '../domain/limits.ts'
import { searchMemory } from './process-memory.ts'

/** As they are told, and as they stand at the beginning of an answer: nothing readable is before. */
const REFUSALS: readonly (readonly [told: string, answer: RegExp])[] = [
  ['535', /(?<![ -~])535[ -][ -~]{4,200}\r\n/],
  ['530', /(?<![ -~])530 [ -~]{0,60}(incorrect|denied|failed|not logged in)/i],
  ['-ERR', /(?<![ -~])-ERR (\[AUTH\]|invalid password|[ -~]{0,40}authentication fail)/i],
  ['-WRONGPASS', /(?<![ -~])-WRONGPASS [ -~]{4,80}\r\n/],
  ['AUTHENTICATIONFAILED', /(?<![ -~])\w{1,12} NO \[AUTHENTICATIONFAILED\]/],
  ['Login incorrect', /\r\nLogin incorrect/],
  ['Access denied', /#28000Access denied for user/],
  ['28P01', /\0C28(P01|000)\0M/],
  ['Access denied', /Access denied for '(password|keyboard-interactive)'\. Authentication/],
]
const HTTP_REFUSAL = /HTTP\/1\.[01] (40[13]) [ -~]{0,40}\r\n/
/**
 * As a header's line or a form's field: a load test of a forbidden page sends neither, and a token
 * that has expired is no password.
 */
const HTTP_PASSWORD =
  /\r\nauthorization: (basic|digest|ntlm|negotiate) \S|[?&\n{,] ?"?(pass|passwd|password|pwd|pin)"?(=|: ?")[^&\s"']/i
/** With the reason and the end of the line: a program has the beginning as a text of its own. */
const HTTP_ACCEPTANCE = /HTTP\/1\.[01] [23]\d\d [A-Z][ -~]{0,40}\r\n/

export interface Refusals {
  /** How it was refused; undefined where nothing was found. */
  refused: string | undefined
  /** By HTTP. */
  refusedPage: string | undefined
  /** A request by HTTP with a password. */
  sentPassword: boolean
  acceptedPage: boolean
}

/** Adds what one piece of memory tells. @returns whether no more is needed */
export function noteRefusals(found: Refusals, text: string): boolean {
  found.refused ??= REFUSALS.find(([, answer]) => answer.test(text))?.[0]
  if (found.refused !== undefined) return true
  const status = HTTP_REFUSAL.exec(text)?.[1]
  if (status !== undefined) found.refusedPage ??= `HTTP ${status}`
  found.sentPassword ||= HTTP_PASSWORD.test(text)
  found.acceptedPage ||= HTTP_ACCEPTANCE.test(text)
  return false
}

export function noRefusals(): Refusals {
  return { refused: undefined, refusedPage: undefined, sentPassword: false, acceptedPage: false }
}

export function refusalOf(found: Refusals): string | undefined {
  const { refused, refusedPage, sentPassword, acceptedPage } = found
  return refused ?? (sentPassword && !acceptedPage ? refusedPage : undefined)
}

/** @returns the beginning of the answer; undefined where none was found */
export function refusalsOf(pid: number): string | undefined {
  const found = noRefusals()
  searchMemory(pid, REFUSAL_BYTES_MAX, (text) => noteRefusals(found, text), { program: false })
  return refusalOf(found)
}
