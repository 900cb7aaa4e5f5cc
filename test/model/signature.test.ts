import { expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { checkSignature, signManifest } from '../../src/model/signature.ts'

const keys = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    secret: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    open: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}
const manifest = new TextEncoder().encode('{"id":"1"}')
const mine = keys()
const signature = signManifest(manifest, mine.secret)

test('checkSignature() accepts the signature of that key over those bytes, also with a newline behind it', () => {
  checkSignature(manifest, `${signature}\n`, mine.open, 'x')
})

test.each([
  ['other bytes', new TextEncoder().encode('{"id":"2"}'), signature, mine.open],
  ["another's key", manifest, signature, keys().open],
  ['no signature', manifest, '', mine.open],
  ['a cut signature', manifest, signature.slice(0, 40), mine.open],
])('checkSignature() refuses %s', (_, bytes, given, key) => {
  expect(() => checkSignature(bytes, given, key, 'x')).toThrow(
    'its signature is not that of this key',
  )
})

test('signManifest() wants an Ed25519 key', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  expect(() => signManifest(manifest, pem)).toThrow('it is an rsa key')
  expect(() => signManifest(manifest, 'no key')).toThrow('Cannot sign with this key')
})
