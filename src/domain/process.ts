/**
 * Who a process is. A pid alone is not a process (pids are reused): identity is pid + start time,
 * rounded to whole seconds, because /proc, the kernel and captures disagree below that.
 */
export interface Process {
  /**
   * > 0; minus the first member's pid where this stands for a group of short-lived processes
   * (detect/short-lives.ts).
   */
  readonly pid: number
  /**
   * When it started, whole seconds since the Unix epoch in ms; where no source says, the second it
   * was first seen.
   */
  readonly startMs: number
  /** The name it *presents*: the comm of its thread-group leader, made safe (see `safeName`). */
  readonly name: string
  readonly exe?: string
  readonly container?: string
  readonly command?: Command | undefined
  readonly ppid?: number
  readonly uid?: number
  /**
   * Inode of the pid namespace it lives in, where the source tells: which container, where several
   * share a kernel.
   */
  readonly pidNamespace?: number
  /** Of a group: pid of its latest member. */
  readonly latest?: number
}

/** What a program was told to do, as the kernel saw it executed. */
export interface Command {
  /** Arguments divided by blanks, cut, secrets masked. */
  readonly text: string
  /** Of the arguments as they were, under a seed of the run: equal where they are. */
  readonly digest: number
}

/** pid@start in seconds: the same process under any name. */
export type ProcessKey = `${number}@${number}`

export function processKey(process: Process): ProcessKey {
  return `${process.pid}@${Math.floor(process.startMs / 1000)}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]/g

/**
 * A name fit for terminals, logs, JSON and topics: control characters, bidirectional overrides and
 * U+FFFD become `?`. What is left is bounded by the caller (NAME_BYTES_MAX).
 */
export function safeName(name: string): string {
  return name.replace(UNSAFE, '?')
}

/** The kernel's events and /proc round a start to neighbouring seconds. */
export const START_TOLERANCE_SECONDS = 2
