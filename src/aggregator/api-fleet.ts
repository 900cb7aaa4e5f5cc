/** What the fleet was told, and which hosts run what: `/api/v1/fleet`. */
import type { FleetStateName, FleetStates } from '../domain/fleet-state.ts'
import { decodeFleetPolicy } from '../wire/fleet-document.ts'
import { detachSignature } from '../wire/signed.ts'
import { Parameters } from './api-parameters.ts'
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
  const decoded = decodeFleetPolicy(detachSignature(body, undefined).payload)
  const hosts: Record<FleetStateName | 'older' | 'not-accepting', number> = {
    ...{ active: 0, waiting: 0, 'rolled-back': 0, expired: 0 },
    ...{ older: 0, 'not-accepting': 0 },
  }
  for (const run of runs) {
    if (run.site !== site) continue
    if (run.fleet === '') hosts['not-accepting'] += run.hosts
    else {
      const state = read(run.fleet)[what]
      hosts[state?.version === version ? state.state : 'older'] += run.hosts
    }
  }
  if (!decoded.ok) return { site, what, version, hosts }
  const { made, expires, canary, rules, allow } = decoded.value
  return { site, what, version, made, expires, canary, rules, allow, hosts }
}

function read(fleet: string): FleetStates {
  return JSON.parse(fleet) as FleetStates
}
