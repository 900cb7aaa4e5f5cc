/**
 * Manually chosen numbers of detection: what each trades off, and what it was measured on. Where no
 * measurement is named, the number was chosen from single programs, and from attacks and ordinary
 * jobs run on a laboratory host. `bun scripts/mutate.ts --thresholds` lists those that can move by
 * a third without a test that fails.
 *
 * The levels that evidence has to reach come with a model, from its calibration data
 * (calibration.ts); bounds of what is kept are in domain/limits.ts.
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
 * files takes six seconds, and others may be watched first: at load 35 on two cores a job was called
 * file encryption after 15 seconds, its answer still under way.
 */
export const FACT_SECONDS = { least: 4, most: 30 } as const

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

/** Evidence of one window (judge.ts), beside the drifts above. */
export const WINDOW = {
  /** No window counts for more, or for less: one odd second stays in ten of them. */
  most: 4,
  least: -2,
  /** Added to probabilities before their ratio is taken: the net's guesses below it say nothing. */
  floor: 0.005,
  /** The same of rates of confusion, which are measured on thousands of windows. */
  rateFloor: 0.002,
  /** Below this probability of all malicious classes the distance to one is not looked at. */
  maliceFrom: 0.05,
  /** A class whose windows are all alike has no smaller radius: its own next window would be out. */
  radiusLeast: 0.25,
} as const

/**
 * Within so many radii of the class that the net names (99 % of its own windows are), a window is
 * known. Takes back the net's word on 40 % of the windows of strange programs, and on 4 % of those
 * of programs that are named rightly (recordings standing/strange-1 and known-2).
 */
export const KNOWN_WITHIN = 1

/** Accumulated evidence (evidence.ts) and its levels (calibration.ts, tail.ts). */
export const EVIDENCE = {
  /** A sum above this adds nothing but time to recover. */
  most: 60,
  /** A budget that needs a higher level gets this: a minute of evidence can still reach it. */
  highestLevel: 45,
  /** One odd second stays in ten windows: a level that a single one can pass is none. */
  lowestLevel: 4,
  /** Seconds without a window over which evidence fades to 1/e. */
  fadeSeconds: 60,
  /** Share of the newest window in the running mean of the class probabilities. */
  newest: 0.2,
} as const

/** Peaks over threshold, from which levels are fitted (tail.ts). */
export const TAIL = {
  /** A heavier tail than this has no spread: a few dozen peaks cannot show one. */
  shapeHighest: 0.3,
  /** Fewer excesses show no shape. */
  excessesLeast: 8,
} as const

/** What a class that was measured on other hosts brings, in windows of this one. */
export const MEASURED_ELSEWHERE_WINDOWS = 10

/** The baseline (memory.ts). Distances are between whitened states. */
export const MEMORY = {
  /** Two states nearer than this are one behaviour. Smaller: more prototypes for the same. */
  cover: 0.5,
  /** Beyond this from all anchors a state is strange for its name. */
  strange: 1,
  /**
   * Seconds it must have been seen, and seconds from the first to the last sight, to become usual.
   * Shorter: an attacker's second visit finds the door open.
   */
  recur: { near: { seen: 20, span: 120 }, strange: { seen: 600, span: 6 * 3600 } },
  /** Seconds between two strange behaviours taken in under one name. */
  strangeEvery: 86_400,
  /** An operator has so many seconds to say that what was proven is allowed here. */
  resetAfter: 86_400,
  /** First seconds of a name that are not counted as surprises: all of them are new. */
  settledSeconds: 60,
  /** Surprise is counted over about so many of a name's last judged seconds. */
  secondsCounted: 16_384,
} as const

/** The baseline's state, for people (memory-state.ts); nothing is decided by it. */
export const MEMORY_STATE = {
  /** Seconds without anything added. */
  staleAfter: 86_400,
  /** Share of deviating processes: from here masquerades are weighed less, too (unrest.ts). */
  driftedFrom: 0.1,
} as const

/** Host-wide deviation (unrest.ts). */
export const UNREST = {
  /** Farther than this from all that is usual under its name a process deviates. */
  strange: 1,
  /** Share of the newest second in the running mean: about the last twenty count. */
  newest: 0.05,
  /** Fewer processes than this in a second say nothing of their host. */
  enough: 8,
  /** Shares of deviating processes up to which a host is calm, and from which nothing stands out. */
  calmUpTo: 0.1,
  nothingFrom: 0.2,
  /**
   * A process that began while the agent ran votes when it was as usual in so many windows. It takes
   * five minutes; a service is nearly always older.
   */
  pastWindows: 300,
} as const

