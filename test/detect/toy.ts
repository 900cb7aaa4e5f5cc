/**
 * A world of two dimensions for the detector's tests: classes lie at corners, a window is a place
 * between them. Class probabilities follow from the distances, so a process is fully told by where
 * it stands.
 */
import type { DetectionCalibration } from '../../src/detect/calibration.ts'
import { Detector, type DetectorOptions } from '../../src/detect/detector.ts'
import { HostMemory } from '../../src/detect/memory.ts'
import type { Alert } from '../../src/domain/alert.ts'
import type { ModelClasses, Predictions } from '../../src/domain/prediction.ts'
import type { Process } from '../../src/domain/process.ts'

export const T = 1_800_000_000

export const PLACES = {
  nginx: [0, 0],
  cron: [6, 0],
  sshd: [0, 6],
  miner: [6, 6],
} as const satisfies Record<string, readonly [number, number]>

const NAMES = Object.keys(PLACES)

export const classes: ModelClasses = {
  modelId: 'toy',
  names: NAMES,
  malicious: NAMES.map((name) => name === 'miner'),
  behaviours: NAMES.map((name) => (name === 'miner' ? 'crypto-miner' : undefined)),
  claimedBy: (name) =>
    name === 'miner' || !NAMES.includes(name) ? undefined : NAMES.indexOf(name),
}

/** Half an alert a day is at level 12. */
const tail = { threshold: 12, rate: 0.5, scale: 1, shape: 0, body: [12, 11, 10, 9, 8, 7, 6] }

export const calibration: DetectionCalibration = {
  format: 1,
  whitening: { stateSize: 2, size: 2, matrix: Float32Array.of(1, 0, 0, 1) },
  prototypes: Float32Array.from(Object.values(PLACES).flat()),
  offsets: Uint32Array.of(0, 1, 2, 3, 4),
  radii: new Float32Array(4).fill(1),
  confusions: NAMES.map(() => new Map()),
  unsure: new Float32Array(4).fill(0.001),
  suspect: new Float32Array(4).fill(0.001),
  ordinary: new Set(['gzip']),
  tails: { claim: { cold: tail, warm: tail }, malice: { cold: tail, warm: tail } },
  own: [],
  profiles: NAMES.map(() => []),
}

export interface Standing extends Partial<Process> {
  readonly pid: number
  readonly name: string
  /** Where it stands. */
  readonly at: readonly [number, number]
  readonly active?: number
  readonly incomplete?: boolean
}

export function predictions(frameIndex: number, standing: readonly Standing[]): Predictions {
  const probabilities = new Float32Array(standing.length * NAMES.length)
  standing.forEach(({ at }, row) => {
    const weights = Object.values(PLACES).map(([x, y]) =>
      Math.exp(-((at[0] - x) ** 2 + (at[1] - y) ** 2) / 2),
    )
    const sum = weights.reduce((a, b) => a + b, 0)
    probabilities.set(
      weights.map((weight) => weight / sum),
      row * NAMES.length,
    )
  })
  return {
    frameIndex,
    processes: standing.map(({ at: _, active: __, incomplete: ___, ...process }) => ({
      startMs: (T - 1000) * 1000,
      ...process,
    })),
    probabilities,
    states: Float32Array.from(standing.flatMap(({ at }) => at)),
    classCount: NAMES.length,
    stateSize: 2,
    activeFrames: Uint8Array.from(standing, ({ active }) => active ?? 10),
    incomplete: Uint8Array.from(standing, ({ incomplete }) => (incomplete ? 1 : 0)),
  }
}

export function detectorWith(options: Partial<DetectorOptions> = {}): Detector {
  return new Detector({
    classes,
    calibration,
    host: 'h',
    falseAlertsPerDay: 1,
    memory: new HostMemory('toy', 2),
    learnSeconds: 0,
    ...options,
  })
}

/** Lives through seconds [from, from + count) and gives all messages. */
export function live(
  detector: Detector,
  from: number,
  count: number,
  standing: readonly Standing[] | ((second: number) => readonly Standing[]),
): Alert[] {
  return Array.from({ length: count }, (_, i) =>
    detector.push(
      predictions(from + i, typeof standing === 'function' ? standing(from + i) : standing),
    ),
  ).flat()
}
