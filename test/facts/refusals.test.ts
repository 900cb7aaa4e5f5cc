/** Who is refused logins, by answers of servers that stand in memory. */
import { describe, expect, test } from 'bun:test'
import { noRefusals, noteRefusals, refusalOf, refusalsOf } from '../../src/facts/refusals.ts'
import { isRoot } from '../support/privileges.ts'
import { until } from '../support/until.ts'

const said = (...texts: string[]) => {
  const found = noRefusals()
  for (const text of texts) if (noteRefusals(found, text)) break
  return refusalOf(found)
}
const NO = 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n'
const TRY = 'GET /admin HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRtaW46MTIz\r\n\r\n'

// Answers as servers give them (Postfix, Dovecot, vsftpd, Redis 7, MariaDB 10.11, PostgreSQL 15, libssh).
test.each<[string, string | undefined]>([
  ['535 5.7.8 Error: authentication failed: (reason unavailable)\r\n', '535'],
  ['\n530 Login incorrect.\r\n', '530'],
  ['a1 NO [AUTHENTICATIONFAILED] Authentication failed.\r\n', 'AUTHENTICATIONFAILED'],
  ['-ERR [AUTH] Authentication failed.\r\n', '-ERR'],
  ['-WRONGPASS invalid username-password pair or user is disabled.\r\n', '-WRONGPASS'],
  ["\xff\x15\x04#28000Access denied for user 'root'@'10.0.0.9'", 'Access denied'],
  ['SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "app"\0', '28P01'],
  ["Access denied for 'password'. Authentication that can continue: publickey", 'Access denied'],
  [`${TRY}${NO}`, 'HTTP 401'],
  ['POST /login HTTP/1.1\r\n\r\nuser=admin&password=123\0HTTP/1.0 403 Forbidden\r\n', 'HTTP 403'],
  ['POST /api HTTP/1.1\r\n\r\n{"name": "a", "password": "1234"}\0HTTP/1.0 403 No\r\n', 'HTTP 403'],
  // What programs have of their own, and what is ordinary.
  ["if '401' in line or 'Access denied for user' in line: continue", undefined],
  ['STATUS = {401: "Unauthorized", 403: "Forbidden", 535: "no"}', undefined],
  ['HTTP/1.1 200 OK\r\n', undefined],
  // A load test of a page that is forbidden, or of one that asks for a password.
  ['GET / HTTP/1.0\r\nHost: a\r\n\r\n\0HTTP/1.1 403 Forbidden\r\n', undefined],
  [`GET / HTTP/1.0\r\nHost: a\r\n\r\n\0${NO}`, undefined],
  [`GET / HTTP/1.1\r\nAuthorization: Bearer eyJhbGciOi\r\n\r\n\0${NO}`, undefined],
  ['-ERR unknown command\r\n', undefined],
  ['250 2.0.0 Ok: queued as 535 abcde\r\n', undefined],
])('%p is a refusal: %p', (text, expected) => {
  expect(said(`\0\0${text}\0`)).toBe(expected)
})

test('a page that was refused and then given is none', () => {
  expect(said(TRY, NO, 'HTTP/1.1 200 OK\r\n')).toBeUndefined()
  expect(said('HTTP/1.1 302 Found\r\n', TRY, NO)).toBeUndefined()
  // A guesser that looks for it.
  expect(said('if b"HTTP/1.1 200" in answer: print(word)', TRY, NO)).toBe('HTTP 401')
})

describe.skipIf(!isRoot)('of a process', () => {
  test('an answer is found in the memory of who heard it', async () => {
    const script = `import socket,time
a,b=socket.socketpair()
b.sendall(bytes(reversed(${JSON.stringify([...'-WRONGPASS invalid username-password pair\r\n'].reverse().join(''))}.encode())))
got=a.recv(4096);print(len(got),flush=True);time.sleep(60)`
    const child = Bun.spawn(['/usr/bin/python3', '-c', script], { stdout: 'pipe' })
    try {
      const out = child.stdout.getReader()
      await until('the answer in memory', async () => (await out.read()).value)
      expect(refusalsOf(child.pid)).toBe('-WRONGPASS')
    } finally {
      child.kill('SIGKILL')
    }
  })
})
