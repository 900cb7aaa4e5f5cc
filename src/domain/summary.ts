/** Compact counts of a span, published though all is well; bounded whatever the host does. */
export interface ProcessSummary {
  readonly pid: number
  /** Unix seconds. */
  readonly start: number
  readonly name: string
  readonly container?: string
  /** Active seconds in the span. */
  readonly active: number
  /** Calls in the span. */
  readonly calls: number
  /**
   * The class it behaved most like, and its mean confidence; NOT_KNOWN without a confidence where
   * that is none; absent where it was never judged.
   */
  readonly class?: string
  readonly confidence?: number
  /**
   * The most frequent calls of the span, by index into the summary's own `syscalls`, with their
   * counts.
   */
  readonly top: readonly (readonly [syscall: number, count: number])[]
}

/** What was not done to stay below --cpu-max: counts are whole, judgements are fewer. */
export interface Reduced {
  /** Seconds at level 1, 2 and 3 (agent/governor.ts). */
  readonly seconds: readonly [number, number, number]
  /** Windows that were not judged. */
  readonly windows: number
}

/** What this host's own hours say of false alerts, at the time of the summary. */
export interface Guarantee {
  /** Ordinary hours that it rests on, and how many it takes. */
  readonly hours: number
  readonly needed: number
  /** Share of hours that hold an alert by chance, at most; absent until it can be said. */
  readonly alertHoursMax?: number
}

export interface Summary {
  /** Unix seconds, inclusive. */
  readonly from: number
  readonly to: number
  /** Names that `top` refers to. */
  readonly syscalls: readonly string[]
  /** The busiest; how many more there were is in `processesOmitted`. */
  readonly processes: readonly ProcessSummary[]
  readonly processesOmitted: number
  readonly calls: number
  readonly dropped: Readonly<Record<string, number>>
  readonly alertsOpen: number
  /** Seconds that were counted and not judged, by reason; absent where all were. */
  readonly unjudged?: Readonly<Record<string, number>>
  /**
   * What is not told in the span; absent where nothing was: `alerts-held` by the rate of alerts,
   * `windows-blind` that were not judged because calls were lost, `seconds-blind` in which the alert
   * stood that this host cannot be seen.
   */
  readonly missed?: Readonly<Record<string, number>>
  /** Absent from agents that do not judge, and from older ones. */
  readonly guarantee?: Guarantee
  /** The agent's own cost over the span, with that of its collector. */
  readonly agent: {
    readonly cpuSeconds: number
    readonly rssBytes: number
    readonly lagMs: number
    readonly outboxRows: number
    /** Absent where every window was judged, as it should be. */
    readonly reduced?: Reduced
  }
}
