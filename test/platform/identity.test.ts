import { expect, test } from 'bun:test'
import { createPublicKey, verify } from 'node:crypto'
import { isPublicKey, openIdentity, signerOf } from '../../src/platform/identity.ts'

// [RFC 8032, 7.1, test 2]
const secret = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'
const publicKey = Buffer.from(
  '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  'hex',
).toString('base64url')
const signature =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
  '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
const message = Uint8Array.of(0x72)

test('openIdentity() signs as RFC 8032 has it, with the key before the signature', () => {
  const identity = openIdentity(secret)
  expect(identity.publicKey).toBe(publicKey)
  const signed = Buffer.from(identity.sign(message), 'base64url')
  expect(signed.subarray(0, 32).toString('base64url')).toBe(publicKey)
  expect(signed.subarray(32).toString('hex')).toBe(signature)
})

test('signerOf() names the key, and none for bytes that it did not sign', () => {
  const identity = openIdentity(secret)
  const signed = identity.sign(message)
  expect(signerOf(message, signed)).toBe(publicKey)
  expect(signerOf(Uint8Array.of(0x73), signed)).toBeUndefined()
  const other = openIdentity('2'.repeat(64))
  const swapped = Buffer.from(signed, 'base64url')
  swapped.set(Buffer.from(other.publicKey, 'base64url'))
  expect(signerOf(message, swapped.toString('base64url'))).toBeUndefined()
})

test.each([
  ['nothing', ''],
  ['no base64url', '!'.repeat(128)],
  ['too short', 'A'.repeat(127)],
  ['too long', 'A'.repeat(129)],
  ['a key that is no point of the curve', '_'.repeat(128)],
])('signerOf() takes %s for no signature', (_, text) => {
  expect(signerOf(message, text)).toBeUndefined()
})

test('any program with Ed25519 can check a signature', () => {
  const bytes = Buffer.from(openIdentity(secret).sign(message), 'base64url')
  const x = bytes.subarray(0, 32).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  expect(verify(null, message, key, bytes.subarray(32))).toBe(true)
})

test('isPublicKey() knows one by its form', () => {
  expect([publicKey, `${publicKey}=`, 'x'].map(isPublicKey)).toEqual([true, false, false])
})
