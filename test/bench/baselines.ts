/**
 * `agent compare`'s three baselines against scikit-learn (Debian: python3-sklearn), on the same
 * rows of laboratory A (28 classes, equal seconds as one weighted row), one thread each, CPU
 * seconds of the fit alone. Where both seek the same optimum, the loss says who has come how near:
 * a quick answer that has not arrived is not quick.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fitSvm } from '../../src/compare/linear-svm.ts'
import { fitSoftmax } from '../../src/compare/softmax-regression.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { RECIPES } from '../../src/model/recipe.ts'
import { chooseClasses } from '../../src/train/data/classes.ts'
import { componentVectors, makeWindows, vocabularyOf } from '../../src/train/data/dataset.ts'
import { readRecordings } from '../../src/train/data/recording.ts'
import { ALL_TRAIN } from '../../src/train/data/split.ts'
import { fitForest } from '../../src/train/forest/random-forest.ts'
import { type Rows, trainingRows } from '../../src/train/forest/rows.ts'

const RECORDING = 'models/recordings/lab-a/lab-a-normal.frames.ndjson.zst'
const CLASSES = 28
const TREES = 50

const SKLEARN = `
import json, sys, time, warnings
import numpy as np, scipy.sparse as sp
warnings.filterwarnings("ignore")
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.ensemble import RandomForestClassifier
d = sys.argv[1] + "/"
m = json.load(open(d + "shape.json"))
read = lambda name, kind: np.fromfile(d + name, kind)
x = sp.csr_matrix((read("values", np.float32).astype(float), read("columns", np.uint16).astype(np.int32),
    read("offsets", np.uint32).astype(np.int32)), shape=(m["size"], m["width"]))
y, w = read("labels", np.int32), read("weights", np.float32).astype(float)
def softmax_loss(model):
    s = x @ model.coef_.T + model.intercept_
    top = s.max(1)
    loss = np.log(np.exp(s - top[:, None]).sum(1)) + top - s[np.arange(len(y)), y]
    return (w * loss).sum() + (model.coef_ ** 2).sum() / 2
def hinge_loss(model):
    sign = np.where(y[:, None] == np.arange(m["classes"]), 1, -1)
    slack = np.maximum(0, 1 - sign * (x @ model.coef_.T + model.intercept_))
    return (w[:, None] * slack ** 2).sum() + ((model.coef_ ** 2).sum() + (model.intercept_ ** 2).sum()) / 2
for name, model, loss in [
    ("softmax, L-BFGS", LogisticRegression(max_iter=5000), softmax_loss),
    ("svm, dual", LinearSVC(), hinge_loss),
    ("svm, primal", LinearSVC(dual=False), hinge_loss),
    ("forest", RandomForestClassifier(m["trees"], random_state=1), lambda model: float(np.mean([t.tree_.node_count for t in model.estimators_]))),
]:
    began = time.process_time()
    model.fit(x, y, sample_weight=w)
    print(json.dumps([name, time.process_time() - began, loss(model)]))
`

async function rowsOfLaboratory(): Promise<Rows> {
  const windows = makeWindows(await readRecordings([RECORDING]), [], ALL_TRAIN, [], { stride: 10 })
  const classes = chooseClasses(windows.list, { most: CLASSES, background: false })
  const labels = Int32Array.from(windows.list, (window) => classes.of(window))
  const ids = Int32Array.from(labels.keys()).filter((id) => labels[id]! >= 0)
  const normaliser = new Normaliser(vocabularyOf(windows, new Set(['train'])), RECIPES.frequency!)
  const vectors = componentVectors(windows, normaliser)
  return trainingRows(windows, vectors, normaliser, ids, labels, classes.list.length)
}

function cpuSeconds<T>(work: () => T): [T, number] {
  const began = process.cpuUsage()
  const made = work()
  const { user, system } = process.cpuUsage(began)
  return [made, (user + system) / 1e6]
}

/** Σ weight · −ln p + |W|²/2, intercepts free. */
function softmaxLoss(rows: Rows, model: ReturnType<typeof fitSoftmax>): number {
  let loss = 0
  for (let i = 0; i < rows.width * rows.classes; i++) loss += model.weights[i]! ** 2 / 2
  for (let r = 0; r < rows.size; r++)
    loss -= rows.weights[r]! * Math.log(model.probabilities(rows, r)[rows.labels[r]!]!)
  return loss
}

/** Σ weight · max(0, 1 − y·w·x)² + |w|²/2 over all classes, intercepts among the weights. */
function hingeLoss(rows: Rows, { weights }: ReturnType<typeof fitSvm>): number {
  const stride = rows.width + 1
  let loss = 0
  for (const weight of weights) loss += weight ** 2 / 2
  for (let r = 0; r < rows.size; r++)
    for (let c = 0; c < rows.classes; c++) {
      let score = weights[c * stride + rows.width]!
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        score += weights[c * stride + rows.columns[k]!]! * rows.values[k]!
      loss += rows.weights[r]! * Math.max(0, 1 - (rows.labels[r] === c ? score : -score)) ** 2
    }
  return loss
}

export default {
  name: 'baselines',
  async run(): Promise<string[]> {
    const rows = await rowsOfLaboratory()
    const [softmax, softmaxSeconds] = cpuSeconds(() => fitSoftmax(rows))
    const [svm, svmSeconds] = cpuSeconds(() => fitSvm(rows))
    const [forest, forestSeconds] = cpuSeconds(() => fitForest(rows, { trees: TREES, seed: 1 }))
    const ours = new Map([
      ['softmax', { seconds: softmaxSeconds, loss: softmaxLoss(rows, softmax) }],
      ['svm', { seconds: svmSeconds, loss: hingeLoss(rows, svm) }],
      ['forest', { seconds: forestSeconds, loss: forest.nodes }],
    ])
    const lines = [
      `${rows.size} rows for ${rows.weights.reduce((a, b) => a + b, 0)} seconds, ${rows.width} wide, ${(rows.columns.length / rows.size).toFixed(1)} calls each, ${rows.classes} classes; ${TREES} trees`,
    ]
    for (const [name, { seconds, loss }] of ours)
      lines.push(`${name.padEnd(16)} ${seconds.toFixed(2)} s CPU, ${sayLoss(name, loss)}`)
    for (const [name, seconds, loss] of await theirs(rows)) {
      const own = ours.get(name.split(',')[0]!)!
      lines.push(
        `scikit-learn ${name}: ${seconds.toFixed(2)} s CPU, ${sayLoss(name, loss)}; ours takes ${(own.seconds / seconds).toFixed(2)} of it`,
      )
    }
    return lines
  },
}

const sayLoss = (name: string, loss: number) =>
  name === 'forest' ? `${Math.round(loss)} nodes a tree` : `loss ${loss.toFixed(2)}`

/** Nothing where scikit-learn is not installed. */
async function theirs(rows: Rows): Promise<[name: string, seconds: number, loss: number][]> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-baselines-'))
  try {
    const { size, width, classes } = rows
    await Bun.write(
      join(directory, 'shape.json'),
      JSON.stringify({ size, width, classes, trees: TREES }),
    )
    for (const name of ['offsets', 'columns', 'values', 'labels', 'weights'] as const)
      await Bun.write(join(directory, name), rows[name])
    const one = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' }
    const child = Bun.spawn(['/usr/bin/python3', '-c', SKLEARN, directory], {
      stdout: 'pipe',
      stderr: 'ignore',
      env: { ...process.env, ...one },
    })
    const text = await new Response(child.stdout).text()
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  } finally {
    await rm(directory, { recursive: true })
  }
}
