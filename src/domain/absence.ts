/**
 * What can be missing of a host. An aggregator raises it as an alert of kind `absence`, with one of
 * these as its class: an agent that is stopped, blinded or flooded can tell nothing itself [ATT&CK
 * T1685].
 */
export const ABSENCES = ['silent', 'blind', 'noisy', 'outage'] as const
export type Absence = (typeof ABSENCES)[number]

/** Subject and predicate of a sentence. */
const WORDS: Readonly<Record<Absence, readonly [who: string, does: string]>> = {
  silent: ['the agent', 'sends nothing'],
  blind: ['the agent', 'cannot see most of what its host does'],
  noisy: ['the agent', 'holds alerts because there are too many'],
  outage: ['many hosts', 'of the site send nothing'],
}

export function absenceWords(what: string): readonly [who: string, does: string] {
  return WORDS[what as Absence] ?? ['the agent', `is ${what}`]
}
