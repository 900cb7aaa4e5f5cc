/** The parts of a new model, fitted one after the other and put into one graph: net and forest. */
import { SYSCALLS } from '../domain/syscalls.ts'
import type { ForestPart } from '../model/forest-graph.ts'
import { Normaliser } from '../model/normalise.ts'
import type { Recipe } from '../model/recipe.ts'
import { collectGarbage } from '../platform/heap.ts'
import { fitTemperature } from './calibrate/temperature.ts'
import { fitWindowForest, movedTrees } from './forest/window-forest.ts'
import { exportNet, widen } from './net/export.ts'
import { type EpochReport, type Fitted, fit } from './net/fit.ts'
import type { NetShape, Parameters } from './net/nets.ts'
import { runNet } from './net/run-net.ts'
import type { TrainOptions } from './train-options.ts'
import type { TrainingMaterial } from './training-material.ts'

export interface FittedParts {
  readonly fitted: Fitted
  /** Undefined without `--forest`, and where it was told to stop before the first tree. */
  readonly forest: ForestPart | undefined
  /** Over the calls seen in training; what figures are measured with. */
  readonly onnx: Uint8Array
  /** What is shipped: `onnx`, or the same results over every call (`fullVocabulary`). */
  readonly shipped: { readonly onnx: Uint8Array; readonly width: number }
}

/** @param monotonic ms, only ever growing */
export async function fitParts(
  material: TrainingMaterial,
  options: TrainOptions,
  monotonic: () => number,
  report: (epoch: EpochReport) => void,
  signal?: AbortSignal,
): Promise<FittedParts> {
  const { net, data } = material
  const fitted = await fit(net, data, options.fit, monotonic, report, signal)
  collectGarbage()
  const { parameters } = fitted
  const forest = await forestBeside(material, parameters, options, signal)
  const { recipe } = options
  const onnx = exportNet(net, parameters, forest && { forest, recipe })
  const shipped = options.fullVocabulary
    ? overAllCalls(net, parameters, forest, data.normaliser, recipe)
    : { onnx, width: net.width }
  return { fitted, forest, onnx, shipped }
}

/** The forest, with the temperature of the net alone at which it is mixed. */
async function forestBeside(
  { net, data, batches }: TrainingMaterial,
  parameters: Parameters,
  { forest, recipe, fit: { seed } }: TrainOptions,
  signal?: AbortSignal,
): Promise<ForestPart | undefined> {
  if (forest === undefined) return undefined
  const trees = await fitWindowForest(net, recipe, data, forest, seed, signal)
  if (trees === undefined) return undefined
  const { logits } = await runNet(exportNet(net, parameters), net, batches, data.heldOut)
  const labels = data.heldOut.map((id) => data.labels[id]!)
  const { temperature } = fitTemperature(logits, labels, net.classes)
  return { trees, known: net.classes, weight: forest.weight, temperature }
}

/** The net, and the forest, over every call that the agent counts. */
function overAllCalls(
  net: NetShape,
  parameters: Parameters,
  forest: ForestPart | undefined,
  normaliser: Normaliser,
  recipe: Recipe,
) {
  const all = new Normaliser(SYSCALLS, recipe)
  const from = inputNames(normaliser, recipe)
  const to = inputNames(all, recipe)
  const wide = widen(net, parameters, from, to)
  const beside = forest && {
    // The forest's last column stands behind all those of the net.
    forest: {
      ...forest,
      trees: movedTrees(forest.trees, [...from.map((name) => to.indexOf(name)), to.length]),
    },
    recipe,
  }
  return { onnx: exportNet(wide.net, wide.parameters, beside), width: wide.net.width }
}

/** A name for each number of a row. */
function inputNames({ components }: Normaliser, { rate }: Recipe): string[] {
  if (rate === 'none') return [...components]
  if (rate !== 'log-counts') return [...components, 'rate of all']
  return [...components, ...components.map((name) => `rate of ${name}`)]
}
