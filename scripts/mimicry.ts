/**
 * What it costs malware to look ordinary to the shipped model: `bun scripts/mimicry.ts` takes
 * implementations that were not trained on, adds ordinary calls of recorded programs to what they
 * do, and searches for the least rate at which an hour passes without an alert. It prints a table
 * for the model card; some minutes of CPU. The detector has no memory of the host and no facts,
 * which a live agent has: what is found here is the price of evading the model alone.
 */
import { BEHAVIOURS } from '../src/domain/behaviour.ts'
import type { Frame } from '../src/domain/frame.ts'
import type { Process } from '../src/domain/process.ts'
import { loadModel } from '../src/model/model.ts'
import { behaviourOf } from '../src/train/data/behaviours.ts'
import { type Recording, readRecordings } from '../src/train/data/recording.ts'
import { type Happening, readHappenings } from '../src/train/data/scenarios.ts'
import { detectionOf, detectOn, predictHost } from '../src/train/evaluate/detection-evaluate.ts'
import { leastRate, mimicking, type Second, secondsOf } from './mimicking.ts'

const JOBS = 'models/recordings/jobs'
const SETS = ['m1', 'm3', 'm5', 'p4', 'q2', 'c2'].map((set) => `${JOBS}/${set}-heldout`)
const ORDINARY = 'models/recordings/lab-e/lab-e-normal.frames.ndjson.zst'
/** Busy and idle, files and sockets. */
const COVERS = ['nginx', 'postgres', 'redis-server', 'node']
const RATES = [3, 10, 30, 100, 300, 1_000, 10_000, 100_000]
/** Implementations of a behaviour that are looked at. */
const OF_EACH = 1
const TRIED_MAX = 4
const HOUR = 3_600
/** What is raised is raised soon: the hour is only for what passes this. */
const FIRST_SECONDS = 180
const WORK_SECONDS_MIN = 8
const START = 1_800_000_000

const model = await loadModel('models/default')
const calibration = detectionOf(model)

async function isRaised(frames: Iterable<Frame>, seconds: number): Promise<boolean> {
  const list = [...frames]
  const judged = { host: 'h', predictions: predictHost(model, list), seconds, vectors: seconds }
  const about = { classes: model.classes, calibration, happenings: [], falseAlertsPerDay: 1 }
  return (await detectOn(judged, about)).alerts.length > 0
}

function coversOf(recordings: readonly Recording[]): Map<string, Second[]> {
  const frames = recordings.find(({ host }) => host === 'es')!.frames
  const covers = new Map<string, Second[]>()
  for (const name of COVERS) {
    const calls = new Map<string, number>()
    for (const { processes, offsets } of frames)
      for (const [i, { name: of, pid }] of processes.entries())
        if (of === name)
          calls.set(`${pid}`, (calls.get(`${pid}`) ?? 0) + offsets[i + 1]! - offsets[i]!)
    const busiest = [...calls].toSorted((a, b) => b[1] - a[1])[0]?.[0]
    if (busiest === undefined) continue
    const seconds = secondsOf(frames, ({ pid }) => `${pid}` === busiest)
    covers.set(name, seconds.filter(({ syscalls }) => syscalls.length > 0).slice(0, 300))
  }
  return covers
}

/** The process of a happening that is accused when it goes on, and what it does. */
async function workOf(recording: Recording, happening: Happening) {
  const frames = recording.frames.filter(
    ({ index }) => index >= happening.from && index <= happening.to,
  )
  const pids = new Map<number, Process>()
  for (const { processes } of frames)
    for (const process of processes)
      if (happening.pids.has(process.pid) && process.pid > 0) pids.set(process.pid, process)
  for (const [of, { name }] of pids) {
    const work = secondsOf(frames, ({ pid }) => pid === of)
    if (work.filter(({ syscalls }) => syscalls.length > 0).length < WORK_SECONDS_MIN) continue
    const process: Process = { pid: of, startMs: START * 1000, name }
    const alone = mimicking(process, { work, cover: [] }, { rate: 0, seconds: FIRST_SECONDS })
    if (await isRaised(alone, FIRST_SECONDS)) return { process, work }
  }
  return undefined
}

interface Price {
  readonly scenario: string
  readonly calls: number
  readonly cover: string | undefined
  readonly rate: number | undefined
}

async function priceOf(
  scenario: string,
  { process, work }: { process: Process; work: Second[] },
  covers: ReadonlyMap<string, Second[]>,
): Promise<Price> {
  const raisedAt = (cover: readonly Second[], seconds: number) => (rate: number) =>
    isRaised(mimicking(process, { work, cover }, { rate, seconds }), seconds)
  let best: { cover: string; rate: number } | undefined
  for (const [name, cover] of covers) {
    const rates = RATES.filter((rate) => best === undefined || rate < best.rate)
    const rate = await leastRate(rates, raisedAt(cover, FIRST_SECONDS))
    if (rate !== undefined) best = { cover: name, rate }
  }
  if (best !== undefined) {
    const { cover, rate: from } = best
    const rates = RATES.filter((rate) => rate >= from)
    const rate = await leastRate(rates, raisedAt(covers.get(cover)!, HOUR))
    best = rate === undefined ? undefined : { cover, rate }
  }
  const total = work.reduce((sum, { counts }) => sum + counts.reduce((a, b) => a + b, 0), 0)
  return { scenario, calls: Math.round(total / work.length), cover: best?.cover, rate: best?.rate }
}

const covers = coversOf(await readRecordings([ORDINARY]))
const prices = new Map<string, Price[]>()
const tried = new Map<string, number>()
for (const set of SETS) {
  const recordings = await readRecordings([`${set}.frames.ndjson.zst`])
  for (const happening of await readHappenings(`${set}.scenarios.ndjson`)) {
    const behaviour = behaviourOf(happening.program)
    if (behaviour === undefined || behaviour === 'tool-use') continue
    const { name: title } = BEHAVIOURS[behaviour]
    const list = prices.get(title) ?? []
    const tries = tried.get(title) ?? 0
    if (list.length >= OF_EACH || tries >= TRIED_MAX) continue
    if (list.some(({ scenario }) => scenario === happening.scenario)) continue
    tried.set(title, tries + 1)
    const recording = recordings.find(({ host }) => host === happening.host)!
    const work = await workOf(recording, happening)
    if (work === undefined) continue
    const price = await priceOf(happening.scenario, work, covers)
    prices.set(title, [...list, price])
    console.error(`${title}: ${JSON.stringify(price)}`)
  }
}
await model.close()

const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
console.log(
  line(['Behaviour', 'Implementation: own calls a second', 'Ordinary calls a second beside them']),
)
console.log(line(['---', '---', '---']))
for (const title of [...tried.keys()].toSorted()) {
  const list = prices.get(title) ?? []
  const of = (price: Price) =>
    price.rate === undefined
      ? `more than ${RATES.at(-1)!.toLocaleString('en')}`
      : `${price.rate.toLocaleString('en')} (${price.cover})`
  console.log(
    line([
      title,
      list.map(({ scenario, calls }) => `${scenario}: ${calls}`).join('; ') ||
        'none found by itself',
      list.map(of).join('; ') || '0',
    ]),
  )
}
