/**
 * Every command: what it does in one line, and how to load it. The lines stand here and not only in the
 * commands, so that `agent --help` and `--version` load none of them. A command may still call itself more exactly
 * in its own help.
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
    summary: 'Watches this host, and says when a program is not what its name says',
    load: () => import('./watch.ts'),
  },
  replay: {
    group: 'Watch',
    summary: 'Captures through the whole agent, as fast as it can',
    load: () => import('./replay.ts'),
  },
  demo: {
    group: 'Watch',
    summary: 'Recorded hosts under attack, with broker and page',
    load: () => import('./demo.ts'),
  },
  top: {
    group: 'Look',
    summary: 'Processes live: what each behaves like, how sure, how much; what the agent costs',
    load: () => import('./top.ts'),
  },
  simulate: {
    group: 'Watch',
    summary: 'Runs safe stand-ins of attacks, and says which the running agent found',
    load: () => import('./simulate.ts'),
  },
  record: {
    group: 'Look',
    summary: 'A live source to a frames file, to train on or to keep',
    load: () => import('./record.ts'),
  },
  count: {
    group: 'Look',
    summary: 'Captures to frames: the calls of each process and second',
    load: () => import('./count.ts'),
  },
  train: {
    group: 'Models',
    summary: 'Frames to a model directory',
    load: () => import('./train.ts'),
  },
  evaluate: {
    group: 'Models',
    summary: "A model's figures on frames, window by window and as an alarm",
    load: () => import('./evaluate.ts'),
  },
  compare: {
    group: 'Models',
    summary: "The paper's six models on any frames",
    load: () => import('./compare.ts'),
  },
  adapt: {
    group: 'Models',
    summary: "Teaches the model this host's own programs; the agent does it by itself",
    load: () => import('./adapt.ts'),
  },
  model: {
    group: 'Models',
    summary: 'Models of this agent: look, check, switch, sign',
    load: () => import('./model.ts'),
  },
  aggregate: {
    group: 'Fleet',
    summary: 'Broker, store, page, API and metrics for many hosts',
    load: () => import('./aggregate.ts'),
  },
  alerts: {
    group: 'Look',
    summary: 'Alerts of this host, newest first',
    load: () => import('./alerts.ts'),
  },
  explain: {
    group: 'Look',
    summary: 'Why an alert was raised: which calls decided',
    load: () => import('./explain.ts'),
  },
  allow: {
    group: 'Look',
    summary: 'Suppresses alerts that are expected',
    load: () => import('./allow.ts'),
  },
  label: {
    group: 'Look',
    summary: 'Says what an alert really was, and keeps its windows for training',
    load: () => import('./label.ts'),
  },
  policy: {
    group: 'Look',
    summary: 'Malicious behaviours and their severities on this host',
    load: () => import('./policy.ts'),
  },
  status: {
    group: 'Look',
    summary: 'The ledger of the agent: seen, counted, dropped, sent',
    load: () => import('./status.ts'),
  },
  doctor: {
    group: 'Care',
    summary: 'What this host offers, what is missing, and how to get it',
    load: () => import('./doctor.ts'),
  },
  config: {
    group: 'Care',
    summary: 'Settings in use, and where each comes from',
    load: () => import('./config.ts'),
  },
  completion: {
    group: 'Care',
    summary: 'Completion for bash, zsh or fish',
    load: async () => {
      const { completionOf } = await import('./completion.ts')
      return { default: completionOf(SHOWN_COMMANDS) }
    },
  },
  update: {
    group: 'Care',
    summary: 'Replaces this agent by a newer release, after checking its signature',
    load: () => import('./update.ts'),
  },
  uninstall: {
    group: 'Care',
    summary: 'Removes this agent from the host',
    load: () => import('./uninstall.ts'),
  },
  'collect-kernel': {
    group: 'hidden',
    summary: 'The kernel source starts this for itself',
    load: () => import('./collect-kernel.ts'),
  },
  'read-facts': {
    group: 'hidden',
    summary: 'The agent starts this for itself',
    load: () => import('./read-facts.ts'),
  },
}

/** Those that a person calls. */
export const SHOWN_COMMANDS: Readonly<Record<string, Entry>> = Object.fromEntries(
  Object.entries(COMMANDS).filter(([, { group }]) => group !== 'hidden'),
)
