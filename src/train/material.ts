/**
 * What `train.ts` and `extend.ts` have in common: recordings become labelled windows before a net
 * is involved, and a new model is run over their hosts afterwards, for the calibration of
 * detection.
 */
import { JUDGED_AGE_FRAMES, TRAINING_VECTORS_MAX } from '../domain/limits.ts'
import type { AliasRule } from '../model/aliases.ts'
import type { Manifest } from '../model/manifest.ts'
import { openModel } from '../model/model.ts'
import { collectGarbage } from '../platform/heap.ts'
import { predictHosts } from './calibrate/predict-hosts.ts'
import { makeWindows, ordinaryNames, type Windows } from './data/dataset.ts'
import type { Recording } from './data/recording.ts'
import { type Happening, HappeningIndex } from './data/scenarios.ts'
import type { Part, Split } from './data/split.ts'
import type { Window } from './data/window.ts'
import { manifestText } from './save-model.ts'

export interface Recorded {
  readonly recordings: readonly Recording[]
  readonly happenings: readonly Happening[]
  readonly split: Split
}

export interface WindowShape {
  readonly sequenceFrames: number
  readonly frameSeconds: number
  readonly stride: number
}

export interface LabelledWindows<Classes> {
  readonly windows: Windows
  readonly classes: Classes
  /** Class of each window, −1 for none. */
  readonly labels: Int32Array
  /** All windows of the training part, with a class or without. */
  readonly training: Int32Array
  /** Windows of a part that have a class. */
  idsOf(part: Part): Int32Array
}

/** @param choose the classes, from the windows of the training part; sees what calibrates */
export function labelledWindows<Classes extends { of(window: Window): number }>(
  { recordings, happenings, split }: Recorded,
  aliases: readonly AliasRule[],
  { sequenceFrames, frameSeconds, stride }: WindowShape,
  choose: (training: readonly Window[], calibration: readonly Window[]) => Classes,
): LabelledWindows<Classes> {
  const windows = makeWindows(recordings, happenings, split, aliases, {
    frames: sequenceFrames,
    frameSeconds,
    stride: Math.max(stride, Math.ceil(vectorsOf(recordings) / TRAINING_VECTORS_MAX)),
    groups: true,
    ageMin: JUDGED_AGE_FRAMES,
  })
  const inPart = (part: Part) =>
    Int32Array.from(windows.list.flatMap((window, id) => (window.part === part ? [id] : [])))
  const training = inPart('train')
  const windowsOf = (ids: Int32Array) => Array.from(ids, (id) => windows.list[id]!)
  const classes = choose(windowsOf(training), windowsOf(inPart('calibration')))
  const labels = Int32Array.from(windows.list, (window) => classes.of(window))
  return {
    windows,
    classes,
    labels,
    training,
    idsOf: (part) => inPart(part).filter((id) => labels[id]! >= 0),
  }
}

/** The new model over the hosts it was made from, as the calibration of detection takes it. */
export async function throughNewModel(
  manifest: Manifest,
  onnx: Uint8Array,
  { recordings, happenings, split }: Recorded,
) {
  const bytes = new TextEncoder().encode(manifestText(manifest))
  const model = await openModel({ manifest: bytes, onnx }, 'new')
  const index = new HappeningIndex(happenings)
  collectGarbage()
  const hosts = await predictHosts(model, recordings, index, split)
  await model.close()
  return {
    classes: model.classes,
    stateSize: manifest.stateSize,
    hosts,
    ordinary: ordinaryNames(recordings, index),
  }
}

function vectorsOf(recordings: readonly Recording[]): number {
  return recordings.reduce((sum, { vectors }) => sum + vectors, 0)
}
