/** Evidence that crossed its threshold, worth a person's time. The same shape is kept, sent and shown (wire/ makes it JSON). */
export type AlertKind = 'novelty' | 'non-grata' | 'masquerade'
export type AlertState = 'open' | 'update' | 'closed'

export interface ClassConfidence {
  readonly class: string
  /** 0…1, calibrated. */
  readonly confidence: number
}

/** One syscall that decided: how much of the window it was (0…1), and what the claimed class usually shows. */
export interface Reason {
  readonly syscall: string
  readonly seen: number
  readonly expected: number
}

export interface Alert {
  /** The same for the same cause on the same input: hash of host, process key, kind and first second. */
  readonly id: string
  readonly kind: AlertKind
  readonly state: AlertState
  /** Unix seconds of the frame that made this message. */
  readonly time: number
  readonly first: number
  readonly last: number
  /** Windows that agreed so far. */
  readonly count: number
  readonly process: {
    readonly pid: number
    /** Unix seconds. */
    readonly start: number
    readonly name: string
    readonly exe?: string
    readonly container?: string
  }
  readonly predicted: ClassConfidence
  /** Confidence 0 and class '' where the model has no class for the name. */
  readonly claimed: ClassConfidence
  readonly why: readonly Reason[]
  readonly model: string
  readonly technique?: string
  /** Unix seconds of the frames that the evidence spans, inclusive. */
  readonly evidence: { readonly from: number; readonly to: number }
}
