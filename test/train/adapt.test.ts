/**
 * A model that knows two programs and a miner meets a host with programs of its own, and a miner
 * that was there first.
 */
import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { memoryName } from '../../src/detect/names.ts'
import { defined } from '../../src/domain/defined.ts'
import type { Frame } from '../../src/domain/frame.ts'
import {
  type Adaptation,
  decodeAdaptation,
  encodeAdaptation,
  HostClasses,
  HostJudge,
} from '../../src/model/adaptation.ts'
import { Classifier } from '../../src/model/classifier.ts'
import { hostRowWidth } from '../../src/model/host-rows.ts'
import { type Model, openModel, referencesOf } from '../../src/model/model.ts'
import { decodeRowSet, encodeRowSet, type RowSet } from '../../src/model/row-set.ts'
import { sequencerOf } from '../../src/model/sequencer.ts'
import { type Adapted, adapt } from '../../src/train/adapt.ts'
import { type HostSample, sampleHost } from '../../src/train/data/host-sample.ts'
import { ownProcesses } from '../../src/train/data/recording.ts'
import type { Happening } from '../../src/train/data/scenarios.ts'
import { splitByTime } from '../../src/train/data/split.ts'
import { judgeBoth, learnHosts, Tally } from '../../src/train/evaluate/adapted-evaluate.ts'
import { detectionOf, detectOn } from '../../src/train/evaluate/detection-evaluate.ts'
import { plantMasquerades } from '../../src/train/evaluate/planted.ts'
import { Random } from '../../src/train/random.ts'
import { manifestText } from '../../src/train/save-model.ts'
import { train } from '../../src/train/train.ts'
import { TRAIN_DEFAULTS } from '../../src/train/train-options.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

setDefaultTimeout(180_000)

const T = 1_800_000_000
const HABITS: Readonly<Record<string, readonly string[]>> = {
  nginx: ['epoll_wait', 'accept4', 'read', 'write', 'close'],
  cron: ['clock_nanosleep', 'newfstatat'],
  xmrig: ['sched_yield', 'clock_nanosleep', 'futex'],
  billing: ['epoll_wait', 'accept4', 'recvfrom', 'sendto', 'pread64'],
  gateway: ['epoll_wait', 'read', 'sendto', 'getrandom'],
  ls: ['openat', 'getdents64', 'write', 'close'],
}

/** @param names presented name → whose habits it has */
function life(
  seconds: number,
  seed: number,
  names: Readonly<Record<string, string>>,
  lost: (second: number) => number = () => 0,
): Frame[] {
  const random = new Random(seed)
  return Array.from({ length: seconds }, (_, t) => {
    const vectors = Object.entries(names).map(([name, habit], i): Calls => {
      const counts = HABITS[habit]!.map((call) => [call, 1 + random.below(20)])
      // Each `ls` lives for ten seconds.
      const start = habit === 'ls' ? T + 10 * Math.floor(t / 10) : T - 1000
      const pid = habit === 'ls' ? 1000 + Math.floor(t / 10) : 10 + i
      return { pid, name, startMs: start * 1000, counts: Object.fromEntries(counts) }
    })
    return frameOf(T + t, vectors, lost(t))
  })
}

const NOBODY = { isSuspect: () => false, isAllowed: () => false }
const HOST = { nginx: 'nginx', billing: 'billing', gateway: 'gateway', ls: 'ls' }

let model: Model
let references: RowSet

beforeAll(async () => {
  const frames = life(400, 1, { nginx: 'nginx', cron: 'cron', xmrig: 'xmrig' })
  const miner: Happening = {
    ...{ from: T, to: T + 400, host: 'h', kind: 'non-grata', scenario: 'm', claimed: undefined },
    ...{ program: 'crypto-miner', names: new Set(['xmrig']), pids: new Set([12]) },
  }
  const vectors = frames.length * 3
  const recording = {
    file: 'f',
    sha256: '0'.repeat(64),
    host: 'h',
    frames,
    vectors,
    refusedLines: 0,
  }
  const trained = await train(
    {
      recordings: [ownProcesses(recording)],
      happenings: [miner],
      split: splitByTime({ train: 0.7, calibration: 0.3 }, 10),
    },
    {
      ...{ ...TRAIN_DEFAULTS, hidden: 8, windowsMin: 20, name: 'toy', code: 'test' },
      recipe: (await import('../../src/model/recipe.ts')).recipeNamed('families-quiet'),
      fit: { ...TRAIN_DEFAULTS.fit, epochs: 6, batch: 32, learningRate: 0.02, perClassMin: 100 },
    },
    { now: () => 1_790_000_000_000, monotonic: () => 0 },
  )
  const manifest = new TextEncoder().encode(manifestText(trained.manifest))
  const files = { manifest, onnx: trained.onnx, references: trained.references! }
  model = await openModel(files, 'toy')
  references = referencesOf(files, model)!
})

const adaptTo = (sample: HostSample, kept?: RowSet): Adapted =>
  adapt({ model, references, sample, now: sample.to, ...defined({ kept }) })

