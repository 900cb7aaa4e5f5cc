/**
 * A small assembler for eBPF: the kernel's own virtual machine, 64-bit instructions, eleven
 * registers. Why our own: LLVM weighs 190 MB, and the programs here have some hundred instructions.
 *
 * One method per instruction, named after what it does; jumps go to labels and are resolved in
 * `bytes()`. Only what program.ts needs is here. Whether a program is safe is not judged here: the
 * kernel's verifier does that, and its log is shown when it refuses.
 *
 * Encoding: opcode u8, registers u8 (source high, destination low), offset i16, immediate i32
 * (Documentation/bpf/standardization/instruction-set.rst).
 */
import { assert } from '../../domain/assert.ts'

/**
 * R0: what calls return. R1–R5: arguments, lost by each call. R6–R9: kept over calls. FP: end of
 * the 512-byte stack.
 */
export const R0 = 0
export const R1 = 1
export const R2 = 2
export const R3 = 3
export const R4 = 4
export const R5 = 5
export const R6 = 6
export const R7 = 7
export const R8 = 8
export const R9 = 9
export const FP = 10
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10

/** Helper functions of the kernel by number (uapi/linux/bpf.h, append-only there). */
export const HELPERS = {
  mapLookup: 1,
  mapUpdate: 2,
  getCurrentPidTgid: 14,
  getCurrentUidGid: 15,
  getCurrentComm: 16,
  getCurrentTask: 35,
  getCurrentCgroupId: 80,
  probeReadUser: 112,
  probeReadKernel: 113,
  probeReadUserStr: 114,
  probeReadKernelStr: 115,
  jiffies64: 118,
  seqWrite: 127,
  getCurrentTaskBtf: 158,
} as const
export type Helper = keyof typeof HELPERS

/** Bytes of a load or store. */
type Width = 1 | 2 | 4 | 8
const WIDTH_CODE: Record<Width, number> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 }

const PSEUDO_MAP_FD = 1
const PSEUDO_MAP_VALUE = 2
const ATOMIC_ADD = 0
const ATOMIC_COMPARE_EXCHANGE = 0xf1

type Condition = '==' | '!=' | '>' | '>=' | 'signed<'
const CONDITION_CODE: Record<Condition, number> = {
  '==': 0x10,
  '!=': 0x50,
  '>': 0x20,
  '>=': 0x30,
  'signed<': 0xc0,
}

export class Assembler {
  #code = new DataView(new ArrayBuffer(4096 * 8))
  #length = 0
  readonly #labels = new Map<string, number>()
  readonly #jumps: { at: number; label: string }[] = []

  /** Instructions so far. */
  get length(): number {
    return this.#length
  }

  // --- Moving ------------------------------------------------------------------------------------
  set(to: Register, value: number): this {
    return this.#emit(0xb7, to, 0, 0, value)
  }

  copy(to: Register, from: Register): this {
    return this.#emit(0xbf, to, from, 0, 0)
  }

  /** A constant of 64 bits: two instructions long. */
  set64(to: Register, value: bigint): this {
    this.#emit(0x18, to, 0, 0, Number(value & 0xffff_ffffn))
    return this.#emit(0, 0, 0, 0, Number((value >> 32n) & 0xffff_ffffn))
  }

  /** The kernel's pointer to the map behind a descriptor. */
  setMap(to: Register, descriptor: number): this {
    this.#emit(0x18, to, PSEUDO_MAP_FD, 0, descriptor)
    return this.#emit(0, 0, 0, 0, 0)
  }

  /** The address of the one value of an array map. */
  setMapValue(to: Register, descriptor: number): this {
    this.#emit(0x18, to, PSEUDO_MAP_VALUE, 0, descriptor)
    return this.#emit(0, 0, 0, 0, 0)
  }

  load(width: Width, to: Register, from: Register, offset: number): this {
    return this.#emit(0x61 | WIDTH_CODE[width], to, from, offset, 0)
  }

  store(width: Width, to: Register, offset: number, from: Register): this {
    return this.#emit(0x63 | WIDTH_CODE[width], to, from, offset, 0)
  }

