/**
 * What the type in a line means: a syscall by its index, or an event that is not a call.
 *
 * sysdig prints `switch`, `procexit`, `signaldeliver` and others among the calls; 0.29 gives some
 * of them a `syscall.type` as well. So only known names are calls, known other events are ignored,
 * and anything else is an unknown type, which the ledger counts.
 */
import { SYSCALLS, SYSDIG_ALIASES, syscallIndexOf } from '../domain/syscalls.ts'

/** Not a call. */
export const NO_CALL = -1
/** An unknown type. */
export const UNKNOWN_CALL = -2
/** sysdig's line for each thread that ends. */
export const PROCESS_EXIT = -3

const NO_CALLS = `
  <NA> switch sysdigevent signaldeliver procinfo drop cpu_hotplug container container_json k8s tracer mesos notification infra
  page_fault pluginevent async asyncevent useradded userdeleted groupadded groupdeleted scapevent NA1 null`

const MASK = 4_095
const table = new Int32Array(MASK + 1)
const types: { readonly bytes: Uint8Array; readonly value: number }[] = []

function learn(name: string, value: number): void {
  const bytes = new TextEncoder().encode(name)
  let at = hashOf(bytes, 0, bytes.length)
  while (table[at & MASK] !== 0) at++
  table[at & MASK] = types.push({ bytes, value })
}

for (const name of [...SYSCALLS.slice(1), ...Object.keys(SYSDIG_ALIASES)]) {
  learn(name, syscallIndexOf(name)!)
}
for (const name of NO_CALLS.trim().split(/\s+/)) learn(name, NO_CALL)
learn('procexit', PROCESS_EXIT)

const CLONES = ['clone', 'clone3', 'fork', 'vfork'].map((name) => syscallIndexOf(name))

/** Calls that return in two threads. */
export function isClone(type: number): boolean {
  return CLONES.includes(type)
}

/** Syscall index, or one of the negative constants above. */
export function callTypeOf(bytes: Uint8Array, from: number, to: number): number {
  let at = hashOf(bytes, from, to)
  for (let entry = table[at & MASK]!; entry !== 0; entry = table[at & MASK]!) {
    const type = types[entry - 1]!
    if (equals(type.bytes, bytes, from, to)) return type.value
    at++
  }
  return UNKNOWN_CALL
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

function equals(want: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (want.length !== to - from) return false
  for (let i = from; i < to; i++) if (want[i - from] !== bytes[i]) return false
  return true
}