/** Mean probabilities of the last window of each process. */
async function judged(frames: readonly Frame[], adaptation: Adaptation | undefined) {
  const sequencer = sequencerOf(model)
  const classes = new HostClasses(model.classes, memoryName)
  classes.adapt(adaptation)
  const judge = adaptation && new HostJudge(adaptation, model)
  sequencer.warm(frames.slice(0, -1))
  const batch = sequencer.push(frames.at(-1)!)
  const shared = await new Classifier(model).predict(batch)
  const { probabilities, processes, classCount } = judge?.mix(shared, batch) ?? shared
  return new Map(
    processes.map(({ name }, n) => {
      const row = probabilities.subarray(n * classCount, (n + 1) * classCount)
      const sum = row.reduce((a, b) => a + b, 0)
      expect(sum).toBeCloseTo(1, 3)
      const malicious = row.reduce((m, p, c) => m + (classes.malicious[c] ? p : 0), 0)
      return [name, { class: classes.names[row.indexOf(Math.max(...row))], malicious }]
    }),
  )
}

test("adapt() makes classes of a host's lasting names, leaves names of moments out, and recognises all of them later", async () => {
  const { adaptation, refused, figures } = adaptTo(
    await sampleHost(model, life(600, 2, HOST), NOBODY),
  )
  expect(refused).toBeUndefined()
  expect(adaptation!.added.toSorted()).toEqual(['billing', 'gateway'])
  expect(figures.recall[1]).toBeGreaterThan(0.95)
  expect(figures.recall[0]).toBeLessThan(0.5)
  const later = await judged(life(30, 3, { ...HOST, web: 'gateway' }), adaptation)
  expect(later.get('billing')!.class).toBe('billing')
  expect(later.get('nginx')!.class).toBe('nginx')
  // A process under any name is compared with all that runs here.
  expect(later.get('web')!.class).toBe('gateway')
  const classes = new HostClasses(model.classes, memoryName)
  classes.adapt(adaptation)
  expect(classes.claimedBy('billing2.1')).toBe(classes.names.indexOf('billing'))
  expect(classes.claimedBy('ls')).toBeUndefined()
})