  storeValue(width: Width, to: Register, offset: number, value: number): this {
    return this.#emit(0x62 | WIDTH_CODE[width], to, 0, offset, value)
  }

  // --- Arithmetic, 64 bits unsigned --------------------------------------------------------------
  add(to: Register, value: number): this {
    return this.#emit(0x07, to, 0, 0, value)
  }

  addRegister(to: Register, from: Register): this {
    return this.#emit(0x0f, to, from, 0, 0)
  }

  multiply(to: Register, from: Register): this {
    return this.#emit(0x2f, to, from, 0, 0)
  }

  subtract(to: Register, from: Register): this {
    return this.#emit(0x1f, to, from, 0, 0)
  }

  divide(to: Register, value: number): this {
    return this.#emit(0x37, to, 0, 0, value)
  }

  and(to: Register, value: number): this {
    return this.#emit(0x57, to, 0, 0, value)
  }

  orValue(to: Register, value: number): this {
    return this.#emit(0x47, to, 0, 0, value)
  }

  or(to: Register, from: Register): this {
    return this.#emit(0x4f, to, from, 0, 0)
  }

  shiftLeft(to: Register, bits: number): this {
    return this.#emit(0x67, to, 0, 0, bits)
  }

  /** @param bits a register with 0…63 */
  shiftLeftBy(to: Register, bits: Register): this {
    return this.#emit(0x6f, to, bits, 0, 0)
  }

  shiftRight(to: Register, bits: number): this {
    return this.#emit(0x77, to, 0, 0, bits)
  }

  /** *(u64 *)(to + offset) += from, whatever other CPUs do meanwhile. */
  atomicAdd(to: Register, offset: number, from: Register): this {
    return this.#emit(0xdb, to, from, offset, ATOMIC_ADD)
  }

  /** If *(u64 *)(to + offset) is R0 it becomes `from`; R0 = what it was. */
  compareExchange(to: Register, offset: number, from: Register): this {
    return this.#emit(0xdb, to, from, offset, ATOMIC_COMPARE_EXCHANGE)
  }

  // --- Going elsewhere ---------------------------------------------------------------------------
  label(name: string): this {
    assert(!this.#labels.has(name), `label "${name}" is set once`)
    this.#labels.set(name, this.#length)
    return this
  }

  jump(label: string): this {
    this.#jumps.push({ at: this.#length, label })
    return this.#emit(0x05, 0, 0, 0, 0)
  }

  jumpIf(left: Register, condition: Condition, value: number, label: string): this {
    this.#jumps.push({ at: this.#length, label })
    return this.#emit(0x05 | CONDITION_CODE[condition], left, 0, 0, value)
  }

  jumpIfRegister(left: Register, condition: Condition, right: Register, label: string): this {
    this.#jumps.push({ at: this.#length, label })
    return this.#emit(0x0d | CONDITION_CODE[condition], left, right, 0, 0)
  }

  call(helper: Helper): this {
    return this.#emit(0x85, 0, 0, 0, HELPERS[helper])
  }

  exit(): this {
    return this.#emit(0x95, 0, 0, 0, 0)
  }

  /** The program, every jump resolved. */
  bytes(): Uint8Array<ArrayBuffer> {
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label)
      assert(target !== undefined, `label "${label}" is set`)
      this.#code.setInt16(at * 8 + 2, target - at - 1, true)
    }
    return new Uint8Array(this.#code.buffer.slice(0, this.#length * 8) as ArrayBuffer)
  }

  #emit(opcode: number, to: number, from: number, offset: number, immediate: number): this {
    const at = this.#length++ * 8
    assert(
      at < this.#code.byteLength,
      'a program of ours stays below the old bound of 4,096 instructions',
    )
    this.#code.setUint8(at, opcode)
    this.#code.setUint8(at + 1, (from << 4) | to)
    this.#code.setInt16(at + 2, offset, true)
    this.#code.setInt32(at + 4, immediate | 0, true)
    return this
  }
}
