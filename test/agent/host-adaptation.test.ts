import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdaptationFiles, type AdaptOutcome } from '../../src/agent/adaptation-files.ts'
import { HostAdaptation, nextAdaptation } from '../../src/agent/host-adaptation.ts'
import type { DetectionCalibration } from '../../src/detect/calibration.ts'
import { memoryName } from '../../src/detect/names.ts'
import { type Adaptation, encodeAdaptation, HostClasses } from '../../src/model/adaptation.ts'
import { loadModel } from '../../src/model/model.ts'
import { setLogLevel } from '../../src/platform/log.ts'
import { calibration as toy } from '../detect/toy.ts'
import { writeTinyModel } from '../support/tiny-model.ts'

const state = await mkdtemp(join(tmpdir(), 'adapted-'))
const model = await loadModel(await writeTinyModel())
afterAll(async () => {
  await model.close()
  await rm(state, { recursive: true })
  await rm(model.directory, { recursive: true })
})

const T = 1_800_000_000
/** The toy's calibration for the tiny model's three classes. */
const calibration: DetectionCalibration = {
  ...toy,
  offsets: toy.offsets.slice(0, 4),
  radii: toy.radii.slice(0, 3),
  confusions: toy.confusions.slice(0, 3),
  unsure: toy.unsure.slice(0, 3),
  suspect: toy.suspect.slice(0, 3),
  profiles: toy.profiles.slice(0, 3),
}

/** Trees of one leaf that is all `billing`. */
const adaptation: Adaptation = {
  model: model.manifest.id,
  baseClasses: 3,
  made: T,
  added: ['billing'],
  trees: {
    classes: 4,
    columns: new Uint16Array(0),
    thresholds: new Float32Array(0),
    left: new Int32Array(0),
    right: new Int32Array(0),
    roots: Int32Array.of(-1),
    leaves: Uint32Array.of(0, 1),
    leafClasses: Uint16Array.of(3),
    leafShares: Uint8Array.of(255),
  },
  weight: 0.6,
  meanings: [[1, [[3, 0.9]]]],
  taught: [3],
  doubts: new Map([[3, { confusions: [[0, 0.01]], unsure: 0.02, suspect: 0.03 }]]),
  profiles: [[['read', 1]]],
  figures: {
    ...{ seconds: 600, names: 5, windows: 300, quarantined: 0, references: 1 },
    ...{ recall: [0.2, 0.98], malicious: [0.01, 0] },
  },
}
const outcome: AdaptOutcome = { model: model.manifest.id, at: T, adapted: true }

function running(options: { command?: readonly string[] } = {}) {
  const classes = new HostClasses(model.classes, memoryName)
  const told: DetectionCalibration[] = []
  let changes = 0
  const files = new AdaptationFiles(state)
  const host = new HostAdaptation({
    ...{ model, classes, calibration, files, ...options },
    onClasses: () => {
      changes++
    },
  })
  host.begin({ recalibrate: (to) => void told.push(to) })
  return { host, classes, told, files, changes: () => changes }
}

describe('HostAdaptation', () => {
  test('takes into use what a command wrote, and goes back when it is reverted', () => {
    const { host, classes, told, files, changes } = running()
    expect(classes.names).toHaveLength(3)
    files.put(outcome, new Uint8Array(0), encodeAdaptation(adaptation))
    host.tick(T, T)
    expect(classes.names[3]).toBe('billing')
    expect(classes.claimedBy('billing')).toBe(3)
    expect(told.at(-1)!.offsets).toHaveLength(5)
    expect(told.at(-1)!.unsure[3]).toBeCloseTo(0.02, 6)
    expect(told.at(-1)!.confusions[3]!.get(0)).toBe(0.01)
    expect(host.status()).toMatchObject({ names: 1, made: T })
    host.tick(T + 1, T)
    expect(changes()).toBe(1)
    files.revert({ ...outcome, at: T + 60, adapted: false, reverted: true })
    host.tick(T + 60, T)
    expect(classes.names).toHaveLength(3)
    expect(told.at(-1)).toBe(calibration)
    expect(changes()).toBe(2)
  })

  test('passes a damaged adaptation over, and the shared model goes on alone', async () => {
    setLogLevel('error')
    const { host, classes, files } = running()
    files.put(outcome, new Uint8Array(0), encodeAdaptation(adaptation))
    await writeFile(join(state, 'adapted', 'adaptation.json'), '{"format":1}')
    host.tick(T, T)
    setLogLevel('info')
    expect(classes.names).toHaveLength(3)
    files.revert({ ...outcome, reverted: true })
  })

  test('adapts by itself when it is due, in a child, and says why nothing came of it', async () => {
    new AdaptationFiles(state).revert({ ...outcome, at: 0 })
    const { host, files } = running({ command: ['/bin/sh', '-c', 'exit 0'] })
    host.tick(T + 599, T)
    expect(host.status().due).toBe(T + 600)
    files.put(
      { ...outcome, at: T + 610, adapted: false, refused: 'too few' },
      new Uint8Array(0),
      undefined,
    )
    host.tick(T + 610, T)
    expect(host.status()).toMatchObject({ refused: 'too few', due: T + 3_600 })
    expect(host.status().since).toBeUndefined()
    host.close()
  })
})

test('HostAdaptation says since when a child has been adapting', async () => {
  const { host } = running({ command: ['/bin/sh', '-c', 'sleep 0.2'] })
  host.tick(T + 3_700, T)
  expect(host.status().since).toBe(T + 3_700)
  // Still the same one.
  host.tick(T + 3_720, T)
  expect(host.status().since).toBe(T + 3_700)
  const patience = Date.now() + 20_000
  while (host.status().since !== undefined && Date.now() < patience) await Bun.sleep(20)
  expect(host.status().since).toBeUndefined()
  host.close()
}, 30_000)

test.each<[string, AdaptOutcome | undefined, number, number | undefined]>([
  ['never yet', undefined, 1, T + 600],
  ['after ten minutes', { ...outcome, at: T + 601 }, 1, T + 3_600],
  ['after an hour', { ...outcome, at: T + 3_700 }, 1, T + 21_600],
  ['after six hours', { ...outcome, at: T + 21_700 }, 1, T + 86_400],
  ['after a day', { ...outcome, at: T + 90_000 }, 1, T + 176_400],
  ['where much is unknown', { ...outcome, at: T + 3_700 }, 0.5, T + 7_300],
  ['reverted', { ...outcome, at: T + 3_700, reverted: true }, 0.5, undefined],
])('nextAdaptation() %s', (_, last, known, due) => {
  expect(nextAdaptation(T, last, known)).toBe(due)
})
