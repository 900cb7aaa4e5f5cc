/** What one prediction means for one process [Paper III]. */
export type Verdict =
  | { readonly kind: 'expected' }
  | { readonly kind: 'novelty'; readonly confidence: number }
  | { readonly kind: 'nonGrata'; readonly className: string; readonly confidence: number }
  | { readonly kind: 'masquerade'; readonly className: string; readonly confidence: number }
  | { readonly kind: 'undecided'; readonly reason: 'tooShort' | 'idle' | 'incomplete' }
