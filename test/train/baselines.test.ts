/**
 * The three baselines on problems whose answer is known, and against scikit-learn on the same rows where it
 * is installed (Debian: python3-sklearn). It is a witness, not a dependency.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { fitSvm } from '../../src/train/baselines/linear-svm.ts'
import { fitForest } from '../../src/train/baselines/random-forest.ts'
import { type RowClassifier, type Rows, vote } from '../../src/train/baselines/rows.ts'
import { fitSoftmax, SOFTMAX_DEFAULTS } from '../../src/train/baselines/softmax-regression.ts'
import { Random } from '../../src/train/random.ts'

setDefaultTimeout(120_000)

const python = '/usr/bin/python3'
const hasSklearn =
  Bun.which(python) !== null &&
  Bun.spawnSync([python, '-c', 'import sklearn'], { stdout: 'ignore', stderr: 'ignore' }).success

interface Row {
  readonly cells: readonly (readonly [column: number, value: number])[]
  readonly label: number
}

function rowsOf(
  list: readonly Row[],
  width: number,
  classes: number,
  weights?: readonly number[],
): Rows {
  const offsets = [0]
  for (const { cells } of list) offsets.push(offsets.at(-1)! + cells.length)
  return {
    size: list.length,
    width,
    classes,
    offsets: Uint32Array.from(offsets),
    columns: Uint16Array.from(list.flatMap(({ cells }) => cells.map(([column]) => column))),
    values: Float32Array.from(list.flatMap(({ cells }) => cells.map(([, value]) => value))),
    labels: Int32Array.from(list, ({ label }) => label),
    weights: Float32Array.from(list, (_, i) => weights?.[i] ?? 1),
  }
}

/** Shares of calls drawn around each class's own; a third of the columns are nobody's. */
function drawn(count: number, classes: number, width: number, seed: number): Row[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const label = random.below(classes)
    const counts = new Map<number, number>()
    for (let k = 0; k < 12; k++) {
      const own = random.next() < 0.45
      const column = own ? (label * 3 + random.below(4)) % width : random.below(width)
      counts.set(column, (counts.get(column) ?? 0) + 1)
    }
    const cells = [...counts]
      .sort((a, b) => a[0] - b[0])
      .map(([column, n]) => [column, n / 12] as const)
    return { label, cells }
  })
}

function accuracy(classifier: RowClassifier, rows: Rows): number {
  let right = 0
  for (let r = 0; r < rows.size; r++) if (classifier.predict(rows, r) === rows.labels[r]) right++
  return right / rows.size
}

const FITS: readonly (readonly [string, (rows: Rows) => RowClassifier])[] = [
  ['fitSoftmax()', (rows) => fitSoftmax(rows)],
  ['fitSvm()', (rows) => fitSvm(rows)],
  ['fitForest()', (rows) => fitForest(rows, { trees: 20, seed: 1 })],
]

describe.each(FITS)('%s', (_, fit) => {
  test('tells classes apart that one column tells apart', () => {
    const rows = rowsOf(
      Array.from({ length: 60 }, (_, i) => ({ label: i % 3, cells: [[i % 3, 1] as const] })),
      4,
      3,
    )
    expect(accuracy(fit(rows), rows)).toBe(1)
  })

  test('gives the same on every run', () => {
    const train = rowsOf(drawn(300, 4, 15, 1), 15, 4)
    const test = rowsOf(drawn(200, 4, 15, 2), 15, 4)
    const predict = () => {
      const classifier = fit(train)
      return Array.from({ length: test.size }, (_, r) => classifier.predict(test, r))
    }
    expect(predict()).toEqual(predict())
  })

  test('takes a row of weight three as three rows', () => {
    const [a, b] = [
      { label: 0, cells: [[0, 1] as const] },
      { label: 1, cells: [[0, 1] as const] },
    ]
    const classifier = fit(rowsOf([a, b], 1, 2, [1, 30]))
    expect(classifier.predict(rowsOf([a], 1, 2), 0)).toBe(1)
  })
})

test('fitForest() separates what no line separates', () => {
  const corner = (x: number, y: number): Row => ({
    label: x === y ? 0 : 1,
    cells: [...(x > 0 ? [[0, 1] as const] : []), ...(y > 0 ? [[1, 1] as const] : [])],
  })
  const rows = rowsOf(
    Array.from({ length: 80 }, (_, i) => corner(i & 1, (i >> 1) & 1)),
    2,
    2,
  )
  expect(accuracy(fitForest(rows, { trees: 10, seed: 3 }), rows)).toBe(1)
})

