/**
 * The whole road from frames files to a model that loads and tells processes apart, on a small
 * made-up laboratory.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importForest } from '../../src/model/forest-graph.ts'
import { loadModel, openModel } from '../../src/model/model.ts'
import { RECIPES } from '../../src/model/recipe.ts'
import { modelCard } from '../../src/train/card.ts'
import { type Recording, readRecordings } from '../../src/train/data/recording.ts'
import { splitByTime } from '../../src/train/data/split.ts'
import { evaluateWindows } from '../../src/train/evaluate/evaluate.ts'
import { evaluationOf } from '../../src/train/evaluate/evaluate-all.ts'
import { confusionSvg, evaluationText } from '../../src/train/evaluate/evaluation-report.ts'
import { WINDOW_FOREST_DEFAULTS } from '../../src/train/forest/window-forest.ts'
import { Random } from '../../src/train/random.ts'
import { manifestText, saveModel } from '../../src/train/save-model.ts'
import { train } from '../../src/train/train.ts'
import { TRAIN_DEFAULTS, type TrainOptions } from '../../src/train/train-options.ts'

/** Some seconds of CPU each, and a busy machine has little of it. */
setDefaultTimeout(120_000)

const directory = await mkdtemp(join(tmpdir(), 'train-'))
afterAll(() => rm(directory, { recursive: true }))

const clock = { now: () => 1_790_000_000_000, monotonic: () => 0 }

/** Four programs with habits of their own on one host, so many seconds. */
async function laboratory(
  name: string,
  seconds: number,
  seed: number,
  programs = 4,
): Promise<Recording[]> {
  const random = new Random(seed)
  const habits = [
    { name: 'nginx', calls: ['epoll_wait', 'accept4', 'read', 'write', 'close'] },
    { name: 'redis', calls: ['epoll_wait', 'read', 'write'] },
    { name: 'cron', calls: ['clock_nanosleep', 'newfstatat'] },
    { name: 'postgres', calls: ['epoll_wait', 'pread64', 'lseek', 'recvfrom', 'sendto'] },
  ].slice(0, programs)
  const lines: string[] = []
  for (let t = 0; t < seconds; t++)
    for (const [i, { name: program, calls }] of habits.entries()) {
      if (random.next() < 0.2) continue
      const counts = Object.fromEntries(calls.map((call) => [call, 1 + random.below(20)]))
      lines.push(
        JSON.stringify({ t: 1_000 + t, host: 'h', pid: 10 + i, start: 900, name: program, counts }),
      )
    }
  const path = join(directory, name)
  await writeFile(path, `${lines.join('\n')}\n`)
  return readRecordings([path])
}

const recordings = await laboratory('a.ndjson', 300, 1)
const split = splitByTime({ train: 0.6, calibration: 0.2 }, 10)
const options: TrainOptions = {
  ...TRAIN_DEFAULTS,
  recipe: RECIPES['families-quiet']!,
  hidden: 8,
  windowsMin: 20,
  name: 'made up',
  code: 'test',
  fit: {
    ...TRAIN_DEFAULTS.fit,
    epochs: 4,
    batch: 32,
    learningRate: 0.02,
    perClassMin: 100,
    perClassMax: 120,
  },
}

