/**
 * A base that never saw four programs of a real host, and what becomes of it when its user brings a
 * recording of them.
 */
import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readDetectionCalibration } from '../../src/detect/calibration.ts'
import { importForest } from '../../src/model/forest-graph.ts'
import type { Manifest } from '../../src/model/manifest.ts'
import { openModel } from '../../src/model/model.ts'
import { recipeNamed } from '../../src/model/recipe.ts'
import type { OnnxTrees } from '../../src/platform/onnx/trees.ts'
import { type Recording, readRecordings } from '../../src/train/data/recording.ts'
import { splitByTime } from '../../src/train/data/split.ts'
import { evaluateWindows } from '../../src/train/evaluate/evaluate.ts'
import type { ClassFigures, Figures } from '../../src/train/evaluate/metrics.ts'
import { type Base, type ExtendOptions, extend } from '../../src/train/extend.ts'
import { exportNet, importNet } from '../../src/train/net/export.ts'
import { READOUT_FIT } from '../../src/train/net/fit-readout.ts'
import type { NetShape } from '../../src/train/net/nets.ts'
import { manifestText, sha256 } from '../../src/train/save-model.ts'
import { type Trained, train } from '../../src/train/train.ts'
import { TRAIN_DEFAULTS } from '../../src/train/train-options.ts'
import { programsOf } from '../support/left-out.ts'

/** Some seconds of CPU, and a busy machine has little of it. */
setDefaultTimeout(180_000)

const LEFT_OUT = new Set(['memcached', 'squid', 'node', 'vsftpd'])
const split = splitByTime({ train: 0.5, calibration: 0.2 }, 20)
const clock = { now: () => 1_790_000_000_000, monotonic: () => 0 }
const options: ExtendOptions = {
  stride: 2,
  windowsMin: 40,
  fit: { ...READOUT_FIT, perClassMax: 300 },
  code: 'test',
  name: 'grown',
}

let whole: Recording[]
let mine: Recording[]
let base: Base
let before: Figures

const filesOf = ({ onnx, manifest }: Pick<Trained, 'onnx' | 'manifest'>, where: string): Base => ({
  files: { onnx, manifest: new TextEncoder().encode(manifestText(manifest)) },
  where,
})

async function figuresFor({ files, where }: Base, recordings: readonly Recording[]) {
  const model = await openModel(files, where)
  const { figures } = await evaluateWindows(model, recordings, [], split, 'test')
  await model.close()
  return figures
}

beforeAll(async () => {
  whole = await readRecordings(['models/recordings/demo/baseline.frames.ndjson.zst'])
  mine = whole.map((recording) => programsOf(recording, (name) => LEFT_OUT.has(name)))
  const others = whole.map((recording) => programsOf(recording, (name) => !LEFT_OUT.has(name)))
  const trained = await train(
    { recordings: others, happenings: [], split },
    {
      ...TRAIN_DEFAULTS,
      recipe: recipeNamed('families-quiet'),
      hidden: 24,
      stride: 4,
      windowsMin: 40,
      name: 'base',
      code: 'test',
      fit: { ...TRAIN_DEFAULTS.fit, epochs: 4, learningRate: 0.01, perClassMax: 200 },
    },
    clock,
  )
  base = filesOf(trained, 'base')
  before = await figuresFor(base, others)
})

const among = ({ classes }: Figures, wanted: boolean): ClassFigures[] =>
  classes.filter(({ name }) => LEFT_OUT.has(name) === wanted)
const mean = (classes: readonly ClassFigures[], of: 'precision' | 'recall'): number =>
  classes.reduce((sum, figures) => sum + figures[of], 0) / classes.length

test('extend() learns programs that the base never saw, and the base forgets none of its own', async () => {
  const grown = await extend(base, { recordings: mine, happenings: [], split }, options, clock)
  const after = await figuresFor(filesOf(grown, 'grown'), whole)
  expect(mean(among(after, true), 'recall')).toBeGreaterThan(0.9)
  expect(mean(among(after, true), 'precision')).toBeGreaterThan(0.8)
  expect(mean(among(after, false), 'recall')).toBeGreaterThan(mean(before.classes, 'recall') - 0.02)
  const { manifest } = grown
  const was = manifestOf(base)
  expect(manifest.classes.map(({ name }) => name).slice(0, was.classes.length)).toEqual(
    was.classes.map(({ name }) => name),
  )
  expect(new Set(manifest.classes.slice(was.classes.length).map(({ name }) => name))).toEqual(
    LEFT_OUT,
  )
  expect(manifest.measured.base).toMatchObject({ id: was.id, classes: was.classes.length })
  expect((manifest.measured.base as { kept: number }).kept).toBeGreaterThan(0.97)
  expect(manifest.expires).toBe(was.expires)
  expect(manifest.data).toHaveLength(was.data.length + 2)
})

