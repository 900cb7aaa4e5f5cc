/**
 * Keeps the agent below --cpu-max by classifying less often, at defined levels. Counting is not
 * throttled: every call is counted, buffered and summarised at every level.
 *
 *   level 0   every window is classified
 *         1   each process every 2nd second, those under suspicion every second
 *         2   each process every 5th second, those under suspicion every second
 *         3   as 2, and no more than GOVERNED_WINDOWS_MAX windows a second: half of them for the most
 *             suspicious, the others for those that waited longest (new ones first)
 *
 * By process and not by second, so that a process which calls every fifth second is classified,
 * too. Evidence does not decay over skipped windows (detect/evidence.ts), and a suspect is
 * classified every second, so an alert comes later by four seconds at most up to level 2.
 *
 * One level at a time: up when the cost of the last ten seconds is above the cap, down when it has
 * been well below for a minute, and twice as long after each time that was too early. Only if it
 * helps: the cost of classification is measured, it may always take FREE of the limit, and a level
 * that would save less than WORTH of the limit is not used. So the limit is exceeded if counting
 * alone costs more; the log says so. Costs are per second of the host's life, so a recording poured
 * in is not throttled.
 */
import type { Standing } from '../detect/detector-status.ts'
import {
  GOVERNED_WINDOWS_MAX,
  GOVERNOR_CALM_SECONDS,
  GOVERNOR_CALM_SECONDS_MAX,
  GOVERNOR_EVERY_MS,
  GOVERNOR_START_SECONDS,
  GOVERNOR_WINDOW_SECONDS,
  PROCESSES_MAX,
} from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Reduced } from '../domain/summary.ts'
import type { Clock } from '../platform/clock.ts'
import { type Log, log as processLog } from '../platform/log.ts'

export type Level = 0 | 1 | 2 | 3

/** Seconds between two windows of one process. */
const STRIDE = { 0: 1, 1: 2, 2: 5, 3: 5 } as const
const DOES = {
  0: 'every window is classified',
  1: 'each process is classified every 2nd second',
  2: 'each process is classified every 5th second',
  3: `at most ${GOVERNED_WINDOWS_MAX} windows are classified per second`,
} as const
/** Below this share of the limit the level may decrease. */
const ROOM = 0.7
/** Minimum saving of a level, as a share of the limit. */
const WORTH = 0.2
/**
 * Share of the limit that classification may always take: where counting and reading facts alone
 * are above the limit, judging less would leave it exceeded all the same and the host half judged.
 */
const FREE = 0.8

export interface Reading {
  /** Monotonic. */
  readonly atMs: number
  readonly frameIndex: number
  /** Total of the agent and its collector. */
  readonly cpuSeconds: number
  /** Total of judging, a part of it. */
  readonly judgingSeconds: number
}

export interface GovernorState {
  readonly level: Level
  /** Monotonic ms of the last change; of the start, at first. */
  readonly changedMs: number
  /** Since when the cost is well below the cap; undefined while it is not. */
  readonly calmSinceMs: number | undefined
  /** How long it must be. */
  readonly calmMs: number
  /** The last change was downward. */
  readonly recovered: boolean
}

export function startState(nowMs: number): GovernorState {
  const calmMs = GOVERNOR_CALM_SECONDS * 1000
  return {
    level: 0,
    // Start-up costs are not measured.
    changedMs: nowMs + GOVERNOR_START_SECONDS * 1000,
    calmSinceMs: undefined,
    calmMs,
    recovered: false,
  }
}

/** CPU seconds per second of the host's life between two readings: of all, and of judging. */
export function shareBetween(first: Reading, last: Reading): Shares {
  const seconds = Math.max((last.atMs - first.atMs) / 1000, last.frameIndex - first.frameIndex)
  if (seconds <= 0) return { all: 0, judging: 0 }
  return {
    all: (last.cpuSeconds - first.cpuSeconds) / seconds,
    judging: (last.judgingSeconds - first.judgingSeconds) / seconds,
  }
}

/** Shares of a core. */
export interface Shares {
  readonly all: number
  readonly judging: number
}

/**
 * Whether the next level would save enough to be worth it. (What the last one saves is a guess.)
 */
function wouldHelp(level: Level, judging: number, cap: number): boolean {
  if (level === 3 || judging <= FREE * cap) return false
  const left = level === 2 ? 0.5 : STRIDE[level] / STRIDE[(level + 1) as Level]
  return judging * (1 - left) >= WORTH * cap
}

/**
 * @param shares over the last window, all of it since the last change; @param cap as a share of a
 *   core
 */
