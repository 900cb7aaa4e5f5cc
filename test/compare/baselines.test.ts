/**
 * The three baselines on problems whose answer is known, and against scikit-learn on the same rows
 * where it is installed (Debian: python3-sklearn). It is a witness, not a dependency.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { factorise, solve } from '../../src/compare/cholesky.ts'
import { fitSvm } from '../../src/compare/linear-svm.ts'
import { fitSoftmax, SOFTMAX_DEFAULTS } from '../../src/compare/softmax-regression.ts'
import { fitForest } from '../../src/train/forest/random-forest.ts'
import { type RowClassifier, type Rows, vote } from '../../src/train/forest/rows.ts'
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

const FOREST = { trees: 40, seed: 1 }

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

test('fitForest() splits where Gini says: at the one cut that leaves two pure sides', () => {
  // One column, so that every tree sees it; classes change between 0.3 and 0.4 only.
  const rows = rowsOf(
    Array.from({ length: 90 }, (_, i) => ({
      label: i % 9 < 3 ? 0 : 1,
      cells: [[0, (1 + (i % 9)) / 10] as const],
    })),
    1,
    2,
  )
  const forest = fitForest(rows, { trees: 5, seed: 2 })
  const at = (value: number) => [
    ...forest.probabilities(rowsOf([{ label: 0, cells: [[0, value]] }], 1, 2), 0),
  ]
  // In the middle between the two: 0.35.
  for (const value of [0.05, 0.2, 0.3, 0.34]) expect(at(value)).toEqual([1, 0])
  for (const value of [0.36, 0.4, 0.65, 0.9, 5]) expect(at(value)).toEqual([0, 1])
})

test('fitSvm() reaches the optimum: no weight can move without loss, heavy rows or light', () => {
  const list = drawn(120, 3, 10, 5)
  const rows = rowsOf(
    list,
    10,
    3,
    list.map((_, i) => (i % 7 === 0 ? 5_000 : 1)),
  )
  const { weights, converged } = fitSvm(rows)
  expect(converged).toBe(true)
  const stride = rows.width + 1
  for (let c = 0; c < rows.classes; c++) {
    // Gradient of |w|²/2 + Σ max(0, 1 − y·w·x)², which is zero where it is least.
    const gradient = [...weights.subarray(c * stride, (c + 1) * stride)]
    for (let r = 0; r < rows.size; r++) {
      const sign = rows.labels[r] === c ? 1 : -1
      let score = weights[c * stride + rows.width]!
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        score += weights[c * stride + rows.columns[k]!]! * rows.values[k]!
      const by = -2 * rows.weights[r]! * Math.max(0, 1 - sign * score) * sign
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        gradient[rows.columns[k]!]! += by * rows.values[k]!
      gradient[rows.width]! += by
    }
    expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-6)
  }
})

test('fitSoftmax() reaches the optimum: no weight can move without loss, intercepts free', () => {
  const list = drawn(150, 3, 10, 6)
  const rows = rowsOf(
    list,
    10,
    3,
    list.map((_, i) => (i % 9 === 0 ? 800 : 1)),
  )
  const c = 0.5
  const model = fitSoftmax(rows, { ...SOFTMAX_DEFAULTS, c, tolerance: 1e-9 })
  expect(model.converged).toBe(true)
  // Gradient of Σ weight · −ln p(label) + |W|²/(2C).
  const gradient = Array.from(model.weights, (weight, i) =>
    i < rows.width * rows.classes ? weight / c : 0,
  )
  for (let r = 0; r < rows.size; r++) {
    const p = [...model.probabilities(rows, r)]
    expect(p.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9)
    for (let k = 0; k < rows.classes; k++) {
      const by = rows.weights[r]! * (p[k]! - (rows.labels[r] === k ? 1 : 0))
      for (let i = rows.offsets[r]!; i < rows.offsets[r + 1]!; i++)
        gradient[rows.columns[i]! * rows.classes + k]! += by * rows.values[i]!
      gradient[rows.width * rows.classes + k]! += by
    }
  }
  expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-4)
})

test('factorise() and solve() undo a product, at any place of a larger array', () => {
  const random = new Random(4)
  const n = 9
  const at = 5
  const root = Array.from({ length: n }, () => Array.from({ length: n }, () => random.normal()))
  const matrix = new Float64Array(at + n * n)
  const cell = (i: number, j: number) =>
    root[i]!.reduce((sum, value, k) => sum + value * root[j]![k]!, i === j ? 1 : 0)
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) matrix[at + i * n + j] = cell(i, j)
  const x = Array.from({ length: n }, () => random.normal())
  const b = Float64Array.from([
    0,
    0,
    ...x.map((_, i) => x.reduce((sum, value, j) => sum + cell(i, j) * value, 0)),
  ])
  factorise(matrix, n, at)
  solve(matrix, n, b, at, 2)
  for (const [i, value] of x.entries()) expect(b[2 + i]!).toBeCloseTo(value, 9)
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
x, y = dense(d["train"]); tx, ty = dense(d["test"]); w = np.array(d["weights"], float)
lr = LogisticRegression(C=1, max_iter=20000, tol=1e-8).fit(x, y, w)
svm = LinearSVC(C=1, max_iter=200000, tol=1e-8).fit(x, y, w)
rf = RandomForestClassifier(40, random_state=1).fit(np.repeat(x, d["weights"], 0), np.repeat(y, d["weights"]))
print(json.dumps({
    "predicted": [m.predict(tx).tolist() for m in (lr, svm, rf)],
    "probabilities": lr.predict_proba(tx).ravel().tolist(),
    "nodes": float(np.mean([tree.tree_.node_count for tree in rf.estimators_])),
    "svm": np.hstack([svm.coef_, svm.intercept_[:, None]]).ravel().tolist(),
}))
`

test.skipIf(!hasSklearn)(
  'the three agree with scikit-learn: the linear ones number by number, the forests as two forests do',
  () => {
    const [width, classes] = [24, 6]
    const train = drawn(1_500, classes, width, 11)
    const weights = train.map((_, i) => (i % 10 === 0 ? 4 : 1))
    const list = drawn(800, classes, width, 12)
    const rows = rowsOf(list, width, classes)
    const learnt = rowsOf(train, width, classes, weights)
    const witness = Bun.spawnSync([python, '-c', AGREE], {
      stdin: Buffer.from(JSON.stringify({ width, train, weights, test: list })),
    })
    const theirs = JSON.parse(witness.stdout.toString()) as {
      predicted: number[][]
      probabilities: number[]
      svm: number[]
      nodes: number
    }
    const softmax = fitSoftmax(learnt, { ...SOFTMAX_DEFAULTS, tolerance: 1e-9 })
    const svm = fitSvm(learnt)
    for (const [i, weight] of svm.weights.entries())
      expect(Math.abs(weight - theirs.svm[i]!)).toBeLessThan(1e-3)
    for (let r = 0; r < rows.size; r++)
      for (const [c, p] of softmax.probabilities(rows, r).entries())
        expect(Math.abs(p - theirs.probabilities[r * classes + c]!)).toBeLessThan(1e-4)
    const forest = fitForest(learnt, FOREST)
    // Trees of poor splits classify as well here, but grow larger.
    expect(Math.abs(forest.nodes / theirs.nodes - 1)).toBeLessThan(0.1)
    const share = (count: number) => count / rows.size
    for (const [i, classifier] of [softmax, svm, forest].entries()) {
      const predicted = Array.from({ length: rows.size }, (_, r) => classifier.predict(rows, r))
      const same = share(predicted.filter((label, r) => label === theirs.predicted[i]![r]).length)
      const right = (labels: number[]) =>
        share(labels.filter((label, r) => label === rows.labels[r]).length)
      expect(right(predicted)).toBeLessThan(1)
      expect(Math.abs(right(predicted) - right(theirs.predicted[i]!))).toBeLessThan(0.03)
      // Two forests differ by chance; two optima of one convex problem do not.
      expect(same).toBeGreaterThan(i < 2 ? 0.998 : 0.85)
    }
  },
)
