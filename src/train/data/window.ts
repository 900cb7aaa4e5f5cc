/** Ten seconds of one process and its label: one example for training or test. */
import type { Part } from './split.ts'

export interface Window {
  /** The program: its label or name by the alias rules, or the malicious program. */
  readonly name: string
  readonly malicious: boolean
  /** Of a malicious window: the implementation of the behaviour. */
  readonly scenario?: string
  readonly part: Part
  /** Which recording, and the second it ends in. */
  readonly recording: number
  readonly second: number
  readonly pid: number
  /** Position of its first row in `Windows.rows`. */
  readonly at: number
}
