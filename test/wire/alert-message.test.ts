import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Alert, Reason } from '../../src/domain/alert.ts'
import { ALERT_ENDS } from '../../src/domain/alert.ts'
import { BEHAVIOUR_IDS, SEVERITIES } from '../../src/domain/behaviour.ts'
import { defined } from '../../src/domain/defined.ts'
import { ALERT_BYTES_MAX } from '../../src/domain/limits.ts'
import schema from '../../src/wire/alert.schema.json' with { type: 'json' }
import { decodeAlert, encodeAlert, toMessage } from '../../src/wire/alert-message.ts'
import { sampleAlert, sampleOrigin } from './samples.ts'

const seconds = fc.integer({ min: 0, max: 4_000_000_000 })
const text = fc.string({ unit: 'binary', maxLength: 2_000 })
const share = fc.double({ min: 0, max: 1, noNaN: true })
const classConfidence = fc.record({ class: fc.string({ maxLength: 40 }), confidence: share })
/** Alerts of hostile processes: any text where a process chooses it, any length. */
const alerts: fc.Arbitrary<Alert> = fc.record(
  {
    id: fc.stringMatching(/^[0-9a-f]{16}$/),
    kind: fc.constantFrom('novelty', 'non-grata', 'masquerade'),
    state: fc.constantFrom('open', 'update', 'closed'),
    time: seconds,
    first: seconds,
    last: seconds,
    count: fc.nat(),
    process: fc.record(
      {
        pid: fc.nat(),
        start: seconds,
        name: fc.string({ unit: 'binary', maxLength: 100 }),
        exe: fc.string({ unit: 'binary', maxLength: 4_000 }),
        container: fc.string({ unit: 'binary', maxLength: 400 }),
        uid: fc.nat(),
        user: text,
        parents: fc.array(fc.record({ pid: fc.nat(), name: text, exe: text }), { maxLength: 20 }),
        unit: text,
        cwd: text,
        command: text,
        deleted: fc.boolean(),
        package: text,
      },
      { requiredKeys: ['pid', 'start', 'name'] },
    ),
    severity: fc.constantFrom(...SEVERITIES),
    certainty: fc.constantFrom('provisional', 'confirmed'),
    incident: fc.stringMatching(/^[0-9a-f]{16}$/),
    behaviour: fc.constantFrom(...BEHAVIOUR_IDS),
    techniques: fc.array(text, { maxLength: 20 }),
    peers: fc.array(text, { maxLength: 20 }),
    because: fc.array(text, { maxLength: 20 }),
    predicted: classConfidence,
    alternatives: fc.array(classConfidence, { maxLength: 5 }),
    claimed: classConfidence,
    why: fc.array(
      fc
        .record({
          syscall: fc.string({ minLength: 1, maxLength: 30 }),
          seen: share,
          expected: share,
          seconds: fc.option(fc.stringMatching(/^[0-9a-z]{1,60}$/), { nil: undefined }),
        })
        .map(({ seconds, ...reason }) => ({ ...reason, ...defined({ seconds }) })),
      { maxLength: 60 },
    ),
    model: fc.string({ maxLength: 80 }),
    technique: fc.constant('T1036'),
    evidence: fc.record({ from: seconds, to: seconds }),
  },
  {
    requiredKeys: [
      'id',
      'kind',
      'state',
      'time',
      'first',
      'last',
      'count',
      'process',
      'severity',
      'certainty',
      'incident',
      'predicted',
      'claimed',
      'why',
      'model',
      'evidence',
    ],
  },
)

