/**
 * Mutated messages of every kind: an aggregator stores or refuses each and counts it, an agent
 * takes no receipt that nobody signed, and nothing throws.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import type { StatusDocument } from '../../src/agent/status-document.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import { Subscriber } from '../../src/aggregator/subscriber.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import { readable } from '../../src/commands/status.ts'
import { HostMemory } from '../../src/detect/memory.ts'
import { AgentError } from '../../src/domain/error.ts'
import { parseAnswer, parseRequest } from '../../src/facts/messages.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { openIdentity, signerOf } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { AggregatorTrust } from '../../src/publish/aggregator-trust.ts'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { decodeExport, encodeExport } from '../../src/wire/export-file.ts'
import { decodeReceipt, encodeReceipts } from '../../src/wire/receipt-message.ts'
import { attachSignature, detachSignature } from '../../src/wire/signed.ts'
import { decodeAggregatorStatus, encodeStatus } from '../../src/wire/status-message.ts'
import { readSummaryHead } from '../../src/wire/summary-head.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { decodeVectors, encodeVectors } from '../../src/wire/vectors-message.ts'
import { manualClock } from '../support/clock.ts'
import { madeFrame } from '../support/frames.ts'
import { LAB, openTestAgent } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { attack, RUNS } from './mutate.ts'

setDefaultTimeout(3_000_000)
const directory = temporaryDirectories()
const origin = { site: 'lab', host: 'web-1', boot: 1, seq: 7 }
const HOST = openIdentity('a'.repeat(64))
const AGGREGATOR = openIdentity('b'.repeat(64))

const status = encodeStatus({
  ...{ v: 1, state: 'online', site: 'lab', host: 'web-1', boot: 1, session: 1_700_000_000_000 },
  ...{ time: 1_700_000_000, version: '0.1.0', model: 'm', source: 'kernel' },
})

const MESSAGES = {
  alert: encodeAlert(sampleAlert, origin),
  summary: encodeSummary(sampleSummary, origin),
  status,
} as const

describe.each(Object.entries(MESSAGES))('%s', (kind, seed) => {
  test(`${RUNS} mutants, each stored or refused by reason`, async () => {
    const store = new SqliteStore(join(directory(), 'aggregate.db'))
    const subscriber = new Subscriber({
      ...{ store, clock: manualClock(), signer: AGGREGATOR, onChange: () => {} },
      log: createLog({ write: () => {} }),
      commitEveryMs: 2 ** 30,
    })
    let settled = 0
    const topic = `callsign/v1/lab/web-1/${kind}`
    // In the payload, as a host that speaks MQTT 3.1.1 signs.
    const seeds = [seed, attachSignature(seed, HOST.sign(seed))]
    let taken = 0
    attack(seeds, (payload) => {
      subscriber.take({ topic, payload, signature: undefined }, () => settled++)
      if (++taken % 500 === 0) void subscriber.flush()
    })
    await subscriber.drain()
    const { received, refused, commitFailures } = subscriber.counts()
    const refusals = [...refused.values()].reduce((sum, count) => sum + count, 0)
    const kept = received[kind as keyof typeof received]
    // A message of another key is received, and refused in the commit.
    const ofKeys = (refused.get('unsigned') ?? 0) + (refused.get('key-changed') ?? 0)
    expect(kept + refusals - ofKeys).toBe(RUNS)
    expect(settled).toBe(RUNS)
    expect(commitFailures).toBe(0)
    expect(refusals).toBeGreaterThan(RUNS / 4)
    // Of one host, whatever the topic was not.
    expect((await store.counts()).hosts).toMatchObject({ keyChanged: 0 })
    store.close()
  })
})

test(`${RUNS} summaries are read whole or refused`, () => {
  attack([MESSAGES.summary], (payload) => {
    const head = readSummaryHead(payload)
    const whole = decodeSummary(payload)
    // Whoever reads less must not take what the other refuses for another host's.
    if (head.ok && whole.ok && head.value.host !== whole.value.host) throw new Error('two hosts')
  })
})

test(`${RUNS} receipts: whatever was not signed whole is no receipt`, () => {
  let pinned: string | undefined = AGGREGATOR.publicKey
  const pin = {
    get aggregatorKey() {
      return pinned
    },
    pinAggregator: (key: string) => {
      pinned = key
    },
  }
  const trust = new AggregatorTrust([], pin, () => {})
  const ranges = [1, 2, 3, 7, 9].map((seq) => ({ boot: 1, seq }))
  const receipts = encodeReceipts({ site: 'lab', host: 'web-1' }, ranges)
  const signed = receipts.map((receipt) => attachSignature(receipt, AGGREGATOR.sign(receipt)))
  let refused = 0
  attack([...receipts, ...signed], (payload) => {
    const trusted = trust.read(payload, undefined)
    const isWhole = signed.some((one) => Buffer.compare(one, payload) === 0)
    if (!trusted.ok) refused++
    else if (!isWhole) throw new Error('taken though it is not what was signed')
    decodeReceipt(payload)
  })
  expect(pinned).toBe(AGGREGATOR.publicKey)
  expect(refused).toBeGreaterThan(RUNS / 2)
})

test(`${RUNS} signatures: none fits what was changed`, () => {
  const payload = MESSAGES.alert
  attack([attachSignature(payload, HOST.sign(payload))], (bytes) => {
    const { payload: rest, signature } = detachSignature(bytes, undefined)
    if (signature === undefined || signerOf(rest, signature) !== HOST.publicKey) return
    if (Buffer.compare(rest, payload) !== 0) throw new Error('another message has its signature')
  })
})

test(`${RUNS} statuses of aggregators`, () => {
  const seed = '{"v":1,"state":"offline","site":"lab","version":"0.1.0","time":1700000000}'
  attack([Buffer.from(seed)], (bytes) => void decodeAggregatorStatus(bytes))
})

test(`${RUNS} vectors`, () => {
  const frames = [0, 1, 2].map((second) => madeFrame(1_700_000_000 + second))
  attack([encodeVectors(frames, origin).payload], (bytes) => void decodeVectors(bytes))
})

test(`${RUNS} files of "agent export", their checksum made right again`, () => {
  const seed = encodeExport({
    ...{ site: 'lab', host: 'web-1', created: 1_700_000_000 },
    messages: [
      { kind: 'alert', boot: 1, seq: 7, time: 1_700_000_000, payload: MESSAGES.alert },
      { kind: 'summary', boot: 1, seq: 8, time: 1_700_000_001, payload: MESSAGES.summary },
    ],
  })
  const text = new TextDecoder().decode(seed)
  const body = text.slice(0, text.lastIndexOf('{"sha256"'))
  let refused = 0
  attack([Buffer.from(body)], (bytes) => {
    const changed = new TextDecoder().decode(bytes)
    const sum = createHash('sha256').update(changed).digest('hex')
    const read = decodeExport(Buffer.from(`${changed}${JSON.stringify({ sha256: sum })}\n`))
    if (!read.ok) refused++
  })
  expect(refused).toBeGreaterThan(RUNS / 4)
})

test(`${RUNS} questions to the facts reader, and its answers`, () => {
  const request = '{"id":1,"pid":7,"start":1700000000,"questions":["look","files"],"until":5}'
  const answer =
    '{"id":1,"facts":{"look":{"name":"x","executable":{"path":"/usr/bin/x","inode":5}},"files":{"sampled":3,"encrypted":1}}}'
  attack([Buffer.from(request), Buffer.from(answer)], (bytes) => {
    const line = new TextDecoder().decode(bytes)
    const question = parseRequest(line)
    if (question !== undefined && !(question.pid > 0 || question.pid < 0)) throw new Error(line)
    parseAnswer(line)
  })
})

test(`${RUNS} baselines of a host are restored, or set aside`, () => {
  const memory = new HostMemory('m', 2)
  for (let second = 0; second < 400; second++)
    for (const name of ['nginx', 'cron', 'sshd'])
      memory.observe(name, Float32Array.of(second % 5, name.length), 1_700_000_000 + second, true)
  let refused = 0
  attack([memory.snapshot()], (bytes) => {
    const other = new HostMemory('m', 2)
    if (!other.restore(bytes)) refused++
    other.observe('nginx', Float32Array.of(1, 5), 1_700_001_000, true)
    if (!Number.isFinite(other.distance('nginx', Float32Array.of(1, 5)))) throw new Error('lost')
    other.snapshot()
  })
  expect(refused).toBeGreaterThan(0)
})

test(`${RUNS} saved statuses are shown, or refused as a whole`, async () => {
  const state = directory()
  const model = await openModelInUse(undefined, state)
  const agent = openTestAgent(model, state)
  const { status } = await runAgent(agent, openFiles([LAB], {}), {}, new AbortController().signal)
  await agent.close()
  await model.close()
  let [shown, refused] = [0, 0]
  const place = directory()
  const local = LocalStore.open(join(place, 'local.db'), { log: createLog({ write: () => {} }) })
  const saved = { savedAtMs: 1_700_000_000_000, pid: 1, ended: false, ledger: status }
  attack([Buffer.from(JSON.stringify(saved))], (bytes) => {
    const text = new TextDecoder().decode(bytes)
    let document: unknown
    try {
      document = JSON.parse(text)
    } catch {
      refused++
      return
    }
    local.ledger.put(document as Parameters<typeof local.ledger.put>[0])
    const read = local.ledger.get()
    if (read === undefined) {
      refused++
      return
    }
    try {
      const { savedAtMs: savedMs, pid, ledger } = read
      readable({ state: 'killed', pid, savedMs, status: ledger as StatusDocument })
      shown++
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      refused++
    }
  })
  local.close()
  expect(shown + refused).toBe(RUNS)
  expect(Math.min(shown, refused)).toBeGreaterThan(0)
}, 120_000)
