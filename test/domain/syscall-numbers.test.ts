/** Kernel numbers by name: known ones of each table, and none named twice. */
import { describe, expect, test } from 'bun:test'
import { numberTables } from '../../src/domain/syscall-numbers.ts'
import { OTHER, SYSCALLS } from '../../src/domain/syscalls.ts'

const x86 = numberTables('x86_64')
const arm = numberTables('arm64')
const nameIn = (table: Uint16Array, number: number) => SYSCALLS[table[number]!]

describe('numberTables()', () => {
  test.each([
    ['x86_64', x86.native, { 0: 'read', 110: 'getppid', 257: 'openat', 321: 'bpf', 462: 'mseal' }],
    [
      'i386',
      x86.compat,
      { 3: 'read', 64: 'getppid', 295: 'openat', 357: 'bpf', 403: 'clock_gettime64' },
    ],
    [
      'arm64',
      arm.native,
      {
        ...{ 63: 'read', 173: 'getppid', 56: 'openat', 280: 'bpf', 79: 'newfstatat' },
        // As arm64's unistd.h has it; the other name is 32-bit ARM's.
        84: 'sync_file_range',
      },
    ],
  ] as const)('%s numbers have their names', (_, table, known) => {
    for (const [number, name] of Object.entries(known))
      expect(nameIn(table, Number(number))).toBe(name)
  })

  test('numbers since 5.1 are the same everywhere', () => {
    for (let number = 424; number < 472; number++) {
      expect(x86.compat[number]).toBe(x86.native[number]!)
      expect(arm.native[number]).toBe(x86.native[number]!)
    }
  })

  test('no name stands twice in a table, and gaps are other', () => {
    for (const table of [x86.native, x86.compat, arm.native]) {
      const used = [...table].filter((index) => index !== OTHER)
      expect(new Set(used).size).toBe(used.length)
      expect(table[1023]).toBe(OTHER)
    }
    expect(nameIn(x86.native, 400)).toBe('other')
  })

  test('every x86_64 and arm64 number up to 6.18 has a name', () => {
    const named = (table: Uint16Array) => [...table].filter((index) => index !== OTHER).length
    expect(named(x86.native)).toBe(385)
    expect(named(arm.native)).toBeGreaterThan(320)
  })
})
