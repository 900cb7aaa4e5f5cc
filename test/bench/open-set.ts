/**
 * How well a window of a program that no class knows can be told from one that has a class: AUROC
 * of the scores that a net gives for nothing, by leaving eight programs out of training at a time.
 * What the detector uses beside the net's word is the distance in state space; this is why.
 */
import { readDetectionCalibration } from '../../src/detect/calibration.ts'
import { nearest, whiten } from '../../src/detect/geometry.ts'
import { classDistance } from '../../src/detect/judge.ts'
import { ALIAS_RULES } from '../../src/model/aliases.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { Batches } from '../../src/train/data/batches.ts'
import { componentVectors, makeWindows } from '../../src/train/data/dataset.ts'
import type { Recording } from '../../src/train/data/recording.ts'
import { argmaxRows, auroc } from '../../src/train/evaluate/metrics.ts'
import { runNet } from '../../src/train/net/run-net.ts'
import type { Trained } from '../../src/train/train.ts'
import { baseWithout, drawsOf, laboratoryA, split } from './left-out-base.ts'
import type { Bench } from './run.ts'

const DRAWS = 3
const PROGRAMS = 8
const SCORES = ['softmax', 'energy', 'nearest prototype', 'own prototypes / radius'] as const
type Scores = Record<(typeof SCORES)[number], number>

const bench: Bench = {
  name: 'open-set',
  async run() {
    const recordings = await laboratoryA()
    const lines = [
      `AUROC of left-out against known windows of laboratory A's last fifth; in brackets the mean over the programs`,
    ]
    const all: Scored[] = []
    for (const names of drawsOf(recordings, DRAWS, PROGRAMS)) {
      const left = new Set(names)
      const scored = await scoresOf(await baseWithout(recordings, left), recordings, left)
      all.push(...scored)
      lines.push(`without ${names.join(', ')}: ${figures(scored)}`)
    }
    return [...lines, `all ${DRAWS} draws: ${figures(all)}`]
  },
}
export default bench

interface Scored {
  readonly name: string
  /** Undefined where it has a class. */
  readonly leftOut: boolean
  readonly scores: Scores
}

/** Every score grows with strangeness. */
async function scoresOf(
  { onnx, manifest }: Trained,
  recordings: readonly Recording[],
  left: ReadonlySet<string>,
): Promise<Scored[]> {
  const count = manifest.classes.length
  const calibration = readDetectionCalibration(manifest.detection, count, manifest.stateSize)
  const windows = makeWindows(recordings, [], split, ALIAS_RULES, { stride: 5 })
  const classNames = new Set(manifest.classes.map(({ name }) => name))
  const ids = Int32Array.from(
    windows.list.flatMap(({ part, name }, id) =>
      part === 'test' && (left.has(name) || classNames.has(name)) ? [id] : [],
    ),
  )
  const normaliser = new Normaliser(manifest.vocabulary, manifest.recipe)
  const batches = new Batches(windows, componentVectors(windows, normaliser), normaliser)
  const { width, sequenceFrames, stateSize } = manifest
  const net = {
    arch: 'simple',
    width,
    frames: sequenceFrames,
    hidden: stateSize,
    classes: count,
  } as const
  const { logits, states } = await runNet(onnx, net, batches, ids)
  const top = argmaxRows(logits, count)
  const { whitening, prototypes, offsets } = calibration
  const state = new Float32Array(whitening.size)
  return Array.from(ids, (id, n) => {
    const { name } = windows.list[id]!
    const row = logits.subarray(n * count, (n + 1) * count)
    const { temperature } = manifest.calibration
    const energy = logSum(row, temperature)
    whiten(whitening, states, n, state)
    return {
      name,
      leftOut: left.has(name),
      scores: {
        softmax: -Math.exp(row[top[n]!]! / temperature - energy),
        energy: -energy,
        'nearest prototype': nearest(state, prototypes, offsets[count]!, whitening.size).distance,
        'own prototypes / radius': classDistance(calibration, top[n]!, state),
      },
    }
  })
}

function logSum(row: Float32Array, temperature: number): number {
  const max = row.reduce((a, b) => Math.max(a, b))
  return (
    Math.log(row.reduce((sum, x) => sum + Math.exp((x - max) / temperature), 0)) + max / temperature
  )
}

function figures(scored: readonly Scored[]): string {
  const known = scored.filter(({ leftOut }) => !leftOut)
  const unknown = scored.filter(({ leftOut }) => leftOut)
  const programs = [...new Set(unknown.map(({ name }) => name))]
  return SCORES.map((score) => {
    const of = (list: readonly Scored[]) => list.map(({ scores }) => scores[score])
    const mean = programs.reduce(
      (sum, name) =>
        sum + auroc(of(unknown.filter((one) => one.name === name)), of(known)) / programs.length,
      0,
    )
    return `${score} ${auroc(of(unknown), of(known)).toFixed(3)} (${mean.toFixed(3)})`
  }).join(', ')
}
