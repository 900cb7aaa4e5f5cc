/**
 * Operating errors with a closed set of codes. Each code defines whether waiting helps
 * (`retriable`) and its exit code; only cli.ts prints an AgentError and exits with that code.
 */
const CODES = {
  ERR_FAILED: { exit: 1, retriable: false },
  ERR_USAGE: { exit: 2, retriable: false },
  ERR_INPUT: { exit: 1, retriable: false },
  ERR_NOT_RUNNING: { exit: 4, retriable: false },
  ERR_CONFIG: { exit: 5, retriable: false },
  ERR_MODEL: { exit: 5, retriable: false },
  ERR_PERMISSION: { exit: 6, retriable: false },
  ERR_STATE: { exit: 6, retriable: false },
  ERR_DISK: { exit: 1, retriable: true },
  ERR_COLLECTOR: { exit: 7, retriable: false },
  ERR_COLLECTOR_DIED: { exit: 7, retriable: true },
  ERR_BROKER: { exit: 8, retriable: true },
  ERR_SIGNATURE: { exit: 9, retriable: false },
  ERR_PIPELINE: { exit: 12, retriable: true },
} as const

export type ErrorCode = keyof typeof CODES

/** Exit codes that are not errors. */
export const EXIT = { ok: 0, degraded: 3, alerts: 10, lost: 11, interrupted: 130 } as const

/** Every exit code, as `--help` and the documents give it. */
export const EXIT_CODES: Readonly<Record<number, string>> = {
  0: 'ok',
  1: 'failed',
  2: 'usage',
  3: 'degraded',
  4: 'not running',
  5: 'configuration',
  6: 'permission',
  7: 'collector unavailable',
  8: 'broker unreachable',
  9: 'signature or integrity',
  10: 'alerts found',
  11: 'data lost',
  12: 'pipeline failed repeatedly',
  130: 'interrupted',
}

export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: ErrorCode
  /** The next step for the reader, in the imperative. */
  readonly hint: string | undefined

  /**
   * @param message starts with a capital and the action, quotes strings, no full stop, says what is
   *   and what should be.
   */
  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }

  get exitCode(): number {
    return CODES[this.code].exit
  }

  get retriable(): boolean {
    return CODES[this.code].retriable
  }
}