describe('train()', () => {
  test('makes a model that loads, tells its classes apart, and says of itself what was measured', async () => {
    const epochs: number[] = []
    const trained = await train(
      { recordings, happenings: [], split },
      options,
      clock,
      ({ epoch }) => epochs.push(epoch),
    )
    expect(epochs[0]).toBe(1)
    expect(trained.figures.test!.macroRecall).toBeGreaterThan(0.95)
    const out = join(directory, 'model')
    const card = modelCard({ ...trained, command: 'agent train', windowsMin: 20 })
    await saveModel(out, trained, card)
    const model = await loadModel(out)
    expect(model.classes.names.toSorted()).toEqual(['cron', 'nginx', 'postgres', 'redis'])
    expect(model.manifest.created).toBe('2026-09-21T14:13:20.000Z')
    expect(model.manifest.detection).toBeDefined()
    await model.close()
    expect(await readFile(join(out, 'MODEL_CARD.md'), 'utf8')).toContain('| test |')
    const evaluation = await evaluationOf({
      model: out,
      recordings,
      baseline: recordings,
      happenings: [],
      split,
      part: 'test',
      falseAlertsPerDay: 1,
      detection: true,
    })
    expect(evaluation.macroRecall).toBeCloseTo(trained.figures.test!.macroRecall, 6)
    expect(evaluation.minute.macroRecall).toBe(1)
    expect(evaluation.detection!.masquerade.of).toBe(0)
    expect(evaluation.known).toBe(1)
    expect(evaluationText(evaluation)).toContain('false alerts')
    expect(confusionSvg(evaluation)).toContain('nginx as nginx')
  })

  test('gives the same bytes for the same seed, and others for another', async () => {
    const run = async (seed: number) => {
      const { onnx } = await train(
        { recordings, happenings: [], split },
        { ...options, fit: { ...options.fit, epochs: 2, seed } },
        clock,
      )
      return Buffer.from(onnx).toString('base64')
    }
    const first = await run(3)
    expect((await run(3)) === first).toBe(true)
    expect((await run(4)) === first).toBe(false)
  })

  test('exports over all calls what it would have said over those seen', async () => {
    const short = { ...options, fit: { ...options.fit, epochs: 2 } }
    const seen = await train({ recordings, happenings: [], split }, short, clock)
    const full = await train(
      { recordings, happenings: [], split },
      { ...short, fullVocabulary: true },
      clock,
    )
    expect(full.manifest.vocabulary.length).toBeGreaterThan(400)
    const judge = async (name: string, { onnx, manifest }: typeof seen) => {
      await saveModel(join(directory, name), { onnx, manifest }, '')
      const { confusion } = await evaluationOf({
        model: join(directory, name),
        recordings,
        baseline: [],
        happenings: [],
        split,
        part: 'test',
        falseAlertsPerDay: 1,
        detection: false,
      })
      return confusion
    }
    expect(await judge('full', full)).toEqual(await judge('seen', seen))
  })

  test('grows a forest beside the net, the same one for the same seed, and says so', async () => {
    const short = { ...options, fit: { ...options.fit, epochs: 2 } }
    const forest = { ...WINDOW_FOREST_DEFAULTS, trees: 6, weight: 0.6 }
    const trained = await train({ recordings, happenings: [], split }, { ...short, forest }, clock)
    const again = await train({ recordings, happenings: [], split }, { ...short, forest }, clock)
    expect(Buffer.from(again.onnx).equals(Buffer.from(trained.onnx))).toBe(true)
    const { manifest } = trained
    expect(manifest.forest).toMatchObject({ trees: 6, classes: 4, weight: 0.6 })
    const part = importForest(trained.onnx)!
    expect(part.trees.roots).toHaveLength(6)
    expect(part.known).toBe(4)
    // The temperature is of the mixture: as good as any other on the held-out windows.
    expect(manifest.calibration.ece).toBeLessThan(0.05)
    expect(trained.figures.test!.macroRecall).toBeGreaterThan(0.97)
    const card = modelCard({ ...trained, command: 'agent train', windowsMin: 20 })
    expect(card).toContain('a random forest of 6 trees')
    expect(card).toContain('0.6')
    const model = await openModel(
      { manifest: new TextEncoder().encode(manifestText(manifest)), onnx: trained.onnx },
      'mixed',
    )
    expect(model.manifest.forest).toEqual(manifest.forest!)
    expect(model.manifest.detection).toBeDefined()
    await model.close()
  })

  test('trains nothing of a forest on windows that are kept for calibration or tests', async () => {
    const forest = { ...WINDOW_FOREST_DEFAULTS, trees: 3 }
    const short = { ...options, fit: { ...options.fit, epochs: 1 }, forest }
    const { onnx } = await train({ recordings, happenings: [], split }, short, clock)
    // In the seconds after the training part every program is another one.
    const end = recordings[0]!.frames[0]!.index + 180
    const swapped = recordings.map((recording) => ({
      ...recording,
      frames: recording.frames.map((frame) =>
        frame.index < end
          ? frame
          : { ...frame, counts: frame.counts.map((count) => 1 + (count % 3)) },
      ),
    }))
    const other = await train({ recordings: swapped, happenings: [], split }, short, clock)
    expect(importForest(other.onnx)!.trees).toEqual(importForest(onnx)!.trees)
  })

  test('exports a forest over all calls that says what it would have said over those seen', async () => {
    const forest = { ...WINDOW_FOREST_DEFAULTS, trees: 4 }
    const short = { ...options, fit: { ...options.fit, epochs: 1 }, forest }
    const seen = await train({ recordings, happenings: [], split }, short, clock)
    const full = await train(
      { recordings, happenings: [], split },
      { ...short, fullVocabulary: true },
      clock,
    )
    const judge = async ({ onnx, manifest }: typeof seen) => {
      const model = await openModel(
        { manifest: new TextEncoder().encode(manifestText(manifest)), onnx },
        'x',
      )
      const { figures, ece } = await evaluateWindows(model, recordings, [], split, 'test')
      await model.close()
      return { confusion: figures.confusion, ece: ece.toFixed(6) }
    }
    expect(full.manifest.width).toBeGreaterThan(seen.manifest.width)
    expect(await judge(full)).toEqual(await judge(seen))
  })

  test('keeps the best so far when it is told to stop', async () => {
    const stop = new AbortController()
    const trained = await train(
      { recordings, happenings: [], split },
      options,
      clock,
      () => stop.abort(),
      stop.signal,
    )
    expect(trained.stopped).toBe(true)
    expect(trained.manifest.measured.epoch).toBe(1)
  })

  test('refuses data with one program, and data with hardly a window', async () => {
    await expect(
      train(
        { recordings: await laboratory('one.ndjson', 200, 2, 1), happenings: [], split },
        options,
        clock,
      ),
    ).rejects.toThrow('a model tells at least 2 classes apart, here is only "nginx"')
    await expect(
      train(
        { recordings: await laboratory('short.ndjson', 12, 2), happenings: [], split },
        { ...options, windowsMin: 1 },
        clock,
      ),
    ).rejects.toThrow('Cannot train on 0 windows, at least 50 are needed')
  })

  test('warns of a program that is in one of the recordings only', async () => {
    const { warnings } = await train(
      {
        recordings: [...recordings, ...(await laboratory('two.ndjson', 200, 2, 2))],
        happenings: [],
        split,
      },
      { ...options, fit: { ...options.fit, epochs: 1 } },
      clock,
    )
    expect(warnings.join()).toContain(
      '2 of 4 classes were seen in one recording only and may look different elsewhere: postgres, cron',
    )
  })

  test('warns where nothing is left to calibrate on', async () => {
    const { warnings, manifest } = await train(
      { recordings, happenings: [], split: splitByTime({ train: 0.9, calibration: 0 }, 5) },
      { ...options, fit: { ...options.fit, epochs: 1 } },
      clock,
    )
    expect(warnings.join()).toContain('no window is left for calibration')
    expect(warnings.join()).toContain('0 seconds are left to calibrate detection on, at least 30')
    expect(warnings.join()).toContain('at least 20 minutes of one host')
    expect(manifest.detection).toBeUndefined()
    expect(manifest.calibration.temperature).toBe(1)
  })

  test('makes no class of what it cannot measure, and says which names', async () => {
    const [recording] = recordings
    // The last program is gone before the seconds that calibrate.
    const early = recording!.frames.map((frame, t) => {
      const last = frame.processes.length - 1
      if (t < recording!.frames.length * 0.55) return frame
      const end = frame.offsets[last]!
      return {
        ...frame,
        processes: frame.processes.slice(0, last),
        offsets: frame.offsets.slice(0, last + 1),
        syscalls: frame.syscalls.slice(0, end),
        counts: frame.counts.slice(0, end),
      }
    })
    const made = (measuredOnly: boolean) =>
      train(
        { recordings: [{ ...recording!, frames: early }], happenings: [], split },
        { ...options, measuredOnly, fit: { ...options.fit, epochs: 1 } },
        clock,
      )
    const names = ({ manifest }: Awaited<ReturnType<typeof made>>) =>
      manifest.classes.map(({ name }) => name)
    const gone = recording!.frames[0]!.processes.at(-1)!.name
    expect(names(await made(false))).toContain(gone)
    const merged = await made(true)
    expect(names(merged)).not.toContain(gone)
    expect(merged.warnings.join()).toContain(`left to measure them on: ${gone}`)
  })
})