test('fitSvm() reaches the optimum: no weight can move without loss', () => {
  const rows = rowsOf(drawn(120, 3, 10, 5), 10, 3)
  const { weights } = fitSvm(rows, { c: 1, passesMax: 2_000, tolerance: 1e-6, seed: 1 })
  const stride = rows.width + 1
  for (let c = 0; c < rows.classes; c++) {
    // Gradient of |w|²/2 + Σ max(0, 1 − y·w·x)², which is zero where it is least.
    const gradient = [...weights.subarray(c * stride, (c + 1) * stride)]
    for (let r = 0; r < rows.size; r++) {
      const sign = rows.labels[r] === c ? 1 : -1
      let score = weights[c * stride + rows.width]!
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        score += weights[c * stride + rows.columns[k]!]! * rows.values[k]!
      const slack = Math.max(0, 1 - sign * score)
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        gradient[rows.columns[k]!]! -= 2 * slack * sign * rows.values[k]!
      gradient[rows.width]! -= 2 * slack * sign
    }
    expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-4)
  }
})

test('vote() takes the majority of the active seconds, of equals the lower class', () => {
  const rows = rowsOf(
    [
      { label: -1, cells: [] },
      { label: -1, cells: [] },
      { label: -1, cells: [] },
    ],
    1,
    3,
  )
  const classifier: RowClassifier = { predict: (_, r) => [2, 1, 1][r]! }
  const windows = {
    frames: 4,
    list: [{ at: 0 }, { at: 4 }, { at: 8 }],
    rows: Int32Array.from([0, -1, 1, 2, 0, -1, -1, 1, 0, -1, -1, -1]),
  } as unknown as Parameters<typeof vote>[1]
  const seen = { rows, rowOf: Int32Array.from([0, 1, 2]) }
  expect([...vote(classifier, windows, Int32Array.from([0, 1, 2]), seen)]).toEqual([1, 1, 2])
})

const AGREE = `
import json, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.ensemble import RandomForestClassifier
d = json.load(sys.stdin)
def dense(rows):
    x = np.zeros((len(rows), d["width"]))
    for i, r in enumerate(rows):
        for c, v in r["cells"]: x[i, c] = v
    return x, np.array([r["label"] for r in rows])
x, y = dense(d["train"]); tx, ty = dense(d["test"])
models = [LogisticRegression(C=1, max_iter=2000), LinearSVC(C=1, max_iter=20000, tol=1e-5), RandomForestClassifier(40, random_state=1)]
print(json.dumps([m.fit(x, y).predict(tx).tolist() for m in models]))
`

test.skipIf(!hasSklearn)(
  'the three agree with scikit-learn on rows that none of them gets all right',
  () => {
    const train = drawn(1_500, 6, 24, 11)
    const list = drawn(800, 6, 24, 12)
    const rows = rowsOf(list, 24, 6)
    const witness = Bun.spawnSync([python, '-c', AGREE], {
      stdin: Buffer.from(JSON.stringify({ width: 24, train, test: list })),
    })
    const theirs = JSON.parse(witness.stdout.toString()) as number[][]
    const ours = [
      fitSoftmax(rowsOf(train, 24, 6), { ...SOFTMAX_DEFAULTS, epochs: 60 }),
      fitSvm(rowsOf(train, 24, 6)),
      fitForest(rowsOf(train, 24, 6), { trees: 40, seed: 1 }),
    ]
    const share = (count: number) => count / rows.size
    for (const [i, classifier] of ours.entries()) {
      const predicted = Array.from({ length: rows.size }, (_, r) => classifier.predict(rows, r))
      const same = share(predicted.filter((label, r) => label === theirs[i]![r]).length)
      const right = share(predicted.filter((label, r) => label === rows.labels[r]).length)
      const theirRight = share(theirs[i]!.filter((label, r) => label === rows.labels[r]).length)
      expect(right).toBeLessThan(1)
      expect(Math.abs(right - theirRight)).toBeLessThan(0.03)
      // Two forests differ by chance; two optima of one convex problem do not.
      expect(same).toBeGreaterThan(i < 2 ? 0.985 : 0.85)
    }
  },
)
