/**
 * Every command: what it does in one line, and how to load it. The lines stand here and not only in
 * the commands, so that `agent --help` and `--version` load none of them. A command may have a more
 * exact description in its own help.
 */
export interface Entry {
  readonly summary: string
  readonly group: 'Watch' | 'Look' | 'Models' | 'Fleet' | 'Care' | 'hidden'
  /** A module whose default export is a citty command. */
  readonly load: () => Promise<{ default: unknown }>
}

export const COMMANDS: Readonly<Record<string, Entry>> = {
  watch: {
    group: 'Watch',
    summary: 'Watches this host and raises alerts',
    load: () => import('./watch.ts'),
  },
  replay: {
    group: 'Watch',
    summary: 'Runs a capture through the full pipeline at maximum speed',
    load: () => import('./replay.ts'),
  },
  demo: {
    group: 'Watch',
    summary: 'Replays recorded hosts under attack, with broker and web page',
    load: () => import('./demo.ts'),
  },
  top: {
    group: 'Look',
    summary: 'Live view: class, confidence and calls of each process; cost of the agent',
    load: () => import('./top.ts'),
  },
  simulate: {
    group: 'Watch',
    summary: 'Simulates attacks safely and reports which the running agent found',
    load: () => import('./simulate.ts'),
  },
  record: {
    group: 'Look',
    summary: 'Records a live source to a frames file',
    load: () => import('./record.ts'),
  },
  count: {
    group: 'Look',
    summary: 'Counts captures: calls of each process and second, as frames',
    load: () => import('./count.ts'),
  },
  train: {
    group: 'Models',
    summary: 'Trains a model from frames',
    load: () => import('./train.ts'),
  },
  evaluate: {
    group: 'Models',
    summary: 'Evaluates a model on frames: classification and alerts',
    load: () => import('./evaluate.ts'),
  },
  compare: {
    group: 'Models',
    summary: "Trains and compares the paper's six models",
    load: () => import('./compare.ts'),
  },
  adapt: {
    group: 'Models',
    summary: "Teaches the model this host's own programs; the agent does it by itself",
    load: () => import('./adapt.ts'),
  },
  model: {
    group: 'Models',
    summary: 'Lists, verifies, selects and signs models',
    load: () => import('./model.ts'),
  },
  aggregate: {
    group: 'Fleet',
    summary: 'Runs the aggregator: broker, store, page, API and metrics for many hosts',
    load: () => import('./aggregate.ts'),
  },
  enrol: {
    group: 'Fleet',
    summary: 'Gets a certificate for this host from its aggregator',
    load: () => import('./enrol.ts'),
  },
  export: {
    group: 'Fleet',
    summary: 'Writes the messages of a host without a network to a file',
    load: () => import('./export.ts'),
  },
  import: {
    group: 'Fleet',
    summary: 'Sends a file of "agent export" to an aggregator',
    load: () => import('./import.ts'),
  },
  alerts: {
    group: 'Look',
    summary: 'Lists alerts of this host, newest first',
    load: () => import('./alerts.ts'),
  },
  explain: {
    group: 'Look',
    summary: 'Explains why an alert was raised',
    load: () => import('./explain.ts'),
  },
  allow: {
    group: 'Look',
    summary: 'Suppresses expected alerts',
    load: () => import('./allow.ts'),
  },
  label: {
    group: 'Look',
    summary: 'Labels an alert for training',
    load: () => import('./label.ts'),
  },
  'fetch-windows': {
    group: 'Look',
    summary: 'Fetches the windows of an alert from a host of the fleet, for training',
    load: () => import('./fetch-windows.ts'),
  },
  policy: {
    group: 'Look',
    summary: 'Lists and changes the severity of malicious behaviours',
    load: () => import('./policy.ts'),
  },
  status: {
    group: 'Look',
    summary: 'Shows the ledger: calls seen, counted, dropped; messages sent',
    load: () => import('./status.ts'),
  },
  doctor: {
    group: 'Care',
    summary: 'Checks what this host supports and what is missing',
    load: () => import('./doctor.ts'),
  },
  config: {
    group: 'Care',
    summary: 'Shows the settings in use and their origins, and checks them',
    load: () => import('./config.ts'),
  },
  seccomp: {
    group: 'Models',
    summary: 'Prints a seccomp profile of the calls that a program made on this host',
    load: () => import('./seccomp.ts'),
  },
  support: {
    group: 'Care',
    summary: 'Writes a redacted document for problem reports',
    load: () => import('./support.ts'),
  },
  completion: {
    group: 'Care',
    summary: 'Prints completion scripts for bash, zsh or fish',
    load: async () => {
      const { completionOf } = await import('./completion.ts')
      return { default: completionOf(SHOWN_COMMANDS) }
    },
  },
  update: {
    group: 'Care',
    summary: 'Updates this agent to a signed release',
    load: () => import('./update.ts'),
  },
  uninstall: {
    group: 'Care',
    summary: 'Removes this agent',
    load: () => import('./uninstall.ts'),
  },
  'collect-kernel': {
    group: 'hidden',
    summary: 'Started by the kernel source',
    load: () => import('./collect-kernel.ts'),
  },
  'read-facts': {
    group: 'hidden',
    summary: 'Started by the agent',
    load: () => import('./read-facts.ts'),
  },
}

/** Those that a person calls. */
export const SHOWN_COMMANDS: Readonly<Record<string, Entry>> = Object.fromEntries(
  Object.entries(COMMANDS).filter(([, { group }]) => group !== 'hidden'),
)