export function nextState(
  state: GovernorState,
  shares: Shares,
  nowMs: number,
  cap: number,
): GovernorState {
  const { level, changedMs, calmMs } = state
  const { all: share, judging } = shares
  // Of classifying every window: what the level before would cost is a guess.
  const whole = judging * STRIDE[level]
  const helps = level === 0 || (whole > FREE * cap && whole - judging >= WORTH * cap)
  if (share > cap && helps) {
    if (!wouldHelp(level, judging, cap)) return { ...state, calmSinceMs: undefined }
    // The level was decreased too early: next time it waits longer.
    const early = state.recovered && nowMs - changedMs < 2 * calmMs
    return {
      level: (level + 1) as Level,
      changedMs: nowMs,
      calmSinceMs: undefined,
      calmMs: early ? Math.min(2 * calmMs, GOVERNOR_CALM_SECONDS_MAX * 1000) : calmMs,
      recovered: false,
    }
  }
  if (level === 0) {
    const settled = nowMs - changedMs >= 2 * calmMs
    return settled ? { ...state, calmMs: GOVERNOR_CALM_SECONDS * 1000 } : state
  }
  if (helps && share > ROOM * cap) return { ...state, calmSinceMs: undefined }
  const calmSinceMs = state.calmSinceMs ?? nowMs
  if (nowMs - calmSinceMs < calmMs) return { ...state, calmSinceMs }
  return {
    level: (level - 1) as Level,
    changedMs: nowMs,
    calmSinceMs: undefined,
    calmMs,
    recovered: true,
  }
}

export interface Waiting extends Omit<Standing, 'known'> {
  /** Seconds since it was classified; Infinity if never. */
  readonly waited: number
}

/**
 * Which of the candidates are judged in this second: ascending places.
 * @param turn begins the count among equals, so that not always the same are first
 */
export function chooseWindows(
  candidates: readonly Waiting[],
  level: Level,
  turn: number,
  windowsMax: number = GOVERNED_WINDOWS_MAX,
): number[] {
  const suspects: number[] = []
  const due: number[] = []
  candidates.forEach(({ suspicion, waited }, place) => {
    if (suspicion > 0) suspects.push(place)
    else if (waited >= STRIDE[level]) due.push(place)
  })
  const half = Math.ceil(windowsMax / 2)
  suspects.sort((a, b) => candidates[b]!.suspicion - candidates[a]!.suspicion || a - b)
  // Suspects beyond their half wait their turn like the others, so that many suspects do not hide
  // one.
  for (const place of suspects.splice(half))
    if (candidates[place]!.waited >= STRIDE[level]) due.push(place)
  if (level === 3) {
    const order = (place: number) => (place - turn + candidates.length) % candidates.length
    due.sort(
      (a, b) =>
        compare(candidates[b]!.waited, candidates[a]!.waited) ||
        Number(candidates[b]!.claims) - Number(candidates[a]!.claims) ||
        order(a) - order(b),
    )
    due.length = Math.min(due.length, windowsMax - suspects.length)
  }
  return [...suspects, ...due].sort((a, b) => a - b)
}

/** Infinity minus itself is NaN. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export interface GovernorOptions {
  /** Percent of a core; 0: no cap. */
  readonly cpuMax: number
  readonly clock: Clock
  /** Total of the agent and its collector since the start. */
  readonly cpuSeconds: () => number
  /** Of judging alone, a part of it. */
  readonly judgingSeconds: () => number
  /** The detector. */
  readonly judge: {
    standing(process: Process): Omit<Standing, 'known'>
    hold(processes: Iterable<Process>): void
  }
  readonly windowsMax?: number
  readonly log?: Log
}

export interface GovernorStatus {
  readonly cpuMax: number
  readonly level: Level
  readonly does: string
  /** What judging costs, as a share of a core over the last seconds that were looked at. */
  readonly judging: number
  /** Seconds at level 1, 2 and 3. */
  readonly reducedSeconds: readonly [number, number, number]
  /** Windows that were not judged, by reason. */
  readonly unjudged: Readonly<Record<'cpu-max(stride)' | 'cpu-max(windows)', number>>
}

export class Governor {
  readonly #options: GovernorOptions
  /** Percent of a core; 0: no cap. May be changed while it runs. */
  cpuMax: number
  readonly #log: Log
  #state: GovernorState
  /** Of the last window, since the last change. */
  #readings: Reading[] = []
  readonly #seconds: [number, number, number] = [0, 0, 0]
  readonly #unjudged = { 'cpu-max(stride)': 0, 'cpu-max(windows)': 0 }
  /** Frame in which a process was last judged; only kept while some are left out. */
  readonly #judged = new Map<ProcessKey, number>()
  #turn = 0
  #saidLeast = false
  #judging = 0
  #frameIndex = Number.NEGATIVE_INFINITY

  constructor(options: GovernorOptions) {
    this.#options = options
    this.cpuMax = options.cpuMax
    this.#log = options.log ?? processLog
    this.#state = startState(options.clock.monotonic())
  }

