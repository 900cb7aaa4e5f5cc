/**
 * How the files of a release came to be: an in-toto statement with SLSA's provenance (v1), in a
 * DSSE envelope signed by the release key. Whoever has the public key can check that these files
 * were built from this commit.
 */
import { type KeyObject, sign } from 'node:crypto'

export interface Built {
  /** Name → SHA-256 in hexadecimal digits. */
  readonly subjects: ReadonlyMap<string, string>
  readonly version: string
  readonly commit: string
  readonly bun: string
  readonly targets: readonly string[]
  readonly epoch: number
}

const PAYLOAD_TYPE = 'application/vnd.in-toto+json'

export function provenance(built: Built, key: KeyObject): string {
  const { subjects, version, commit, bun, targets, epoch } = built
  const payload = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [...subjects].map(([name, sha256]) => ({ name, digest: { sha256 } })),
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {
        buildDefinition: {
          buildType: 'https://callsign.invalid/scripts/release.ts',
          externalParameters: { version, targets },
          resolvedDependencies: [
            { uri: 'git+https://callsign.invalid/callsign', digest: { gitCommit: commit } },
            { uri: `pkg:npm/bun@${bun}` },
          ],
        },
        runDetails: {
          builder: { id: 'https://callsign.invalid/scripts/release.ts' },
          metadata: { startedOn: new Date(epoch * 1000).toISOString() },
        },
      },
    }),
  )
  // Pre-authentication encoding: the signature covers the type, too. [DSSE v1]
  const encoded = Buffer.concat([
    Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `),
    payload,
  ])
  return `${JSON.stringify({
    payloadType: PAYLOAD_TYPE,
    payload: payload.toString('base64'),
    signatures: [{ sig: sign(null, encoded, key).toString('base64') }],
  })}\n`
}
