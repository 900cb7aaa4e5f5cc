import { expect, test } from 'bun:test'
import { openIdentity } from '../../src/platform/identity.ts'
import { AggregatorTrust } from '../../src/publish/aggregator-trust.ts'
import { attachSignature } from '../../src/wire/signed.ts'

const aggregator = openIdentity('a'.repeat(64))
const forger = openIdentity('f'.repeat(64))
const payload = Buffer.from('{"v":1,"stored":[]}')

function trust(named: readonly string[] = []) {
  const pin = {
    aggregatorKey: undefined as string | undefined,
    pinAggregator(key: string) {
      pin.aggregatorKey = key
    },
  }
  const told: (string | undefined)[] = []
  return { pin, told, one: new AggregatorTrust(named, pin, ({ refused }) => told.push(refused)) }
}

test('AggregatorTrust.read() pins the first key; unsigned and by another key is refused then', () => {
  const { one, pin, told } = trust()
  // An aggregator of an earlier version.
  expect(one.read(payload, undefined)).toEqual({ ok: true, payload, signed: false })
  expect(one.read(payload, aggregator.sign(payload))).toEqual({ ok: true, payload, signed: true })
  expect(pin.aggregatorKey).toBe(aggregator.publicKey)
  expect(one.read(payload, undefined)).toEqual({ ok: false, reason: 'unsigned' })
  for (let i = 0; i < 3; i++)
    expect(one.read(payload, forger.sign(payload))).toEqual({ ok: false, reason: 'other-key' })
  expect(told).toEqual([forger.publicKey])
  expect(one.keys()).toEqual({ trusted: [aggregator.publicKey], refused: forger.publicKey })
})

test('AggregatorTrust.read() refuses a signature of other bytes, and pins nothing by it', () => {
  const { one, pin } = trust()
  expect(one.read(payload, aggregator.sign(Buffer.from('{}')))).toEqual({
    ok: false,
    reason: 'bad-signature',
  })
  expect(pin.aggregatorKey).toBeUndefined()
})

test('AggregatorTrust.read() takes the signature out of the payload of MQTT 3.1.1', () => {
  const { one } = trust()
  const read = one.read(attachSignature(payload, aggregator.sign(payload)), undefined)
  expect(read.ok && Buffer.from(read.payload).toString()).toBe(payload.toString())
})

test('AggregatorTrust.read() takes only the keys that the settings name, and pins none', () => {
  const { one, pin } = trust([aggregator.publicKey])
  expect(one.read(payload, undefined).ok).toBe(false)
  expect(one.read(payload, forger.sign(payload)).ok).toBe(false)
  expect(one.read(payload, aggregator.sign(payload)).ok).toBe(true)
  expect(pin.aggregatorKey).toBeUndefined()
})
