/**
 * FNV-1a, 64 bits, as 16 hex digits: alert ids must be the same for the same cause on the same input, on every
 * machine, without a clock. It names things; it does not protect them (nobody gains by two equal ids but the
 * one who hides his own alert behind his own other alert).
 */
const OFFSET = 0xcbf29ce484222325n
const PRIME = 0x100000001b3n
const MASK = 0xffffffffffffffffn

export function fnv1a64(text: string): string {
  let hash = OFFSET
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * PRIME) & MASK
  return hash.toString(16).padStart(16, '0')
}