test('a class of the shared model is what it was on this host; of several programs the votes say which', () => {
  const base = model.classes.names.length
  const [billing, gateway] = [base, base + 1]
  const nginx = model.classes.names.indexOf('nginx')
  const trees = {
    classes: base + 2,
    columns: new Uint16Array(0),
    thresholds: new Float32Array(0),
    left: new Int32Array(0),
    right: new Int32Array(0),
    roots: Int32Array.of(-1),
    leaves: Uint32Array.of(0, 1),
    leafClasses: Uint16Array.of(gateway),
    leafShares: Uint8Array.of(255),
  }
  const judged = (meanings: Adaptation['meanings']) => {
    const judge = new HostJudge({ trees, meanings, weight: 0.4 }, model)
    const shared = new Float32Array(base)
    shared[nginx] = 1
    const out = new Float32Array(base + 2)
    judge.mixRow(shared, new Float32Array(hostRowWidth(model.manifest.width)), out, 0)
    return out
  }
  const literal = judged([])
  expect(literal[nginx]).toBeCloseTo(0.6, 5)
  expect(literal[gateway]).toBeCloseTo(0.4, 5)
  // It was both of them equally, and a tenth of it was nginx.
  const here = judged([
    [
      nginx,
      [
        [billing, 0.45],
        [gateway, 0.45],
      ],
    ],
  ])
  expect(here[nginx]).toBeCloseTo(0.06, 5)
  expect(here[billing]).toBeLessThan(0.02)
  expect(here[gateway]).toBeGreaterThan(0.9)
  expect(here.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
})

test('adapt() learns what the shared model calls this host’s programs', async () => {
  const { adaptation } = adaptTo(await sampleHost(model, life(600, 2, HOST), NOBODY))
  const { meanings, taught, added } = adaptation!
  const names = [...model.classes.names, ...added]
  const meant = new Set(meanings.flatMap(([, here]) => here.map(([c]) => names[c])))
  expect(meant.has('billing') && meant.has('gateway')).toBe(true)
  for (const [, here] of meanings)
    expect(here.reduce((sum, [, share]) => sum + share, 0)).toBeLessThanOrEqual(1)
  expect(taught.map((c) => names[c]).toSorted()).toEqual(['billing', 'gateway', 'nginx'])
})

test('adapt() after a poisoned start: a miner that was there first stays malicious, whatever it calls itself', async () => {
  const poisoned = { ...HOST, updater: 'xmrig' }
  const sample = await sampleHost(model, life(600, 4, poisoned), NOBODY)
  expect(sample.quarantinedNames).toEqual(['updater'])
  const { adaptation } = adaptTo(sample)
  expect(adaptation!.added).not.toContain('updater')
  const later = await judged(life(30, 5, poisoned), adaptation)
  expect(later.get('updater')!.class).toBe('crypto miner')
  expect(later.get('updater')!.malicious).toBeGreaterThan(0.5)
  // Until a person says so.
  const allowed = { ...NOBODY, isAllowed: (name: string) => name === 'updater' }
  const spared = await sampleHost(model, life(600, 4, poisoned), allowed)
  expect(spared.quarantinedNames).toEqual([])
})

test('sampleHost() takes nothing under an alert and nothing of seconds with losses', async () => {
  const suspect = await sampleHost(model, life(120, 6, HOST), {
    ...NOBODY,
    isSuspect: ({ name }) => name === 'billing',
  })
  expect(suspect.names.map(({ name }) => name)).not.toContain('billing')
  const lossy = await sampleHost(
    model,
    life(120, 6, HOST, () => 1),
    NOBODY,
  )
  expect(lossy.names).toEqual([])
  expect(lossy.quarantined).toBeGreaterThan(100)
})

test('sampleHost() holds no more windows than it may, of every name some, over all of the time', async () => {
  const sample = await sampleHost(model, life(600, 2, HOST), { ...NOBODY, windowsMax: 100 })
  const all = sample.names.flatMap(({ windows }) => windows)
  expect(all.length).toBeLessThanOrEqual(100)
  expect(all.length).toBeGreaterThan(50)
  for (const { windows } of sample.names) {
    expect(windows.length).toBeGreaterThan(8)
    expect(windows.at(-1)!.second - windows[0]!.second).toBeGreaterThan(500)
  }
})

test('adapt() refuses what is no better, and what it cannot measure', async () => {
  const known = await sampleHost(model, life(600, 7, { nginx: 'nginx', cron: 'cron' }), NOBODY)
  expect(adaptTo(known).refused).toContain('the shared model')
  const short = await sampleHost(model, life(60, 8, HOST), NOBODY)
  expect(adaptTo(short).refused).toContain('at least 100 are needed')
})

test('adapt() keeps rows of a name that is silent the next time', async () => {
  const first = adaptTo(await sampleHost(model, life(600, 2, HOST), NOBODY))
  const kept = decodeRowSet(encodeRowSet(first.rows), first.rows.width)!
  const { billing: _, ...others } = HOST
  const second = adaptTo(await sampleHost(model, life(600, 9, others), NOBODY), kept)
  expect(second.rows.rows.get('billing')!.length).toBeGreaterThan(100)
})

test('an adaptation survives its file, and is refused where it is damaged or of another model', async () => {
  const { adaptation } = adaptTo(await sampleHost(model, life(600, 2, HOST), NOBODY))
  const bytes = encodeAdaptation(adaptation!)
  expect(decodeAdaptation(bytes, model)).toEqual(adaptation!)
  const text = new TextDecoder().decode(bytes)
  const refuses = (changed: string) =>
    expect(() => decodeAdaptation(new TextEncoder().encode(changed), model)).toThrow(
      'Cannot use the adaptation to this host',
    )
  refuses(text.slice(0, -40))
  refuses(text.replace(adaptation!.model, '0'.repeat(64)))
  refuses(text.replace(/"left":"[^"]{8}/, '"left":"/////w=='))
  refuses(text.replace('"weight":0.55', '"weight":7'))
  refuses(text.replace(/"meanings":\[\[\d+/, '"meanings":[[999'))
  refuses(text.replace('"taught":[', '"taught":[999,'))
  refuses(text.replace('"names":', '"nomen":'))
})

test('learnHosts() teaches with the first minutes; both models are judged on what follows', async () => {
  const frames = life(600, 21, HOST)
  const whole = ownProcesses({
    ...{ file: 'f', sha256: '0'.repeat(64), host: 'h', refusedLines: 0 },
    ...{ frames, vectors: 4 * frames.length },
  })
  const { recording, happenings } = plantMasquerades(whole, {
    ...{ count: 6, seed: 1, from: T + 400, promiseOf: (name) => name },
  })
  const calibration = detectionOf(model)
  const common = { recordings: [recording], baseline: [], happenings, calibration }
  const [learnt] = await learnHosts({ model, references, ...common, seconds: 400 })
  expect(learnt!.before.frames).toHaveLength(400)
  expect(learnt!.recording.frames).toHaveLength(200)
  const tally = new Tally(model, happenings)
  const { shared, adapted } = await judgeBoth(model, learnt!, true, tally)
  const figures = tally.figures([learnt!.outcome])
  expect(figures.known[1]).toBeGreaterThan(figures.known[0])
  expect(figures.accuracy[0]).toBeLessThan(0.5)
  expect(figures.accuracy[1]).toBeGreaterThan(0.8)
  const about = { classes: model.classes, calibration, happenings, falseAlertsPerDay: 100 }
  const pids = new Set(happenings.flatMap((of) => [...of.pids]))
  const alerts = async (of: typeof shared) =>
    (await detectOn(of, about)).alerts.filter(({ process }) => pids.has(process.pid))
  const gateway = (await alerts(adapted)).map(({ predicted }) => predicted.class)
  // A name of this host that no model knows is recognised under another one.
  expect(gateway.some((name) => name === 'gateway' || name === 'billing')).toBe(true)
  for (const { predicted } of await alerts(shared))
    expect(['gateway', 'billing']).not.toContain(predicted.class)
})
