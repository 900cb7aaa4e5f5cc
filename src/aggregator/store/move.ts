/** The move of everything from one store to another. */
import type { Store } from './store.ts'

export interface Moved {
  readonly hosts: number
  readonly alerts: number
  /** Hosts that the other store had already; nothing of them was changed. */
  readonly skipped: number
}

/** The aggregator's key first, unless the other store has one, the fleet's authority and documents; then host by host, each all or nothing: a move that was interrupted goes on where it was. */
export async function moveStore(
  from: Store,
  to: Store,
  onProgress: (moved: Moved) => void = () => {},
): Promise<Moved> {
  await to.identity(await from.identity())
  await from.enrolment.copyTo(to.enrolment)
  for (const document of await from.documents())
    await to.putDocument(document, await from.documentParts(document))
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