test('extend() keeps what detection measured of the old classes, and measures the new ones', async () => {
  const { manifest } = await extend(
    base,
    { recordings: mine, happenings: [], split },
    options,
    clock,
  )
  const was = manifestOf(base)
  const old = readDetectionCalibration(was.detection, was.classes.length, was.stateSize)
  const now = readDetectionCalibration(
    manifest.detection,
    manifest.classes.length,
    manifest.stateSize,
  )
  expect(now.whitening).toEqual(old.whitening)
  expect(now.prototypes.subarray(0, old.prototypes.length)).toEqual(old.prototypes)
  expect(now.radii.subarray(0, old.radii.length)).toEqual(old.radii)
  expect(now.unsure.subarray(0, old.unsure.length)).toEqual(old.unsure)
  for (let c = was.classes.length; c < manifest.classes.length; c++) {
    expect(now.offsets[c + 1]!).toBeGreaterThan(now.offsets[c]!)
    expect(now.unsure[c]!).toBeLessThan(0.5)
    expect(now.profiles[c]!.length).toBeGreaterThan(0)
  }
  expect(now.tails.claim.cold.threshold).toBeGreaterThanOrEqual(old.tails.claim.cold.threshold)
  expect(now.tails.claim.cold.scale).toBe(old.tails.claim.cold.scale)
})

test('extend() keeps the forest of a base for its classes, and new ones are not held down by it', async () => {
  const manifest = manifestOf(base)
  const net: NetShape = {
    arch: 'simple',
    width: manifest.width,
    frames: manifest.sequenceFrames,
    hidden: manifest.stateSize,
    classes: manifest.classes.length,
  }
  const parameters = importNet(net, base.files.onnx)
  // Two trees that vote for the first class whatever they see: whoever were capped by them would
  // show it.
  const trees: OnnxTrees = {
    targets: net.classes,
    columns: Int32Array.of(0, 0),
    splits: new Float32Array(2),
    left: Int32Array.of(0, 2),
    right: Int32Array.of(1, 3),
    leftLeaf: Uint8Array.of(1, 1),
    rightLeaf: Uint8Array.of(1, 1),
    leafTargets: new Int32Array(4),
    leafWeights: new Float32Array(4).fill(0.5),
    roots: Int32Array.of(0, 1),
  }
  const forest = { trees, known: net.classes, weight: 0.5, temperature: 1 }
  const onnx = exportNet(net, parameters, { forest, recipe: manifest.recipe })
  const facts = { trees: 2, nodes: 6, classes: net.classes, weight: 0.5 }
  const mixed = filesOf(
    { onnx, manifest: { ...manifest, id: sha256(onnx), forest: facts } },
    'mixed',
  )
  const data = { recordings: mine, happenings: [], split }
  const grown = await extend(mixed, data, options, clock)
  expect(grown.manifest.forest).toEqual(facts)
  expect(importForest(grown.onnx)).toEqual({
    ...forest,
    trees: { ...trees, targets: grown.manifest.classes.length },
  })
  const after = await figuresFor(filesOf(grown, 'grown'), whole)
  expect(mean(among(after, true), 'recall')).toBeGreaterThan(0.9)
  // The readout is the one that it would have been without the forest.
  const plain = await extend(base, data, options, clock)
  const wide = { ...net, classes: grown.manifest.classes.length }
  expect(importNet(wide, grown.onnx)).toEqual(importNet(wide, plain.onnx))
})

test('extend() takes windows of known programs as further examples of them', async () => {
  const own = whole.map((recording) => programsOf(recording, (name) => name === 'haproxy'))
  const grown = await extend(base, { recordings: own, happenings: [], split }, options, clock)
  const was = manifestOf(base)
  const windows = ({ classes }: Manifest) => classes.find(({ name }) => name === 'haproxy')!.windows
  expect(grown.manifest.classes).toHaveLength(was.classes.length)
  expect(windows(grown.manifest)).toBeGreaterThan(windows(was))
  expect(grown.warnings.join()).toContain('these recordings add no class')
})

test('extend() gives the same bytes for the same seed, and others for another', async () => {
  const run = async (seed: number) => {
    const fit = { ...options.fit, epochs: 1, seed }
    const grown = await extend(
      base,
      { recordings: mine, happenings: [], split },
      { ...options, fit },
      clock,
    )
    return grown.manifest.id
  }
  const first = await run(3)
  expect(await run(3)).toBe(first)
  expect(await run(4)).not.toBe(first)
})

test('extend() refuses a base without prototypes, and recordings with hardly a window', async () => {
  const { detection: _, ...bare } = manifestOf(base)
  const blind = filesOf({ onnx: base.files.onnx, manifest: bare }, 'blind')
  const data = { recordings: mine, happenings: [], split }
  await expect(extend(blind, data, options, clock)).rejects.toThrow('Cannot extend model "blind"')
  const short = mine.map((recording) => ({ ...recording, frames: recording.frames.slice(0, 15) }))
  await expect(extend(base, { ...data, recordings: short }, options, clock)).rejects.toThrow(
    'at least 50 are needed',
  )
})

function manifestOf({ files }: Base): Manifest {
  return JSON.parse(new TextDecoder().decode(files.manifest)) as Manifest
}