/** Alerts that recur for days (recurrence.ts): days looked back, and earlier days from which it is no news. */
export const RECURRENCE = { withinDays: 14, usualAfterDays: 3 } as const

/** Of what may be opened in a minute, and confirmed in a day: the rest is left to worse severities. */
export const LESSER_SHARE = 0.75

/** Reasons and alternatives of an alert, for people. */
export const SHOWN = {
  /** A class less probable than this is no alternative: it says nothing. */
  alternativeFrom: 0.05,
  /** A call is missed that makes up so much of the claimed class's usual second. */
  missedShare: 0.08,
} as const

// --- By counts, without the model ----------------------------------------------------------------

/** Who is responsible for a process (lineage.ts): seconds after which it answers for itself. */
export const GROWN_SECONDS = 3

/**
 * Different calls in a second that no ordinary program makes (20 to 60 is ordinary, 120 the most
 * that was seen), in so many seconds of a minute (blinding.ts).
 */
export const BLINDING = { kinds: 128, seconds: 3, within: 60 } as const

/** When this host cannot be seen (blindness.ts); seconds within the last minute. */
export const BLINDNESS = {
  within: 60,
  /** A second in which half is not judged is half of one. */
  blindSeconds: 15,
  /** One lost call costs a process its windows of ten seconds: a user is blind after three. */
  userSeconds: 30,
  /** Seconds that come later than this (ms) are late, and so many late ones are told. */
  lateMs: 5_000,
  lateSeconds: 15,
  /** What is asked about processes is answered in milliseconds, files in six seconds. */
  factsSilentMs: 30_000,
  /** Seconds of a host-wide deviation that holds masquerades back. */
  deviatingSeconds: 45,
} as const

/** Pure computation (compute.ts): a reason to look at the program, no more. */
export const COMPUTE = {
  /** What is left of a second's work in the next. */
  decay: 0.95,
  /** CPU time (ms) in the decayed sum: a third of a core for 20 seconds, a whole one for four. */
  computedMs: 3_500,
  /** And not before so many seconds. */
  secondsLeast: 15,
  /** Calls per second of CPU time; a program that does something for others makes thousands. */
  fewCalls: 250,
  /** Seconds until the same process is told again. */
  againAfter: 45,
  /** Below this (ms in a second) a process is not followed. */
  notedMs: 50,
} as const

/**
 * Fork storms (fork-storm.ts). Processes that do not answer for themselves yet; of these, those that were
 * there in the second before as well, those that are new, and seconds of it. A server that starts a
 * process for each client has as many as a load test has clients, 200 at most as a rule.
 */
export const FORK_STORM = {
  young: GROWN_SECONDS,
  stayed: 250,
  born: 200,
  seconds: 3,
} as const

/** Mass rewriting of files (file-work.ts): a reason to look at the files, no more. */
export const FILE_WORK = {
  /** What is left of a second's work in the next. */
  decay: 0.85,
  /** Files removed or renamed, of late: by the dozen. One a second comes to 6.7. */
  removed: 5,
  /** Files opened, read and written in place: two or three a second. */
  rewritten: 15,
  /** What maps and unmaps a file may have written to it, or only read it. */
  mappedWeight: 0.5,
  /** Tools, started once a file, that read and write: more than one a second. */
  tools: 8,
  /** Seconds until the same process is looked at again. */
  againAfter: 30,
  /** Younger processes (seconds) count to who started them, too: xargs, sh and openssl to find. */
  shortLife: 3,
  generations: 3,
  /**
   * Removed or renamed within a minute: who takes its time, a file in some seconds. Editors and
   * daemons do so, too, and are looked at seldom.
   */
  slow: { removed: 4, decay: 0.98, seconds: 8, againAfter: 120 },
} as const

/** Who gathers secrets (credentials.ts). */
export const GATHERING = {
  /** Seconds in which openings belong together. */
  window: 60,
  /** Kinds of secrets, and openings of them: ssh, a browser or a login reads one kind each. */
  kinds: 3,
  opens: 4,
  /**
   * Share of secrets among the files that it opens or tries to, and how many are those of its
   * start; tar looks for dozens of translations.
   */
  mostly: 0.1,
  openedAtStart: 8,
} as const

