/** Ten seconds of one process, and what it is known to be: one example to train on or to test with. */
import type { Part } from './split.ts'

export interface Window {
  /** What the process is: its label or name by the alias rules, or the malicious program. */
  readonly name: string
  readonly malicious: boolean
  readonly part: Part
  /** Which recording, and the second it ends in. */
  readonly recording: number
  readonly second: number
  readonly pid: number
  /** Position of its first row in `Windows.rows`. */
  readonly at: number
}