describe('encodeAlert()', () => {
  test('stays below a kibibyte for a typical alert', () => {
    // Command and directory leave the host only where the operator wants it.
    const { command: _, cwd: __, loginUid, loginUser, ...process } = sampleAlert.process
    // A service has nobody who logged in.
    expect([loginUid, loginUser]).toEqual([1000, 'alice'])
    const typical = { ...sampleAlert, process }
    const plain = typical.why.map(({ seconds: _, ...reason }) => reason)
    expect(encodeAlert({ ...typical, why: plain }, sampleOrigin).byteLength).toBeLessThan(1024)
    // The calls of each second come on top.
    expect(encodeAlert(typical, sampleOrigin).byteLength).toBeLessThan(1152)
  })

  test('is read back as what was sent, whatever a process calls itself', () => {
    fc.assert(
      fc.property(alerts, (alert) => {
        const payload = encodeAlert(alert, sampleOrigin)
        expect(payload.byteLength).toBeLessThanOrEqual(ALERT_BYTES_MAX)
        const decoded = decodeAlert(payload)
        if (!decoded.ok) throw new Error(decoded.reason)
        const sent = toMessage(alert, sampleOrigin)
        // The bound may have taken from `why`, from the context and from paths, and from nothing
        // else.
        const { why, process, peers, because, ...rest } = decoded.value
        const cut = { why: [], process: undefined, peers: undefined, because: undefined }
        const plain = ({ seconds: _, ...reason }: Reason) => reason
        expect(sent.why.slice(0, why.length).map(plain)).toEqual(why.map(plain))
        for (const [i, { seconds }] of why.entries())
          if (seconds !== undefined) expect(seconds).toBe(sent.why[i]!.seconds!)
        expect(peers ?? sent.peers).toEqual(sent.peers)
        expect(because ?? sent.because).toEqual(sent.because)
        expect({ ...rest, ...cut }).toEqual({ ...sent, ...cut } as never)
        expect(process.name).toBe(sent.process.name)
        expect(sent.process.exe?.startsWith(process.exe ?? '') ?? true).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('leaves out the calls of each second rather than be longer than 1,536 bytes', () => {
    const reason = { syscall: 'epoll_wait', seen: 0.5, expected: 0.1, seconds: '0123456789' }
    const sent = (reasons: number) => {
      const why = Array.from({ length: reasons }, () => reason)
      const { container: _, parents: __, ...process } = sampleAlert.process
      const payload = encodeAlert({ ...sampleAlert, process, why }, sampleOrigin)
      const decoded = decodeAlert(payload)
      if (!decoded.ok) throw new Error(decoded.reason)
      return { bytes: payload.byteLength, why: decoded.value.why }
    }
    expect(sent(6).why).toEqual(Array.from({ length: 6 }, () => reason))
    const many = sent(14)
    expect(many.why).toHaveLength(14)
    const drawn = many.why.filter(({ seconds }) => seconds !== undefined)
    expect(drawn.length).toBeLessThan(14)
    // The most decisive ones keep theirs.
    expect(many.why.slice(0, drawn.length)).toEqual(drawn)
  })

  test('refuses seconds that are no digits of base 36', () => {
    const json = JSON.stringify({ ...sampleAlert, ...sampleOrigin, v: 1 })
    const bad = decodeAlert(new TextEncoder().encode(json.replace('00135779bd', '<script>')))
    expect(bad).toMatchObject({ ok: false })
  })

  test('loses its why first, then the end of its path', () => {
    const why = Array.from({ length: 32 }, (_, i) => ({
      syscall: `call_${i}`,
      seen: 0.5,
      expected: 0.1,
    }))
    const long = {
      ...sampleAlert,
      why,
      process: { ...sampleAlert.process, exe: `/${'x'.repeat(900)}` },
    }
    const some = decodeAlert(encodeAlert(long, sampleOrigin, 2_000))
    if (!some.ok) throw new Error(some.reason)
    expect(some.value.why.length).toBeGreaterThan(0)
    expect(some.value.why.length).toBeLessThan(32)
    expect(some.value.process.exe).toHaveLength(901)
    const few = decodeAlert(encodeAlert(long, sampleOrigin, 1_000))
    if (!few.ok) throw new Error(few.reason)
    expect(few.value.why).toEqual([])
    expect(few.value.process.exe).toHaveLength(64)
  })

  test('writes a share that is no number as 0, not as a broken message', () => {
    const odd = { ...sampleAlert, predicted: { class: 'x', confidence: Number.NaN } }
    expect(decodeAlert(encodeAlert(odd, sampleOrigin))).toMatchObject({
      ok: true,
      value: { predicted: { confidence: 0 } },
    })
  })

  test('agrees with the schema in its fields', () => {
    const closed = { ...sampleAlert, ended: 'quiet', reopened: 1 } as const
    const message = toMessage(closed, sampleOrigin)
    expect(Object.keys(message).sort()).toEqual(Object.keys(schema.properties).sort())
    expect(schema.properties.ended.enum).toEqual([...ALERT_ENDS])
    expect(schema.required.every((name) => name in message)).toBe(true)
    expect(Object.keys(message.process).sort()).toEqual(
      Object.keys(schema.properties.process.properties).sort(),
    )
  })
})

describe('decodeAlert()', () => {
  const good = JSON.parse(new TextDecoder().decode(encodeAlert(sampleAlert, sampleOrigin)))
  const bytes = (value: unknown) =>
    new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

  test.each([
    ['nothing', '', 'not-json'],
    ['half a message', JSON.stringify(good).slice(0, 80), 'not-json'],
    ['an array', [], 'not-an-object'],
    ['null', 'null', 'not-an-object'],
    ['another version', { ...good, v: 2 }, 'unknown-version'],
    ['a missing field', { ...good, id: undefined }, 'bad-field(id)'],
    ['an empty id', { ...good, id: '' }, 'bad-field(id)'],
    ['an unknown kind', { ...good, kind: 'rumour' }, 'bad-field(kind)'],
    ['a text for a number', { ...good, seq: '7' }, 'bad-field(seq)'],
    ['a number without end', { ...good, count: 1e300 }, 'bad-field(count)'],
    ['a fraction for a count', { ...good, count: 1.5 }, 'bad-field(count)'],
    ['seq 0', { ...good, seq: 0 }, 'bad-field(seq)'],
    [
      'a confidence over 1',
      { ...good, predicted: { class: 'x', confidence: 2 } },
      'bad-field(predicted.confidence)',
    ],
    ['a host that is a wildcard', { ...good, host: '+' }, 'bad-field(host)'],
    ['a site with a slash', { ...good, site: 'a/b' }, 'bad-field(site)'],
    ['why as an object', { ...good, why: {} }, 'bad-field(why)'],
    ['why of numbers', { ...good, why: [1] }, 'bad-field(why)'],
    ['a process that is a list', { ...good, process: [] }, 'bad-field(process)'],
    ['fields by inheritance only', '{"__proto__":{"v":1}}', 'unknown-version'],
    ['a megabyte', 'x'.repeat(1_000_000), 'too-long'],
  ])('refuses %s', (_, value, reason) => {
    expect(decodeAlert(bytes(value))).toMatchObject({ ok: false, reason })
  })

  test('refuses bytes that are no UTF-8', () => {
    expect(decodeAlert(Uint8Array.of(0x7b, 0xff, 0x7d))).toEqual({ ok: false, reason: 'not-json' })
  })

  test('refuses a thousand nested lists', () => {
    expect(decodeAlert(bytes('['.repeat(4_000))).ok).toBe(false)
  })

  test('makes names safe that another sender did not', () => {
    const evil = { ...good, process: { ...good.process, name: '\u001b[2Jx\u202e' } }
    expect(decodeAlert(bytes(evil))).toMatchObject({ value: { process: { name: '?[2Jx?' } } })
  })

  test('hands on what only a newer agent knows, made safe', () => {
    const newer = {
      ...good,
      mood: { of: ['\u001b[31mred', 7, null, { __proto__: 1 }] },
      behaviour: 'mind-reading',
      process: { ...(good.process as object), cgroup: '/a\n' },
    }
    const decoded = decodeAlert(bytes(newer))
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.value).toMatchObject({
      behaviour: 'mind-reading',
      mood: { of: [expect.not.stringContaining('\u001b'), 7, null, {}] },
      process: { cgroup: expect.not.stringContaining('\n') },
    } as object)
  })

  test('refuses what nests too deeply to be handed on', () => {
    let deep: unknown = 1
    for (let i = 0; i < 20; i++) deep = [deep]
    expect(decodeAlert(bytes({ ...good, deep }))).toEqual({ ok: false, reason: 'too-deep' })
  })

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.json().map(bytes)), (payload) => {
        expect(decodeAlert(payload).ok).toBe(false)
      }),
    )
  })
})
