/**
 * The key of a host: pinned at its first signed message, and from then on the only one whose
 * messages are stored. Until then unsigned messages are, for agents of versions that do not sign.
 *
 * Another key may be a new installation or an impostor: it is shown, and refused until a person
 * accepts it (`agent aggregate accept`), who can compare it with what `agent status` says there.
 * Decided within the commit, so that of several aggregators on one database none stores what
 * another refuses.
 */

/** Columns of a host. Keys are base64url; '' is none, and times are in ms. */
export interface HostKeys {
  key: string
  keySince: number
  /** The latest other key that signed for this host, and when it was first seen. */
  otherKey: string
  otherKeySince: number
  /** Written by `agent aggregate accept`, also beside a running aggregator. */
  acceptedKey: string
}

export type KeyRefusal = 'unsigned' | 'key-changed'

/**
 * Whether a message of this host may be stored; notes what it says about the host's key.
 * @param key that signed it
 * @param acceptedNow reads `acceptedKey` as it is stored at this moment
 */
export function checkKey(
  host: HostKeys,
  key: string | undefined,
  acceptedNow: () => string,
  nowMs: number,
): KeyRefusal | undefined {
  if (key === undefined) return host.key === '' ? undefined : 'unsigned'
  if (key === host.key) return undefined
  if (host.key === '' || key === acceptedNow()) {
    Object.assign(host, { key, keySince: nowMs, otherKey: '', otherKeySince: 0 })
    return undefined
  }
  if (key !== host.otherKey) Object.assign(host, { otherKey: key, otherKeySince: nowMs })
  return 'key-changed'
}
