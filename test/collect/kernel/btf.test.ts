/**
 * Member offsets from type information: a small one made here, damage, and the running kernel's
 * where it has one.
 */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { Btf, taskOffsets } from '../../../src/collect/kernel/btf.ts'
import { BTF_PATH } from '../../../src/collect/kernel/open.ts'

/**
 * struct outer { int first; struct { int hidden; typed_t named; }; const struct inner in; } with
 * inner { int deep } at 8.
 */
function smallBtf(): Uint8Array {
  const names = ['', 'int', 'inner', 'deep', 'outer', 'first', 'hidden', 'named', 'typed_t', 'in']
  const strings = `${names.join('\0')}\0`
  const at = (name: string) => (name === '' ? 0 : strings.indexOf(`\0${name}\0`) + 1)
  const words: number[] = []
  const type = (name: string, kind: number, members: number, sizeOrType: number, kflag = 0) =>
    words.push(at(name), (kflag << 31) | (kind << 24) | members, sizeOrType)
  const member = (name: string, id: number, bits: number) => words.push(at(name), id, bits)
  type('int', 1, 0, 4) // 1
  words.push(32)
  type('inner', 4, 1, 16) // 2
  member('deep', 1, 64)
  type('typed_t', 8, 0, 1) // 3
  type('', 4, 2, 8) // 4
  member('hidden', 1, 0)
  member('named', 3, 32)
  type('', 10, 0, 2) // 5: const inner
  type('outer', 4, 3, 64, 1) // 6: with the flag, offsets share their word with bit-field sizes
  member('first', 1, 0)
  member('', 4, (3 << 24) | 32)
  member('in', 5, 128)
  const header = new Uint8Array(24)
  const view = new DataView(header.buffer)
  view.setUint16(0, 0xeb9f, true)
  view.setUint8(2, 1)
  view.setUint32(4, 24, true)
  view.setUint32(12, words.length * 4, true)
  view.setUint32(16, words.length * 4, true)
  view.setUint32(20, strings.length, true)
  return Buffer.concat([
    header,
    new Uint8Array(Int32Array.from(words).buffer),
    Buffer.from(strings),
  ])
}

describe('Btf.offsets()', () => {
  test('finds members, those of anonymous structures, and through typedefs and const', () =>
    expect(
      new Btf(smallBtf()).offsets({
        first: ['outer', 'first'],
        named: ['outer', 'named'],
        deep: ['outer', 'in.deep'],
        absent: ['outer', 'nothing'],
        stranger: ['nobody', 'first'],
      }),
    ).toEqual({ first: 0, named: 8, deep: 24 }))

  test('cut anywhere it throws RangeError or finds less, and never hangs', () => {
    const bytes = smallBtf()
    for (let length = 0; length < bytes.length; length++)
      expect(taskOffsets(bytes.slice(0, length))).toBeUndefined()
  })
})

test.skipIf(!existsSync(BTF_PATH))('taskOffsets() of the running kernel are plausible', () => {
  const offsets = taskOffsets(readFileSync(BTF_PATH))!
  expect(offsets.tgid - offsets.pid).toBe(4)
  const { cpu, file, memory, ...members } = offsets
  for (const offset of Object.values({ ...members, ...cpu, ...file, ...memory }))
    expect(offset).toBeLessThan(16_384)
})
