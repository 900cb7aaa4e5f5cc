/** What a host has made of a document that its fleet's aggregator published. */

/** What a host may take from its fleet: documents, and questions for windows of its alerts. */
export const FLEET_WORDS = ['policy', 'model', 'windows'] as const
export type FleetWord = (typeof FLEET_WORDS)[number]

export const FLEET_SUBJECTS = ['policy', 'model'] as const
export type FleetSubject = (typeof FLEET_SUBJECTS)[number]

/**
 * `active`: in use. `waiting`: meant for a share of the hosts, and this one is not of it.
 * `rolled-back`: taken out of use, because the first hour raised more alerts than before.
 * `expired`: its time is over. Of models also `fetching`: not all of it is here, and `refused`: it
 * cannot be used here.
 */
export const FLEET_STATES = [
  'active',
  'waiting',
  'rolled-back',
  'expired',
  'fetching',
  'refused',
] as const
export type FleetStateName = (typeof FLEET_STATES)[number]

export interface FleetState {
  /** Of the newest document that the host has seen. */
  readonly version: number
  readonly state: FleetStateName
}

export type FleetStates = { readonly [K in FleetSubject]?: FleetState }
