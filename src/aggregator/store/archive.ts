/** All that a store keeps of one host, as another store takes it; and the move of everything from one to the other. */
import type { HostRow, HourPart } from './host-row.ts'
import type { AlertChange, Store } from './store.ts'

export interface ArchivedAlert {
  readonly body: string
  /** ms */
  readonly received: number
  readonly changed: number
  /** With the time of receipt in ms. */
  readonly changes: readonly (AlertChange & { readonly boot: number; readonly seq: number })[]
}

export interface HostArchive {
  readonly host: Omit<HostRow, 'id' | 'active' | 'alerts'>
  /** In the order in which they were first heard. */
  readonly alerts: readonly ArchivedAlert[]
  readonly latest: { readonly received: number; readonly body: Uint8Array } | undefined
  readonly hours: readonly HourPart[]
}

export interface Moved {
  readonly hosts: number
  readonly alerts: number
  /** Hosts that the other store had already; nothing of them was changed. */
  readonly skipped: number
}

/** Host by host, each all or nothing: a move that was interrupted goes on where it was. */
export async function moveStore(
  from: Store,
  to: Store,
  onProgress: (moved: Moved) => void = () => {},
): Promise<Moved> {
  let moved: Moved = { hosts: 0, alerts: 0, skipped: 0 }
  for await (const archive of from.archives()) {
    const taken = await to.restore(archive)
    moved = {
      hosts: moved.hosts + (taken ? 1 : 0),
      alerts: moved.alerts + (taken ? archive.alerts.length : 0),
      skipped: moved.skipped + (taken ? 0 : 1),
    }
    onProgress(moved)
  }
  return moved
}
