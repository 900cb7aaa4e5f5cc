/** What a training run is asked for, and the defaults of `agent train`. */
import { type Recipe, recipeNamed } from '../model/recipe.ts'
import { WINDOWS_MIN } from './data/classes.ts'
import type { WindowForestOptions } from './forest/window-forest.ts'
import { FIT_DEFAULTS, type FitOptions } from './net/fit.ts'
import { ARCHS, type Arch } from './net/nets.ts'

export { ARCHS, recipeNamed }

export interface TrainOptions {
  readonly arch: Arch
  readonly hidden: number
  readonly recipe: Recipe
  readonly sequenceFrames: number
  /** Seconds in a frame: what the recordings count by the second is added up. */
  readonly frameSeconds: number
  readonly stride: number
  readonly windowsMin: number
  /** Only what calibration windows can measure is a class; other names are pooled, aloud. */
  readonly measuredOnly: boolean
  /**
   * Export over all known calls instead of those seen in training: same results, twice the cost.
   */
  readonly fullVocabulary: boolean
  readonly fit: FitOptions
  /** A forest beside the net. */
  readonly forest?: WindowForestOptions
  /** Days until the model is too old. */
  readonly validDays: number
  readonly code: string
  readonly name: string
}

export const TRAIN_DEFAULTS = {
  arch: 'simple',
  hidden: 64,
  sequenceFrames: 10,
  frameSeconds: 1,
  stride: 1,
  windowsMin: WINDOWS_MIN,
  measuredOnly: false,
  fullVocabulary: false,
  recipe: 'families-quiet',
  fit: FIT_DEFAULTS,
  validDays: 180,
} as const
