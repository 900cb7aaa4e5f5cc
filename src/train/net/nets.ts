/**
 * The paper's three nets [Paper IV], written on a tape: one LSTM over the ten seconds and a readout
 * (simple); two LSTMs, one of them over the seconds in reverse, their last outputs side by side
 * (bidirectional); and LSTMs with tied weights over the same sequence at intervals of 1, 2 and 3 s,
 * all last outputs side by side (inception; each bidirectional, as in the authors' code).
 *
 * Details that the paper's text lacks are taken from the authors' code: forget-gate bias 1, L2 on
 * the readout's weights only. Two differences: their backward LSTM is read at its first step
 * instead of its last; and their intervals sum normalised seconds and normalise again, ours are
 * means, so that one projection of the input serves all intervals (the mean of projections is the
 * projection of the mean).
 *
 * Rows are time-major: row t·B + b is second t of sequence b. Gates are in the order i f o | g, so
 * that one sigmoid covers three of them.
 */

import { Random } from '../random.ts'
import type { Tape, Value } from './autodiff.ts'

export type Arch = 'simple' | 'bidirectional' | 'inception'
export const ARCHS: readonly Arch[] = ['simple', 'bidirectional', 'inception']

/** Seconds that one step of each copy of the LSTM covers. */
export const INTERVALS: Readonly<Record<Arch, readonly number[]>> = {
  simple: [1],
  bidirectional: [1],
  inception: [1, 2, 3],
}

export interface NetShape {
  readonly arch: Arch
  readonly width: number
  readonly frames: number
  readonly hidden: number
  readonly classes: number
}

export interface ParameterShape {
  readonly name: string
  readonly shape: readonly [number, number]
}

/** Name to numbers, row by row. */
export type Parameters = Readonly<Record<string, Float32Array>>

export function directionsOf(arch: Arch): readonly string[] {
  return arch === 'simple' ? ['forward'] : ['forward', 'backward']
}

export function stateSizeOf({ arch, hidden }: NetShape): number {
  return hidden * directionsOf(arch).length * INTERVALS[arch].length
}

export function parameterShapes(net: NetShape): ParameterShape[] {
  const { width, hidden, classes } = net
  return [
    ...directionsOf(net.arch).flatMap((direction): ParameterShape[] => [
      { name: `${direction}.input`, shape: [width, 4 * hidden] },
      { name: `${direction}.hidden`, shape: [hidden, 4 * hidden] },
      { name: `${direction}.bias`, shape: [1, 4 * hidden] },
    ]),
    { name: 'readout.weights', shape: [stateSizeOf(net), classes] },
    { name: 'readout.bias', shape: [1, classes] },
  ]
}

/** Glorot-uniform weights, zero biases but the forget gate's 1. */
export function initialParameters(net: NetShape, seed: number): Parameters {
  const random = new Random(seed)
  const parameters: Record<string, Float32Array> = {}
  for (const { name, shape } of parameterShapes(net)) {
    const numbers = new Float32Array(shape[0] * shape[1])
    if (name.endsWith('bias')) {
      if (name !== 'readout.bias') numbers.fill(1, net.hidden, 2 * net.hidden)
    } else {
      const limit = Math.sqrt(6 / (shape[0] + (name.endsWith('weights') ? shape[1] : net.hidden)))
      for (let i = 0; i < numbers.length; i++) numbers[i] = (2 * random.next() - 1) * limit
    }
    parameters[name] = numbers
  }
  return parameters
}

/** @param rows [frames × batch, width], time-major */
export function forward(
  tape: Tape,
  net: NetShape,
  parameters: ReadonlyMap<string, Value>,
  rows: Value,
  batch: number,
): { state: Value; logits: Value } {
  const states: Value[] = []
  const projections = directionsOf(net.arch).map((direction) => {
    const projected = tape.matmul(
      rows,
      parameters.get(`${direction}.input`)!,
      parameters.get(`${direction}.bias`)!,
    )
    return { direction, steps: tape.split(projected, 0, new Array<number>(net.frames).fill(batch)) }
  })
  for (const interval of INTERVALS[net.arch]) {
    for (const { direction, steps } of projections) {
      const pooled = poolSteps(tape, steps, interval)
      const ordered = direction === 'backward' ? pooled.toReversed() : pooled
      states.push(lstm(tape, ordered, parameters.get(`${direction}.hidden`)!, net.hidden))
    }
  }
  const state = states.length === 1 ? states[0]! : tape.concat(states, 1)
  return { state, logits: readout(tape, parameters, state) }
}

export function readout(tape: Tape, parameters: ReadonlyMap<string, Value>, state: Value): Value {
  return tape.matmul(state, parameters.get('readout.weights')!, parameters.get('readout.bias')!)
}

/** Seconds 0…k−1, k…2k−1 and so on; the last group may be shorter. */
export function groupsOf(frames: number, interval: number): number[][] {
  const groups: number[][] = []
  for (let from = 0; from < frames; from += interval)
    groups.push(Array.from({ length: Math.min(interval, frames - from) }, (_, i) => from + i))
  return groups
}

function poolSteps(tape: Tape, steps: readonly Value[], interval: number): Value[] {
  if (interval === 1) return [...steps]
  return groupsOf(steps.length, interval).map((group) => {
    const sum = group.map((t) => steps[t]!).reduce((a, b) => tape.add(a, b))
    return group.length === 1 ? sum : tape.scale(sum, 1 / group.length)
  })
}

/** The last output of one LSTM over projected steps of [batch, 4 × hidden]. */
function lstm(tape: Tape, steps: readonly Value[], weights: Value, hidden: number): Value {
  let cell: Value | undefined
  let output: Value | undefined
  for (const step of steps) {
    const sums = output === undefined ? step : tape.matmul(output, weights, step)
    const [gates, candidate] = tape.split(sums, 1, [3 * hidden, hidden]) as [Value, Value]
    const [input, forget, out] = tape.split(tape.sigmoid(gates), 1, [hidden, hidden, hidden]) as [
      Value,
      Value,
      Value,
    ]
    const fresh = tape.mul(input, tape.tanh(candidate))
    cell = cell === undefined ? fresh : tape.add(tape.mul(forget, cell), fresh)
    output = tape.mul(out, tape.tanh(cell))
  }
  return output!
}