/** Command lines that belong together (commands.ts). Each alone is what people type every day. */
export const COMMANDS = {
  /** Seconds in which they do. */
  window: 60,
  /** Kinds of questions about the host, and what is left of them a second later. */
  questions: 3,
  questionsKept: 0.985,
  /** Who asks for so many kinds, privileges among them, lists all there is to know. */
  enumeration: 6,
  /** Equal commands with different secrets. */
  tries: 5,
  /** Names that carry data. */
  dataNames: 5,
} as const

// --- Connections (connecting.ts) ----------------------------------------------------------------

/**
 * Files are no answers: a program that is started reads its libraries, a resolver its settings, and
 * reads go on until nothing is left. curl opens dozens, nc five.
 */
export const READS_OF_A_FILE = 2
export const READS_OF_A_START = 8
/** What is left of a second in the next: the sum stands for ten seconds. */
export const CONTACTS_DECAY = 0.9
/** Seconds that must have been seen before anything is said. */
export const CONTACTS_SECONDS = 4
/** Remote ends in ten to twenty seconds, and reads for each contact. */
export const SCAN = { ends: 80, contacts: 60, heard: 0.5, seconds: 5 } as const
/** So many are a scan's at once: those of one host's ports are over within two seconds. */
export const BURST = { ends: 250, contacts: 300, seconds: 2 } as const
/**
 * A scan of a few ends a second: within a minute or two each is turned to once or twice, and hardly
 * one answers. A monitor comes back to its hosts, and gets answers.
 */
export const SLOW = { ends: 70, each: 1.6, heard: 0.2, seconds: 15, decay: 0.985 } as const
/**
 * Connects in the sum (a steady rate adds up to ten seconds of it), and answers to each, where
 * remote ends are not told.
 */
export const SCAN_BY_CALLS = { connects: 300, heard: 0.05, seconds: 8 } as const
/** Contacts in the sum, with at most so many remote ends. */
export const GUESSES = { ends: 3, seconds: 6 } as const
/** Services that ask for a password and are asked seldom, and connections that are too many. */
export const ASKS_FOR_PASSWORD: Readonly<Record<number, number>> = {
  ...{ 21: 15, 23: 15, 110: 15, 143: 15, 445: 15, 993: 15, 995: 15, 3389: 10, 5900: 10 },
  // Many repositories are fetched one after the other.
  ...{ 22: 30, 2222: 30 },
}
/** Contacts for each question, and with whom: one, and the name server that knows it. */
export const ORDERS = { contacts: 1.5, ends: 2 } as const
/**
 * Queries in the sum, their mean length (12 + 5 bytes are no name), and different names: who asks
 * for one long name again and again sends nothing.
 */
export const TUNNEL = { queries: 30, bytes: 90, names: 20, seconds: 4 } as const

/**
 * Who connects to one end again and again, and is answered: a client that keeps no connection, or one
 * that is refused a login each time. Asked about anew after so long, and twice as long each time.
 */
export const REPEATS = {
  contacts: 15,
  ends: 3,
  seconds: 6,
  answered: 0.5,
  again: 60,
  latest: 3_600,
} as const

// --- Facts (findings.ts, triggers.ts) ------------------------------------------------------------

/** Kinds of questions of who keeps no connection between them. */
export const QUESTIONS_BY_VISITS = 4
/**
 * So many files that became unreadable are no accident; so many that did not say that it does
 * something else.
 */
export const ENCRYPTED_FILES = 3
export const ORDINARY_FILES = 6
/** In ten seconds: so many without an answer are a scan's, so few are ordinary. */
export const MANY_CONNECTS = 150
export const FEW_CONNECTS = 40
/** Different remote ends in ten to twenty seconds; a scan has dozens. */
export const FEW_ENDS = 20
export const ANSWERED = 1.5
export const UNANSWERED = 0.5
/** Different remote ends of who tries one password after the other. */
export const GUESSED_ENDS = 10
/** In ten seconds. */
export const FEW_QUERIES = 5

/** Seconds after its first sight at which a shell or interpreter is looked at again. */
export const SHELL_AGES = [3, 15] as const
/** And from then on. */
export const SHELL_EVERY = 45
