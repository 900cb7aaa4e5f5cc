/** Sample windows of each class, and which calls they make. */
import { SYSCALLS } from '../../domain/syscalls.ts'
import type { Windows } from './dataset.ts'

/** Calls in a class's profile. */
const PROFILE_CALLS = 24

/** At most this many ids of each class, evenly spaced over its windows. */
export function sampleByClass(ids: Int32Array, labels: Int32Array, perClass: number): Int32Array {
  const byClass = new Map<number, number[]>()
  for (const id of ids) {
    const list = byClass.get(labels[id]!)
    if (list === undefined) byClass.set(labels[id]!, [id])
    else list.push(id)
  }
  const sample: number[] = []
  for (const list of byClass.values()) {
    const step = Math.max(1, list.length / perClass)
    for (let at = 0; at < list.length; at += step) sample.push(list[Math.floor(at)]!)
  }
  return Int32Array.from(sample).sort()
}

/**
 * Mean share of each call in the windows of each class, its largest first: what an alert's `why`
 * expects.
 */
export function profilesOf(windows: Windows, ids: Int32Array, labels: Int32Array, classes: number) {
  const shares = Array.from({ length: classes }, () => new Map<number, number>())
  const sizes = new Float64Array(classes)
  const sums = new Map<number, number>()
  for (const id of ids) {
    sums.clear()
    let total = 0
    for (let t = 0; t < windows.frames; t++) {
      const vector = windows.rows[windows.list[id]!.at + t]!
      if (vector < 0) continue
      for (let k = windows.offsets[vector]!; k < windows.offsets[vector + 1]!; k++) {
        sums.set(windows.syscalls[k]!, (sums.get(windows.syscalls[k]!) ?? 0) + windows.counts[k]!)
        total += windows.counts[k]!
      }
    }
    const share = shares[labels[id]!]!
    sizes[labels[id]!]!++
    for (const [syscall, count] of sums)
      share.set(syscall, (share.get(syscall) ?? 0) + count / total)
  }
  return shares.map((share, c) =>
    [...share]
      .map(
        ([syscall, sum]) =>
          [SYSCALLS[syscall]!, Math.round((sum / sizes[c]!) * 10_000) / 10_000] as const,
      )
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .slice(0, PROFILE_CALLS)
      .filter(([, mean]) => mean > 0),
  )
}
