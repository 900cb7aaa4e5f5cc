/** Who gets a certificate and who does not, over both stores. */
import { describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { Enrolment, makeToken, revokedList } from '../../src/aggregator/enrolment.ts'
import { moveStore } from '../../src/aggregator/store/move.ts'
import type { Store } from '../../src/aggregator/store/store.ts'
import { openIdentity } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { fingerprint, makeKeyPair } from '../../src/platform/x509.ts'
import {
  type EnrolmentAnswer,
  type EnrolmentRequest,
  readToken,
} from '../../src/wire/enrolment-message.ts'
import { attachSignature } from '../../src/wire/signed.ts'
import { manualClock } from '../support/clock.ts'
import { status, storeKinds } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
const host = openIdentity('11'.repeat(32))
const intruder = openIdentity('22'.repeat(32))
const pair = makeKeyPair()
const publicKey = Buffer.from(pair.publicKey).toString('base64')

async function opened(store: Store) {
  const clock = manualClock(NOW_MS)
  const lines: string[] = []
  const log = createLog({ write: (line) => lines.push(line) })
  const enrolment = await Enrolment.open({ store, clock, log, aggregatorKey: 'KEY' })
  enrolment.broker = 'mqtts://ENROLLED:8883'
  await enrolment.close()
  const ask = async (
    path: 'enrol' | 'renew',
    changes: Partial<EnrolmentRequest>,
    signer = host,
  ) => {
    const time = Math.floor(clock.now() / 1000)
    const request = { v: 1, host: 'web-1', publicKey, time, ...changes }
    const payload = new TextEncoder().encode(JSON.stringify(request))
    const body = attachSignature(payload, signer.sign(payload))
    const reply = await enrolment.answer('POST', `/api/v1/${path}`, body)
    const parsed = JSON.parse(reply!.body)
    return reply!.status === 201 ? (parsed as EnrolmentAnswer) : (parsed.error.code as string)
  }
  const token = (of = 'lab/web-1', uses = 1) => {
    const [site, name] = of.split('/') as [string, string]
    return makeToken(store, { site, host: name }, uses, HOUR_MS, clock.now())
  }
  return { clock, enrolment, ask, token, lines }
}

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('a token lets its host in once; the certificate is for it and of one authority', async () => {
      const store = await kind.open()
      const { enrolment, ask, token } = await opened(store)
      const one = await token()
      const answer = (await ask('enrol', { token: one })) as EnrolmentAnswer
      expect(answer).toMatchObject({
        ...{ site: 'lab', host: 'web-1', broker: 'mqtts://ENROLLED:8883', aggregatorKey: 'KEY' },
        expires: NOW_MS / 1000 + 90 * 86_400,
      })
      const { subject, publicKey: key } = new X509Certificate(answer.certificate)
      expect(subject).toBe('CN=lab/web-1')
      expect(key.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(pair.publicKey))
      expect(readToken(one)!.fingerprint).toBe(fingerprint(answer.authority))
      // Another aggregator on the same store has the same authority.
      expect((await opened(store)).enrolment.authority).toEqual(enrolment.authority)
      expect(await ask('enrol', { token: one })).toBe('unknown-token')
      expect(await ask('enrol', { token: `cs1.${'0'.repeat(64)}.${'0'.repeat(64)}` })).toBe(
        'unknown-token',
      )
      expect(await ask('enrol', { token: 'cs1.x.y' })).toBe('no-token')
      expect(await ask('enrol', {})).toBe('no-token')
    })

    test('is not open where the store does not say who is revoked', async () => {
      const store = await kind.open()
      const { enrolment } = store
      Object.defineProperty(store, 'enrolment', {
        get: () => ({
          authority: enrolment.authority.bind(enrolment),
          revoked: () => Promise.reject(new Error('away')),
        }),
      })
      await expect(opened(store)).rejects.toThrow('away')
    })

    test('a token ends with its time, and with so many uses, counted at once', async () => {
      const store = await kind.open()
      const { clock, ask, token } = await opened(store)
      const late = await token()
      clock.advance(HOUR_MS)
      expect(await ask('enrol', { token: late })).toBe('unknown-token')
      const three = await token('lab/*', 3)
      const asked = Array.from({ length: 8 }, (_, n) =>
        ask('enrol', { token: three, host: `h-${n}` }),
      )
      const got = await Promise.all(asked)
      expect(got.filter((one) => one === 'unknown-token')).toHaveLength(5)
    })

    test('a token for any host takes no name that somebody has', async () => {
      const store = await kind.open()
      const { ask, token } = await opened(store)
      await store.commit(
        [{ ...status({ host: 'web-1', site: 'lab' }), key: host.publicKey }],
        NOW_MS,
      )
      const any = await token('lab/*', 9)
      expect(await ask('enrol', { token: any }, intruder)).toBe('needs-own-token')
      expect(await ask('enrol', { token: any })).toMatchObject({ host: 'web-1' })
      // One for this host is a person's word: it was installed anew.
      expect(await ask('enrol', { token: await token() }, intruder)).toMatchObject({
        host: 'web-1',
      })
      const message = { ...status({ host: 'web-1', boot: 2 }), key: intruder.publicKey }
      expect((await store.commit([message], NOW_MS)).map(({ kind }) => kind)).not.toContain(
        'refused',
      )
    })

    test('a host renews with the key that is pinned, in time, until it is revoked', async () => {
      const store = await kind.open()
      const { clock, enrolment, ask, token } = await opened(store)
      const first = (await ask('enrol', { token: await token() })) as EnrolmentAnswer
      const renew = (changes: Partial<EnrolmentRequest> = {}, signer = host) =>
        ask('renew', { site: 'lab', ...changes }, signer)
      expect(await renew()).toBe('other-key') // none is pinned before its first message
      await store.commit([{ ...status({ host: 'web-1' }), key: host.publicKey }], NOW_MS)
      expect(await renew({}, intruder)).toBe('other-key')
      expect(await ask('renew', {})).toBe('no-site')
      expect(await renew({ host: 'web-2' })).toBe('other-key')
      expect(await renew({ time: NOW_MS / 1000 - 601 })).toBe('clock-off')
      clock.advance(80 * 24 * HOUR_MS)
      const second = (await renew()) as EnrolmentAnswer
      const serialOf = ({ certificate }: EnrolmentAnswer) =>
        new X509Certificate(certificate).serialNumber
      expect(enrolment.isRevoked(serialOf(second))).toBe(false)
      const now = clock.now() / 1000
      expect(await store.enrolment.revoke({ site: 'lab', host: 'web-1' }, now)).toBe(2)
      await enrolment.look()
      expect([first, second].map((one) => enrolment.isRevoked(serialOf(one)))).toEqual([true, true])
      const other = await (kind === sqlite && !postgres.skip ? postgres : sqlite).open()
      await moveStore(store, other)
      const moved = await opened(other)
      expect(moved.enrolment.authority).toEqual(enrolment.authority)
      expect(await other.enrolment.revoked(now)).toHaveLength(2)
      expect(await revokedList(store, clock.now(), HOUR_MS)).toContain('BEGIN X509 CRL')
      expect(await renew()).toBe('not-enrolled')
      // A new token lets it in again, and what is over is forgotten.
      expect(await ask('enrol', { token: await token() })).toMatchObject({ host: 'web-1' })
      clock.advance(365 * 24 * HOUR_MS)
      await store.enrolment.tidy(clock.now() / 1000)
      expect(await renew()).toBe('not-enrolled')
      expect(await store.enrolment.revoked(0)).toEqual([])
    })

    test('after a revocation no earlier certificate and no token for any host helps', async () => {
      const store = await kind.open()
      const { clock, ask, token } = await opened(store)
      const renew = () => ask('renew', { site: 'lab' })
      await ask('enrol', { token: await token() })
      await store.commit([{ ...status({ host: 'web-1' }), key: host.publicKey }], NOW_MS)
      // Renewed in time; then the first is over, and not for too long to be renewed itself.
      clock.advance(60 * 24 * HOUR_MS)
      expect(await renew()).toMatchObject({ host: 'web-1' })
      clock.advance(31 * 24 * HOUR_MS)
      const now = clock.now() / 1000
      expect(await store.enrolment.revoke({ site: 'lab', host: 'web-1' }, now)).toBe(2)
      expect(await renew()).toBe('not-enrolled')
      expect(await ask('enrol', { token: await token('lab/*', 9) })).toBe('needs-own-token')
      expect(await ask('enrol', { token: await token() })).toMatchObject({ host: 'web-1' })
      expect(await renew()).toMatchObject({ host: 'web-1' })
    })

    test('whoever asks again and again does not fill the log', async () => {
      const { clock, ask, lines } = await opened(await kind.open())
      const refused = () => lines.filter((line) => line.includes('not issued'))
      for (let i = 0; i < 50; i++) await ask('enrol', {})
      expect(refused()).toHaveLength(1)
      await ask('enrol', { token: `cs1.${'0'.repeat(64)}.${'0'.repeat(64)}` })
      clock.advance(60_000)
      await ask('enrol', {})
      expect(refused()).toHaveLength(3)
    })

    test('what is no request is refused, whatever it is', async () => {
      const store = await kind.open()
      const { enrolment, ask, token } = await opened(store)
      const post = async (body: string | Uint8Array) =>
        JSON.parse(
          (await enrolment.answer('POST', '/api/v1/enrol', new Uint8Array(Buffer.from(body))))!
            .body,
        ).error.code
      expect(await post('')).toBe('not-json')
      expect(await post('[]')).toBe('not-an-object')
      expect(await post(JSON.stringify({ v: 1, host: 'a', publicKey, time: 0 }))).toBe(
        'bad-signature',
      )
      const one = await token()
      expect(await ask('enrol', { token: one, publicKey: 'AAAA' })).toBe('bad-key')
      expect(await ask('enrol', { token: one, host: 'a/b' })).toBe('bad-field(host)')
      expect(await ask('enrol', { token: await token(`lab/*`), host: 'x'.repeat(61) })).toBe(
        'name-too-long',
      )
      expect(await enrolment.answer('GET', '/api/v1/enrol', new Uint8Array())).toBeUndefined()
      expect(await enrolment.answer('POST', '/api/v1/authority', new Uint8Array())).toBeUndefined()
      expect((await enrolment.answer('GET', '/api/v1/authority', new Uint8Array()))!.body).toBe(
        enrolment.authority.certificate,
      )
    })
  })
