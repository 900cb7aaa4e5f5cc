/** Questions for windows of an alert, and their answers. */
import { describe, expect, test } from 'bun:test'
import {
  decodeWindowsAnswer,
  decodeWindowsRequest,
  encodeWindowsAnswer,
  encodeWindowsRequest,
  type WindowsAnswer,
} from '../../src/wire/windows-message.ts'

const question = { v: 1, site: 'lab', host: 'web', id: 'a1', nonce: '0f'.repeat(16) } as const
const answer: WindowsAnswer = {
  ...question,
  process: { pid: 7, start: 9, name: 'nginx' },
  rows: [
    { t: 10, counts: { read: 3, write: 1 } },
    { t: 12, counts: { read: 4 } },
  ],
  omitted: 0,
}
const utf8 = new TextEncoder()
const refused = (value: object) => {
  const decoded = decodeWindowsAnswer(utf8.encode(JSON.stringify(value)))
  return decoded.ok ? undefined : decoded.reason
}

describe('windows of an alert', () => {
  test('come back as they were sent', () => {
    expect(decodeWindowsRequest(encodeWindowsRequest(question))).toEqual({
      ...{ ok: true, value: question },
    })
    expect(decodeWindowsAnswer(encodeWindowsAnswer(answer))).toEqual({ ok: true, value: answer })
  })

  test('the newest seconds that fit are sent, the others counted', () => {
    const counts = Object.fromEntries(['read', 'write', 'openat'].map((call) => [call, 1_000_000]))
    const rows = Array.from({ length: 5_000 }, (_, t) => ({ t, counts }))
    const payload = encodeWindowsAnswer({ ...answer, rows })
    expect(payload.length).toBeLessThanOrEqual(61_440)
    const decoded = decodeWindowsAnswer(payload)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.value.rows.at(-1)!.t).toBe(4_999)
    expect(decoded.value.rows.length + decoded.value.omitted).toBe(5_000)
    expect(decoded.value.rows.length).toBeLessThanOrEqual(600)
  })

  test.each([
    [{ ...answer, v: 2 }, 'unknown-version'],
    [{ ...answer, nonce: '../x' }, 'bad-field(nonce)'],
    [{ ...answer, host: 'fleet' }, 'bad-field(host)'],
    [{ ...answer, rows: [{ t: 1, counts: { reed: 1 } }] }, 'bad-field(rows.counts)'],
    [{ ...answer, rows: [{ t: 1, counts: { read: 0 } }] }, 'bad-field(rows.counts)'],
    [{ ...answer, rows: [{ t: 1, counts: { read: -1 } }] }, 'bad-field(rows.counts)'],
    [{ ...answer, rows: [answer.rows[1], answer.rows[0]] }, 'bad-field(rows.t)'],
    [{ ...answer, rows: Array(601).fill({ t: 1, counts: {} }) }, 'bad-field(rows)'],
    [{ ...answer, process: { pid: 1 } }, 'bad-field(process.start)'],
    [{ ...answer, trouble: 'none' }, 'bad-field(trouble)'],
    [{ ...answer, process: { ...answer.process, name: 'x'.repeat(70_000) } }, 'too-long'],
  ])('refuses %j', (value, reason) => {
    expect(refused(value)).toBe(reason)
  })
})
