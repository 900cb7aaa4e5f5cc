/** What the detector tells of itself: in the status document, the live view and the metrics. */

import type { BookStatus, OpenAlerts } from './book-state.ts'
import type { Shares } from './coverage.ts'
import type { HostLevelStatus } from './host-level.ts'
import type { MemoryStatus } from './memory.ts'
import type { MemoryState } from './memory-state.ts'
import type { UnrestGroup } from './unrest.ts'

export interface DetectorStatus {
  readonly judged: number
  readonly undecided: Readonly<Record<'tooShort' | 'incomplete', number>>
  readonly allowed: number
  readonly tracked: number
  /** Unix second; new programs are alerted after it. 0 before the first frame. */
  readonly learningUntil: number
  readonly learning: boolean
  /** Share of the well-known processes that do what they never did here, 0…1. */
  readonly unrest: number
  /** The user or container with most of them in the newest second; absent where there are none. */
  readonly unrestOf?: UnrestGroup
  readonly memory: MemoryStatus & { readonly state: MemoryState }
  /** New names that a day will bring, as this host's past goes; absent in its first day. */
  readonly newNamesPerDay?: number
  /** How much of this host is known; absent before the first window. */
  readonly coverage?: { readonly windows: Shares; readonly names?: Shares }
  /** What this host's own hours say of the levels. */
  readonly hostLevel: HostLevelStatus
  readonly alerts: BookStatus
  /** Absent in documents of older agents. */
  readonly openAlerts?: OpenAlerts
}

export interface Standing {
  /** The model knows behaviours like its own. */
  readonly known: boolean
  /** Evidence as a share of what an alert takes, 0 for none. */
  readonly suspicion: number
  /** Its name claims a class that the model knows. */
  readonly claims: boolean
}
