/**
 * A set of points in the space of the net's states, as columns: where they are, how often and when
 * they were seen. Grows as points are added; the bound is the caller's (memory.ts).
 */

/**
 * Prototypes are kept in steps of this, one byte a component: what is restored is what was kept.
 */
export const STEP = 1 / 8

export interface Points {
  count: number
  at: Float32Array
  seen: Uint32Array
  first: Uint32Array
  last: Uint32Array
  /** 1 where others may be near to it. */
  anchor: Uint32Array
}

const COLUMNS = ['seen', 'first', 'last', 'anchor'] as const

export function noPoints(): Points {
  return {
    count: 0,
    at: new Float32Array(0),
    seen: new Uint32Array(0),
    first: new Uint32Array(0),
    last: new Uint32Array(0),
    anchor: new Uint32Array(0),
  }
}

export function touch(to: Points, index: number, frameIndex: number): void {
  if (to.last[index] === frameIndex) return
  to.last[index] = frameIndex
  if (to.seen[index]! < 0xffffffff) to.seen[index]!++
}

export function add(
  to: Points,
  state: Float32Array,
  frameIndex: number,
  size: number,
  anchor = false,
): void {
  if ((to.count + 1) * size > to.at.length) {
    const room = Math.max(2, to.count * 2)
    const at = new Float32Array(room * size)
    at.set(to.at)
    to.at = at
    for (const column of COLUMNS) {
      const grown = new Uint32Array(room)
      grown.set(to[column])
      to[column] = grown
    }
  }
  to.at.set(state, to.count * size)
  to.seen[to.count] = 1
  to.first[to.count] = frameIndex
  to.last[to.count] = frameIndex
  to.anchor[to.count] = anchor ? 1 : 0
  to.count++
}

export function remove(from: Points, index: number, size: number): void {
  from.at.copyWithin(index * size, (index + 1) * size, from.count * size)
  for (const column of COLUMNS) {
    from[column].copyWithin(index, index + 1, from.count)
  }
  from.count--
}

export function leastSeen({ seen, last, count }: Points): number {
  let least = 0
  for (let i = 1; i < count; i++) {
    if (seen[i]! < seen[least]! || (seen[i] === seen[least] && last[i]! < last[least]!)) least = i
  }
  return least
}

export function mostRedundant({ at, seen, count }: Points, size: number): number {
  let index = 0
  let least = Number.POSITIVE_INFINITY
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      let sum = 0
      for (let i = 0; i < size && sum < least; i++) {
        sum += (at[a * size + i]! - at[b * size + i]!) ** 2
      }
      if (sum >= least) continue
      least = sum
      index = seen[a]! < seen[b]! ? a : b
    }
  }
  return index
}
