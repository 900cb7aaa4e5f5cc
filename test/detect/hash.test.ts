import { expect, test } from 'bun:test'
import { fnv1a64 } from '../../src/detect/hash.ts'

// The published test vectors of FNV-1a, 64 bits (draft-eastlake-fnv).
test.each([
  ['', 'cbf29ce484222325'],
  ['a', 'af63dc4c8601ec8c'],
  ['foobar', '85944171f73967e8'],
])('fnv1a64() of %p', (text, hash) => {
  expect(fnv1a64(text)).toBe(hash)
})
