/** Counts of the HTTP side for /metrics: requests that were refused, and what operators did. */
import { ACTION_KINDS, type ActionKind } from './store/incident.ts'

export class HttpCounts {
  /** By reason; the reasons are our own, so this cannot grow. */
  readonly refused = new Map<string, number>()
  readonly actions = new Map<ActionKind, number>(ACTION_KINDS.map((kind) => [kind, 0]))

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  took(action: ActionKind): void {
    this.actions.set(action, (this.actions.get(action) ?? 0) + 1)
  }
}
