import { expect, test } from 'bun:test'
import { Redactor } from '../../src/operate/redact.ts'

const redactor = () =>
  new Redactor({ host: ['web-7.example.org', 'web-7'], site: ['berlin'], user: ['ada'] })

test.each([
  [
    'a host, with and without its domain',
    'web-7.example.org WEB-7 xweb-7x',
    '<host-1> <host-2> xweb-7x',
  ],
  [
    'a URL with a password',
    'to mqtt://ada:s3cret@mq.internal:1883/x failed',
    'to <address-1> failed',
  ],
  ['addresses', '10.1.2.3 and fe80::1:2:3', '<ip-1> and <ip-2>'],
  ['a home', `"/${'home'}/ada/.local/state"`, '"<home-1>/.local/state"'],
  ['mail', 'ada@example.org', '<mail-1>'],
  ['words that only contain one', 'adapter', 'adapter'],
  [
    'times, which look like addresses',
    '10:15:30 2026-11-30T10:15:30Z',
    '10:15:30 2026-11-30T10:15:30Z',
  ],
  ['versions', '0.29.3 6.1.0', '0.29.3 6.1.0'],
])('replaces %s', (_, text, want) => {
  expect(redactor().text(text)).toBe(want)
})

test('the same word is the same token everywhere, in keys as well', () => {
  expect(redactor().value({ berlin: ['berlin', { n: 1, ada: null }] })).toEqual({
    '<site-1>': ['<site-1>', { n: 1, '<user-1>': null }],
  })
})