  /** What was left out so far, for summaries. */
  get reduced(): Reduced {
    const { 'cpu-max(stride)': stride, 'cpu-max(windows)': windows } = this.#unjudged
    return { seconds: [...this.#seconds], windows: stride + windows }
  }

  status(): GovernorStatus {
    const { level } = this.#state
    return {
      cpuMax: this.cpuMax,
      level,
      does: DOES[level],
      judging: Math.round(this.#judging * 1e4) / 1e4,
      reducedSeconds: [...this.#seconds],
      unjudged: { ...this.#unjudged },
    }
  }

  /** Asked once for each frame. @returns which windows are to be judged; undefined: all of them */
  selection(
    frameIndex: number,
  ): ((candidates: readonly Process[]) => readonly number[]) | undefined {
    if (this.cpuMax === 0) return undefined
    // The clock was set back: what was judged then was not judged in what is the future now.
    if (frameIndex <= this.#frameIndex) this.#judged.clear()
    this.#frameIndex = frameIndex
    this.#look(frameIndex)
    const { level } = this.#state
    if (level === 0) return undefined
    this.#seconds[level - 1]! += 1
    return (candidates) => this.#choose(candidates, frameIndex, level)
  }

  #look(frameIndex: number): void {
    const { clock, cpuSeconds, judgingSeconds } = this.#options
    const atMs = clock.monotonic()
    const last = this.#readings.at(-1)
    if (last !== undefined && atMs - last.atMs < GOVERNOR_EVERY_MS) return
    const reading = {
      ...{ atMs, frameIndex, cpuSeconds: cpuSeconds() },
      judgingSeconds: judgingSeconds(),
    }
    const state = this.#state
    this.#readings.push(reading)
    // The window lies behind the last change: what came before was another level's cost.
    while (this.#readings.length > 1 && this.#readings[0]!.atMs < state.changedMs)
      this.#readings.shift()
    const windowMs = GOVERNOR_WINDOW_SECONDS * 1000
    while (this.#readings.length > 2 && atMs - this.#readings[1]!.atMs >= windowMs)
      this.#readings.shift()
    const first = this.#readings[0]!
    if (atMs - first.atMs < windowMs) return
    const shares = shareBetween(first, reading)
    this.#judging = shares.judging
    this.#state = nextState(state, shares, atMs, this.cpuMax / 100)
    this.#tell(state.level, shares)
    if (this.#state.level === 0) this.#judged.clear()
  }

  #tell(before: Level, { all: share, judging }: Shares): void {
    const { level } = this.#state
    const { cpuMax } = this
    const fields = { level, does: DOES[level], cpu: `${(100 * share).toFixed(1)} %` }
    if (level > before) {
      this.#log.warn('Classifying less often to stay below --cpu-max', { ...fields, cpuMax })
    } else if (level < before) {
      this.#log.warn('Classifying more often again', { ...fields, cpuMax })
      this.#saidLeast = false
    } else if (share > cpuMax / 100 && !this.#saidLeast) {
      const fieldsOfBoth = { ...fields, judging: `${(100 * judging).toFixed(1)} %`, cpuMax }
      this.#log.warn(
        level === 3
          ? 'CPU use is above --cpu-max at the lowest classification rate; counting is not throttled'
          : 'Above --cpu-max, and judging less would hardly help: counting is never reduced',
        fieldsOfBoth,
      )
      this.#saidLeast = true
    }
  }

  /**
   * The frame in which a process of which nothing is known counts as judged. By pid, so that not
   * all are due in the same second; at the last level places are given to who has waited longest,
   * and it has waited for ever.
   */
  #before({ pid }: Process, level: Level): number {
    if (level === 3) return Number.NEGATIVE_INFINITY
    const stride = STRIDE[level]
    return this.#frameIndex - 1 - (((pid % stride) + stride) % stride)
  }

  #choose(candidates: readonly Process[], frameIndex: number, level: Level): readonly number[] {
    const { judge, windowsMax } = this.#options
    const keys = candidates.map(processKey)
    const waiting = candidates.map((process, place) => ({
      ...judge.standing(process),
      waited: frameIndex - (this.#judged.get(keys[place]!) ?? this.#before(process, level)),
    }))
    const chosen = chooseWindows(waiting, level, this.#turn, windowsMax)
    this.#turn = candidates.length === 0 ? 0 : (this.#turn + chosen.length) % candidates.length
    const isChosen = new Uint8Array(candidates.length)
    for (const place of chosen) {
      isChosen[place] = 1
      // Moved to the end: the map's first is the one that was judged longest ago.
      this.#judged.delete(keys[place]!)
      this.#judged.set(keys[place]!, frameIndex)
    }
    while (this.#judged.size > PROCESSES_MAX) this.#judged.delete(this.#judged.keys().next().value!)
    for (const [place, key] of keys.entries())
      if (level < 3 && isChosen[place] === 0 && !this.#judged.has(key))
        this.#judged.set(key, this.#before(candidates[place]!, level))
    judge.hold(candidates.filter((_, place) => isChosen[place] === 0))
    waiting.forEach(({ waited }, place) => {
      if (isChosen[place] === 1) return
      this.#unjudged[waited < STRIDE[level] ? 'cpu-max(stride)' : 'cpu-max(windows)'] += 1
    })
    return chosen
  }
}
