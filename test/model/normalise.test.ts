import { expect, test } from 'bun:test'
import { SYSCALLS, syscallIndexOf } from '../../src/domain/syscalls.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { CALL_FAMILIES, RECIPES, recipeNamed } from '../../src/model/recipe.ts'

const EXAMPLE = ['exit', 'fork', 'read', 'write', 'open', 'close', 'other']

function rowOf(normaliser: Normaliser, counts: Record<string, number>): number[] {
  const names = Object.keys(counts)
  const out = new Float32Array(normaliser.width + 2)
  normaliser.row(
    names.map((name) => syscallIndexOf(name)!),
    Object.values(counts),
    0,
    names.length,
    out,
    1,
  )
  expect([out[0], out.at(-1)]).toEqual([0, 0]) // writes only its own row
  return [...out.subarray(1, -1)]
}

test("Normaliser.row() gives the paper's two seconds with the recipe frequency [Paper III-B]", () => {
  const normaliser = new Normaliser(EXAMPLE, RECIPES.frequency!)
  // The list of calls in the text has one read and one write more than its table; the table is what
  // it normalises.
  const first = rowOf(normaliser, { fork: 1, read: 3, write: 2, open: 1 })
  const second = rowOf(normaliser, { exit: 1, read: 1, write: 2, close: 1 })
  const cut = (row: number[]) => row.map((share) => Math.floor(share * 1000 + 1e-4) / 1000)
  expect(cut(first)).toEqual([0, 0.142, 0.428, 0.285, 0.142, 0, 0])
  expect(cut(second)).toEqual([0.2, 0, 0.2, 0.4, 0, 0.2, 0])
})

test('Normaliser.row() sums to 1, or to 0 in an idle second, and is never NaN', () => {
  const normaliser = new Normaliser(EXAMPLE, RECIPES.frequency!)
  const sum = (row: number[]) => row.reduce((a, b) => a + b, 0)
  expect(sum(rowOf(normaliser, { read: 4_294_967_295, write: 1, brk: 7 }))).toBeCloseTo(1, 6)
  expect(rowOf(normaliser, {})).toEqual(new Array(normaliser.width).fill(0))
})

test('Normaliser.row() puts a call that the model does not know into "other"', () => {
  const row = rowOf(new Normaliser(EXAMPLE, RECIPES.frequency!), { read: 1, io_uring_enter: 3 })
  expect(row).toEqual([0, 0, 0.25, 0, 0, 0, 0.75])
})

test('Normaliser.row() adds up a family before it is normalised, also members that the vocabulary lacks', () => {
  const normaliser = new Normaliser(['other', 'openat', 'read'], RECIPES['families-frequency']!)
  expect(normaliser.components).toEqual(['other', 'open', 'read'])
  expect(rowOf(normaliser, { openat: 1, open: 1, openat2: 1, read: 1 })).toEqual([0, 0.75, 0.25])
})

test('Normaliser.row() takes the square root of a family once, not once per member', () => {
  const normaliser = new Normaliser(['other', 'openat', 'open', 'read'], RECIPES.families!)
  const row = rowOf(normaliser, { openat: 2, open: 1, read: 1 })
  expect(row[1]).toBeCloseTo(Math.sqrt(0.75), 6)
  expect(row[2]).toBeCloseTo(0.5, 6)
})

test('Normaliser.row() puts rates beside the shares', () => {
  const total = new Normaliser(['other', 'read'], RECIPES['families-rate']!)
  expect(rowOf(total, { read: 9 })[2]).toBeCloseTo(Math.log(10) / 10, 6)
  const counts = new Normaliser(['other', 'read'], RECIPES['frequency-counts']!)
  expect(counts.width).toBe(4)
  expect(rowOf(counts, { read: 9 })[3]).toBeCloseTo(Math.log(10) / 10, 6)
})

test('Normaliser.row() tells one quiet call from two from more, and nothing of the load', () => {
  const normaliser = new Normaliser(['other', 'read'], RECIPES['families-quiet']!)
  const quiet = [1, 2, 3, 4, 5_000].map((count) => rowOf(normaliser, { read: count })[2]!)
  expect(quiet.map((value) => Math.round(value * 1000) / 1000)).toEqual([0.5, 0.792, 1, 1, 1])
  expect(rowOf(normaliser, {})[2]).toBe(0)
})

test('Normaliser.rowOfComponents() gives what row() gives', () => {
  for (const recipe of Object.values(RECIPES)) {
    const normaliser = new Normaliser(SYSCALLS, recipe)
    const direct = rowOf(normaliser, { openat: 2, read: 5, close: 3 })
    const merged = new Float32Array(normaliser.width)
    const at = ['openat', 'read', 'close'].map(
      (name) => normaliser.componentOf[syscallIndexOf(name)!]!,
    )
    normaliser.rowOfComponents(at, [2, 5, 3], 0, 3, merged, 0)
    expect([...merged]).toEqual(direct)
  }
})

test('CALL_FAMILIES holds only known calls, each once', () => {
  const names = CALL_FAMILIES.flat()
  expect(names.filter((name) => syscallIndexOf(name) === undefined)).toEqual([])
  expect(new Set(names).size).toBe(names.length)
})

test('recipeNamed() lists what there is where it does not know a name', () => {
  expect(() => recipeNamed('toString')).toThrow('there is no such recipe')
})
