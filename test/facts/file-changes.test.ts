/** Which change of a file is an encryption: contents in numbers, and names. */
import { expect, test } from 'bun:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { contentOf, evenness, is7z, isEven, isLocked7z } from '../../src/facts/entropy.ts'
import { FileLedger, type FileState, replacementEnding } from '../../src/facts/file-changes.ts'

/** Even bytes that are the same in each run. */
function chance(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let x = 0x1234_5678
  for (let i = 0; i < length; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    bytes[i] = x >>> 11
  }
  return bytes
}
const utf8 = (text: string) => new TextEncoder().encode(text)
const prose = utf8('It was the best of times, it was the worst of times. '.repeat(100))

test.each<[string, Uint8Array, ReturnType<typeof contentOf>]>([
  ['prose', prose, 'plain'],
  ['chance', chance(4096), 'cipher'],
  ['a little chance', chance(600), 'cipher'],
  ['less than can be said of', chance(100), 'short'],
  ['nothing', new Uint8Array(0), 'short'],
  ['gzip', gzipSync(chance(4000)), 'format'],
  ['zlib, as git and caches write', deflateSync(chance(4000)), 'format'],
  ['a picture', Uint8Array.from([0x89, 0x50, 0x4e, 0x47]), 'format'],
  [
    'a ZIP with a password',
    Uint8Array.from([0x50, 0x4b, 3, 4, 20, 0, 9, 0, ...chance(4000)]),
    'cipher',
  ],
  ['a ZIP', Uint8Array.from([0x50, 0x4b, 3, 4, 20, 0, 8, 0, ...chance(4000)]), 'format'],
  ['openssl', utf8('Salted__ and more'), 'cipher'],
  ['base64 of openssl', utf8('U2FsdGVkX18kd'), 'cipher'],
  ['age', utf8('age-encryption.org/v1\n-> X25519'), 'cipher'],
])('contentOf(%s)', (_, bytes, content) => {
  expect(contentOf(bytes)).toBe(content)
})

test('evenness is what it is called', () => {
  expect(evenness(new Uint8Array(4096))).toBe(0)
  expect(evenness(Uint8Array.from({ length: 4096 }, (_, i) => i))).toBe(8)
  expect(isEven(chance(4096))).toBe(true)
  expect(isEven(prose)).toBe(false)
})

const state = (version: string, head: FileState['head'], isMiddleEven = false): FileState => ({
  version,
  head,
  isMiddleEven,
})

test.each<[string, FileState, FileState, number]>([
  ['readable, then not', state('1', 'plain'), state('2', 'cipher'), 1],
  ['a format, then not', state('1', 'format'), state('2', 'cipher'), 1],
  ['its middle alone', state('1', 'plain'), state('2', 'plain', true), 1],
  ['compressed', state('1', 'plain'), state('2', 'format'), 0],
  ['written anew', state('1', 'plain'), state('2', 'plain'), 0],
  ['decrypted', state('1', 'cipher'), state('2', 'plain'), 0],
  ['a picture by another', state('1', 'format', false), state('2', 'format', true), 0],
])('%s', (_, before, after, encrypted) => {
  const ledger = new FileLedger()
  ledger.see('/d/a.doc', before)
  ledger.see('/d/a.doc', after)
  expect(ledger.result()).toMatchObject({ sampled: 1, encrypted })
})

test.each<[string, string, FileState, number]>([
  ['of no known kind', '/d/a.bin', state('2', 'cipher'), 0],
  ['of a session store', '/d/sess_81', state('2', 'cipher'), 0],
  ['whose ending says that it is a document', '/d/a.docx', state('2', 'cipher'), 1],
  ['whose ending says text, by its middle', '/d/a.csv', state('2', 'plain', true), 1],
  ['a script that carries an archive', '/d/a.sh', state('2', 'plain', true), 0],
])('what was even before and is written anew: %s', (_, path, after, encrypted) => {
  const ledger = new FileLedger()
  ledger.see(path, state('1', 'cipher', true))
  ledger.see(path, after)
  expect(ledger.result()).toMatchObject({ sampled: 1, encrypted })
})

test('a file that nobody touched is no sample', () => {
  const ledger = new FileLedger()
  for (let i = 0; i < 2; i++) ledger.see('/d/a', state('1', 'plain'))
  expect(ledger.result()).toEqual({
    sampled: 0,
    encrypted: 0,
    replaced: 0,
    ciphers: 0,
    gone: 0,
    isWithin: false,
    examples: [],
  })
})

test('what was there before, readable, and went without a successor is gone', () => {
  const ledger = new FileLedger()
  ledger.see('/d/old', state('1', 'plain'), true)
  ledger.see('/d/own', state('1', 'plain'), false)
  ledger.see('/d/old.gz', state('1', 'format'), true)
  ledger.see('/d/old.enc', state('1', 'cipher'), true)
  for (const name of ['old', 'own', 'old.gz', 'old.enc']) ledger.seeGone(`/d/${name}`)
  expect(ledger.result().gone).toBe(2)
  ledger.see('/d/old', state('2', 'plain'))
  expect(ledger.result().gone).toBe(1)
})

test('unreadable newcomers are counted, whatever they are called', () => {
  const ledger = new FileLedger()
  ledger.seeNew('/d/a.enc', state('1', 'cipher'), true)
  ledger.seeNew('/d/b.gpg', state('1', 'cipher'), false)
  ledger.seeNew('/d/c.tar', state('1', 'format'), true)
  expect(ledger.result()).toMatchObject({ ciphers: 2, replaced: 0 })
})

test('who encrypts and decrypts in turns is held to the first', () => {
  const ledger = new FileLedger()
  ledger.see('/d/a', state('1', 'plain'))
  ledger.see('/d/a', state('2', 'cipher'))
  ledger.see('/d/a', state('3', 'plain'))
  expect(ledger.result().encrypted).toBe(1)
})

test.each([
  ['report.doc.locked', '.locked'],
  ['a.b.pdf.x7Gh', '.x7Gh'],
  ['report.doc', undefined],
  ['dump.sql.gz', undefined],
  ['dump.sql.gpg', undefined],
  ['movie.mkv.part', undefined],
  ['syslog.1', undefined],
  ['node.js.map', '.map'],
  ['x', undefined],
])('replacementEnding(%p)', (name, ending) => {
  expect(replacementEnding(name)).toBe(ending)
})

test('a 7z archive with a password says so at its end', () => {
  const head = new Uint8Array([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c])
  const end = (...codec: number[]) => new Uint8Array([...chance(200), ...codec, 0, 0, 0])
  expect([is7z(head), is7z(chance(64))]).toEqual([true, false])
  expect(isLocked7z(end(0x24, 0x06, 0xf1, 0x07, 0x01))).toBe(true)
  expect(isLocked7z(end(0x21, 0x21, 0x01))).toBe(false)
})
