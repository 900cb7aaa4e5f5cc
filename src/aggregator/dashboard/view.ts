/** What a view is given, and what it gives. */

import type { Me } from './api.ts'
import type { Hello } from './feed.ts'
import type { Filters } from './route.ts'

export interface ViewContext {
  /** Unix seconds. */
  readonly now: number
  readonly me: Me
  readonly hello: Hello
  /** Asks anew and draws again. */
  reload(): void
  /** Changes filters in the address. */
  filter(changes: Filters): void
}

export interface Shown {
  /** For the window. */
  readonly title: string
  readonly parts: readonly HTMLElement[]
}
