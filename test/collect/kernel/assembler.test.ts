/** Encoding against instructions as the kernel's own documents and headers spell them. */
import { describe, expect, test } from 'bun:test'
import { Assembler, FP, R0, R1, R2, R6, R7 } from '../../../src/collect/kernel/assembler.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('Assembler', () => {
  const cases: [string, (a: Assembler) => void, string][] = [
    ['r0 = 0; exit', (a) => a.set(R0, 0).exit(), 'b7000000000000009500000000000000'],
    ['r6 = r1', (a) => a.copy(R6, R1), 'bf16000000000000'],
    ['r2 += -8', (a) => a.add(R2, -8), '07020000f8ffffff'],
    ['*(u64 *)(r10 - 8) = r1', (a) => a.store(8, FP, -8, R1), '7b1af8ff00000000'],
    ['*(u32 *)(r10 - 16) = 7', (a) => a.storeValue(4, FP, -16, 7), '620af0ff07000000'],
    ['r1 = *(u32 *)(r0 + 16)', (a) => a.load(4, R1, R0, 16), '6101100000000000'],
    ['lock *(u64 *)(r0 + 0) += r1', (a) => a.atomicAdd(R0, 0, R1), 'db10000000000000'],
    ['r7 >>= 32', (a) => a.shiftRight(R7, 32), '7707000020000000'],
    ['r0 /= 250', (a) => a.divide(R0, 250), '37000000fa000000'],
    ['call bpf_get_current_pid_tgid', (a) => a.call('getCurrentPidTgid'), '850000000e000000'],
    [
      'r1 = 0x1122334455667788 ll',
      (a) => a.set64(R1, 0x1122334455667788n),
      '18010000887766550000000044332211',
    ],
    ['r1 = map[fd:5]', (a) => a.setMap(R1, 5), '18110000050000000000000000000000'],
  ]
  test.each(cases)('writes %s', (_, write, expected) => {
    const a = new Assembler()
    write(a)
    expect(hex(a.bytes())).toBe(expected)
  })

  test('jumps forward and backward by instructions after the jump', () => {
    const a = new Assembler()
    a.label('top').jumpIf(R0, '==', 1, 'end').set(R0, 1).jump('top').label('end').exit()
    const view = new DataView(a.bytes().buffer)
    expect(view.getInt16(2, true)).toBe(2)
    expect(view.getInt16(2 * 8 + 2, true)).toBe(-3)
  })

  test('a label that is not there, or twice, is a defect of the program', () => {
    expect(() => new Assembler().jump('nowhere').bytes()).toThrow('nowhere')
    expect(() => new Assembler().label('x').label('x')).toThrow('once')
  })
})
