/**
 * Every command: what it does in one line, and how to load it. The lines stand here and not only in the
 * commands, so that `agent --help` and `--version` load none of them. A command may still call itself more exactly
 * in its own help.
 */
export interface Entry {
  readonly summary: string
  readonly group: 'Watch' | 'Look' | 'Models' | 'Fleet' | 'Care'
  /** A module whose default export is a citty command. */
  readonly load: () => Promise<{ default: unknown }>
}

export const COMMANDS: Readonly<Record<string, Entry>> = {
  aggregate: {
    group: 'Fleet',
    summary: 'Broker, store, page, API and metrics for many hosts',
    load: () => import('./aggregate.ts'),
  },
  config: {
    group: 'Care',
    summary: 'Settings in use, and where each comes from',
    load: () => import('./config.ts'),
  },
  completion: {
    group: 'Care',
    summary: 'Completion for bash, zsh or fish',
    load: () => import('./completion.ts'),
  },
}
