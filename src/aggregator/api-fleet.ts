/** What the fleet was told, and which hosts run what: `/api/v1/fleet`. */
import type { FleetStateName, FleetStates, FleetSubject } from '../domain/fleet-state.ts'
import { decodeFleetPolicy } from '../wire/fleet-document.ts'
import { decodeFleetModel, totalOf } from '../wire/fleet-model.ts'
import { detachSignature } from '../wire/signed.ts'
import { Parameters } from './api-parameters.ts'
import { accepts } from './push-document.ts'
import type { FleetRun, Reads, StoredDocument } from './store/store.ts'

export async function answerFleet(store: Reads, given: URLSearchParams): Promise<string> {
  new Parameters(given, [])
  const [documents, runs] = await Promise.all([store.documents(), store.fleetRuns()])
  return JSON.stringify({
    documents: documents.map((document) => documentItem(document, runs)),
    runs: runs.map(({ fleet, ...run }) => ({
      ...run,
      ...(fleet === '' ? {} : { fleet: read(fleet) }),
    })),
  })
}

function documentItem({ site, what, version, body }: StoredDocument, runs: readonly FleetRun[]) {
  const hosts: Record<FleetStateName | 'older' | 'not-accepting', number> = {
    ...{ active: 0, waiting: 0, 'rolled-back': 0, expired: 0, fetching: 0, refused: 0 },
    ...{ older: 0, 'not-accepting': 0 },
  }
  for (const run of runs) {
    if (run.site !== site) continue
    if (!accepts(run.fleet, what)) hosts['not-accepting'] += run.hosts
    else {
      const state = read(run.fleet)[what]
      hosts[state?.version === version ? state.state : 'older'] += run.hosts
    }
  }
  return {
    site,
    what,
    version,
    ...contentOf(what, detachSignature(body, undefined).payload),
    hosts,
  }
}

function contentOf(what: FleetSubject, payload: Uint8Array) {
  if (what === 'policy') {
    const decoded = decodeFleetPolicy(payload)
    if (!decoded.ok) return {}
    const { made, expires, canary, rules, allow } = decoded.value
    return { made, expires, canary, rules, allow }
  }
  const decoded = decodeFleetModel(payload)
  if (!decoded.ok) return {}
  const { made, expires, canary, digest, id, files } = decoded.value
  return { made, expires, canary, digest, model: id, bytes: totalOf(files) }
}

function read(fleet: string): FleetStates {
  return JSON.parse(fleet) as FleetStates
}
