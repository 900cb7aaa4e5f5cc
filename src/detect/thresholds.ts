/**
 * Manually chosen numbers of how windows are judged: what each trades off, and what it was measured
 * on. The thresholds of evidence come with a model, from its calibration data (calibration.ts);
 * those of a detector that works from counts or facts (connecting.ts, file-work.ts, findings.ts …)
 * stand at its beginning.
 *
 * "Recordings" are the laboratory hosts of models/recordings; B and E were never trained on.
 */

/**
 * The memory knows a name well after so many judged seconds, and so many seconds since its first
 * sight.
 */
export const WARM = { seconds: 60, age: 600 }

/** Judged seconds after which a new program has shown enough of itself to be called new. */
export const NEWCOMER_SECONDS = 4
/** A new name nearer than this to what any name usually does here is an old program. */
export const NEWCOMER_USUAL = 0.5

/**
 * A longer gap between two frames is time that was not watched (a restart, a suspended machine, a
 * clock that was set).
 */
export const UNWATCHED_SECONDS = 60

/**
 * Notifications about new programs a day, as a share of the budget of false alerts, one at least:
 * a host where dozens of new names come a day would spend all of it on them.
 */
export const NOVELTY_SHARE = 0.5

/** Share of a process's late windows that are like no class, from which it is not known. */
export const NOT_KNOWN_FROM = 0.5

/** A run whose most probable class is less probable than this matches no class. */
export const CONFIDENCE_MIN = 0.35

/**
 * Share of a level from which facts about the process are read: early enough to be there when it is
 * reached.
 */
export const FACTS_FROM = 0.3
/**
 * Seconds that evidence waits for facts: where no answer is under way, and where one is. Watching
 * files takes six seconds, and others may be watched first.
 */
export const FACT_SECONDS = { least: 4, most: 15 } as const

/**
 * Mean probability of what an alert says, below which it stays an observation, and from which it is
 * confirmed. Cold, the model stands alone: half of its wrong guesses on a busy host had less than
 * 0.5. A shell or interpreter runs any program, so its name lowers no doubt, and it must be clear
 * which behaviour it is (`named`): on a busy host clients, loops of curl and a terminal's driver
 * were called malicious at 0.55 to 0.74, none of them named at more than 0.55.
 */
export const CERTAINTY = {
  cold: { provisional: 0.5, confirmed: 0.6, named: 0 },
  warm: { provisional: CONFIDENCE_MIN, confirmed: 0.45, named: 0 },
  anyProgram: { provisional: 0.7, confirmed: 0.75, named: 0.5 },
} as const

/** This host's own level (host-level.ts). */
export const HOST_LEVEL = {
  /** A part of an hour that was watched for less says nothing of the hour. */
  watchedSeconds: 1_800,
  /**
   * The level may grow by this factor in a day: an attacker needs days, and raises alerts on each
   * of them.
   */
  liftPerDay: 1.5,
  /**
   * Evidence saturates at about three times its level: above this nothing but a fact would ever
   * alert.
   */
  most: 2.5,
} as const

export const JUDGE = {
  /** Ordinary windows of a class that is at home elsewhere stay below this. */
  coldDrift: 0.5,
  /**
   * Nearer than this to what is usual here, a window speaks for the process whatever the model
   * says.
   */
  usual: 1,
  /**
   * Within this of what another program usually does here, a window is as usual for that one: the
   * memory keeps prototypes no denser.
   */
  same: 0.5,
  /** What the model's word takes where the memory cannot tell two programs apart. */
  aloneDrift: 0.3,
  /** Distance to what is usual that speaks neither way. */
  strangeDrift: 1.2,
  strangeWeight: 1,
  surpriseDrift: 2.5,
  contradictedDrift: 2,
  /**
   * ln of the odds that a program with a malicious one's name is that program, before it has done
   * anything.
   */
  maliciousNameOdds: 4,
  suspectDrift: 1,
  againstWeight: 0.5,
  /** A window further than this from the malicious class's own is no window of it. */
  maliciousGate: 2,
  near: 0.6,
  awayWeight: 8,
} as const
