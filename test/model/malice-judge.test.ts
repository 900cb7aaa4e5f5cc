import { describe, expect, test } from 'bun:test'
import { hostRowWidth } from '../../src/model/host-rows.ts'
import { MaliceJudge, maliceOf, readMalice, writeMalice } from '../../src/model/malice-judge.ts'
import type { ManifestClass } from '../../src/model/manifest.ts'
import { sparseRow } from '../../src/model/row-set.ts'
import { fitMalice, type MaliceExample } from '../../src/train/forest/malice-forest.ts'
import { Random } from '../../src/train/random.ts'

const WIDTH = 4
const entry = (name: string, malicious: boolean): ManifestClass => ({
  ...{ name, malicious, generic: false, background: name === 'other programs', windows: 1 },
})
const CLASSES = [
  entry('nginx', false),
  entry('other programs', false),
  entry('file encryption', true),
  entry('network scan', true),
]

/** Programs differ a little; what is malicious has much in one column of its behaviour. */
function examples(): MaliceExample[] {
  const random = new Random(3)
  const list: MaliceExample[] = []
  for (let program = 0; program < 60; program++) {
    const label = program < 12 ? 2 : program < 24 ? 3 : -1
    for (let i = 0; i < 20; i++) {
      const dense = new Float32Array(hostRowWidth(WIDTH))
      for (let c = 0; c < WIDTH; c++) dense[c] = 0.3 * random.next()
      if (label >= 0) dense[label] = 0.5 + 0.4 * random.next()
      list.push({ row: sparseRow(dense), label, program: `p${program}` })
    }
  }
  return list
}

const fitted = fitMalice(examples(), CLASSES, WIDTH, { trees: 12, leafMin: 3, seed: 1 })!
const judge = new MaliceJudge(fitted.table, { width: WIDTH, frames: 1, background: 1 })

/** What becomes of the net's word on a window that makes these calls. */
function judged(row: readonly number[], said: readonly number[]): number[] {
  const probabilities = Float32Array.from(said)
  judge.apply(probabilities, 1, 4, {
    rows: Float32Array.from(row),
    calls: Float32Array.of(10),
  })
  return [...probabilities]
}

describe('MaliceJudge', () => {
  test('is right about programs and implementations that its trees had not seen', () => {
    expect(fitted.figures.auc).toBeGreaterThan(0.99)
    expect(fitted.figures.recall).toBeGreaterThan(0.9)
    expect(fitted.figures.falseShare).toBeLessThan(0.02)
  })

  test('overrules the net on malice, and leaves it its word on which program it is', () => {
    const ordinary = judged([0.1, 0.1, 0.1, 0.1], [0.06, 0.02, 0.9, 0.02])
    expect(ordinary[2]! + ordinary[3]!).toBeLessThan(0.1)
    expect(ordinary[0]! / ordinary[1]!).toBeCloseTo(3, 3)
    const encrypts = judged([0.1, 0.1, 0.7, 0.1], [0.98, 0.02, 0, 0])
    expect(encrypts[2]!).toBeGreaterThan(0.5)
    expect(encrypts[2]!).toBeGreaterThan(encrypts[3]!)
    for (const row of [ordinary, encrypts]) expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
  })

  test('takes what the net found nothing ordinary in, and is not malicious, for another program', () => {
    expect(judged([0.1, 0.1, 0.1, 0.1], [0, 0, 1, 0])[1]!).toBeGreaterThan(0.9)
  })
})

test('maliceOf() rises with the votes, and is never sure', () => {
  const shares = [0, 0.2, 0.5, 0.9, 1].map((votes) => maliceOf(fitted.table, votes))
  expect(shares.toSorted((a, b) => a - b)).toEqual(shares)
  expect(shares[0]!).toBeGreaterThan(0)
  expect(shares.at(-1)!).toBeLessThan(1)
})

test('fitMalice() asks for enough programs to say anything of others', () => {
  const few = examples().filter(({ program }) => Number(program.slice(1)) < 30)
  expect(fitMalice(few, CLASSES, WIDTH, { trees: 2, leafMin: 3, seed: 1 })).toBeUndefined()
})

test('readMalice() gives back what was written, and nothing that is damaged', () => {
  const malicious = CLASSES.map((of) => of.malicious)
  const written = JSON.parse(JSON.stringify(writeMalice(fitted.table)))
  expect(readMalice(written, WIDTH, malicious)).toEqual(fitted.table)
  for (const changed of [
    7,
    { ...written, classes: [0, 3] },
    { ...written, classes: [2] },
    { ...written, slope: -1 },
    { ...written, shift: '0' },
    { ...written, trees: { ...written.trees, left: '' } },
  ])
    expect(readMalice(changed, WIDTH, malicious) === undefined).toBe(true)
  expect(readMalice(written, 0, malicious) === undefined).toBe(true)
})
