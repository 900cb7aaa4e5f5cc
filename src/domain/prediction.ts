/**
 * What the model says of every process that could be judged in one frame: one inference batch.
 * By column, as the batch comes out of the session: row i belongs to processes[i].
 */
import type { BehaviourId } from './behaviour.ts'
import type { Process } from './process.ts'

export interface Predictions {
  readonly frameIndex: number
  readonly processes: readonly Process[]
  /** [n × classCount], calibrated, each row sums to 1 within 1e-4. */
  readonly probabilities: Float32Array
  /** [n × stateSize]: the net's state, in which distances say how alike two behaviours are. */
  readonly states: Float32Array
  readonly classCount: number
  readonly stateSize: number
  /** Active frames among the last SEQUENCE_FRAMES, 1…10. */
  readonly activeFrames: Uint8Array
  /** 1 where the process did nothing but wait; absent where that is not told. */
  readonly waiting?: Uint8Array
  /** 1 where a frame of the sequence had losses: such a row raises nothing. */
  readonly incomplete: Uint8Array
  /** 0 where the model knows no behaviour like this, else 1; absent before detection judged it. */
  readonly known?: Uint8Array
}

/** What is told instead of a class where `known` is 0. */
export const NOT_KNOWN = 'not known'

/** What detection must know of a model's classes. */
export interface ModelClasses {
  readonly modelId: string
  readonly names: readonly string[]
  readonly malicious: readonly boolean[]
  /**
   * The behaviour that a class stands for. Malicious classes have one where their maker said which;
   * the class of dual-use tools has `tool-use` and is not malicious.
   */
  readonly behaviours?: readonly (BehaviourId | undefined)[]
  /**
   * Interpreters and shells: many programs under one name, so what they claim binds them to little.
   */
  readonly generic?: readonly boolean[]
  /**
   * Index of the class of other ordinary programs, whose members share nothing but being ordinary.
   */
  readonly background?: number
  /**
   * Index of the class that a presented name claims, by name and alias rules; undefined where the
   * model knows none.
   */
  claimedBy(name: string): number | undefined
  /**
   * Index of the malicious class whose tools bear this name: a process called hydra is taken for
   * one.
   */
  toolClassOf?(name: string): number | undefined
}
