import { describe, expect, test } from 'bun:test'
import { decode } from 'cborg'
import { openIdentity, signerOf } from '../../src/platform/identity.ts'
import { decodeAlert, encodeAlert } from '../../src/wire/alert-message.ts'
import { attachSignature, detachSignature, signedFor } from '../../src/wire/signed.ts'
import { readSummaryHead } from '../../src/wire/summary-head.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { sampleAlert, sampleSummary } from './samples.ts'

const host = openIdentity('1'.repeat(64))
const origin = { site: 'lab', host: 'web-1', boot: 1, seq: 2 }
const messages = [
  ['an alert', encodeAlert(sampleAlert, origin)],
  ['a summary', encodeSummary(sampleSummary, origin)],
] as const

describe.each(messages)('%s', (_, payload) => {
  test('goes out as it is with MQTT 5, its signature beside it', () => {
    const signed = signedFor(5, payload, host)
    expect(signed.payload).toBe(payload)
    expect(signerOf(signed.payload, signed.signature!)).toBe(host.publicKey)
  })

  test('holds its signature with MQTT 3.1.1, and gives it back with the bytes it is over', () => {
    const signed = signedFor(4, payload, host)
    expect(signed.signature).toBeUndefined()
    const read = detachSignature(signed.payload, undefined)
    expect(Buffer.from(read.payload).equals(payload)).toBe(true)
    expect(read.inPayload).toBe(true)
    expect(signerOf(read.payload, read.signature!)).toBe(host.publicKey)
  })

  test('without a signature is as it was', () => {
    const read = detachSignature(payload, undefined)
    expect(read).toEqual({ payload, signature: undefined, inPayload: false })
    expect(signedFor(4, payload, undefined)).toEqual({ payload })
  })
})

test('attachSignature() leaves JSON and CBOR that anyone can read', () => {
  const [alert, summary] = messages.map(([, payload]) =>
    attachSignature(payload, host.sign(payload)),
  )
  expect(JSON.parse(Buffer.from(alert!).toString())).toMatchObject({
    id: sampleAlert.id,
    sig: expect.stringMatching(/^[\w-]{128}$/),
  })
  expect(decode(summary!)).toMatchObject({ host: 'web-1', sig: expect.any(String) })
  // An aggregator that knows nothing of signatures takes them as fields of a newer agent.
  expect([
    decodeAlert(alert!).ok,
    decodeSummary(summary!).ok,
    readSummaryHead(summary!).ok,
  ]).toEqual([true, true, true])
})

test('a map of CBOR has room for the signature', () => {
  const fields = encodeSummary(sampleSummary, origin)[0]! - 0xa0
  expect(fields).toBeGreaterThan(0)
  expect(fields).toBeLessThanOrEqual(22)
})
