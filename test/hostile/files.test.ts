/**
 * Mutated manifests, nets, settings and messages: each is taken or refused by reason, and nothing
 * else is thrown.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AgentError } from '../../src/domain/error.ts'
import { parseManifest } from '../../src/model/manifest.ts'
import { openModel } from '../../src/model/model.ts'
import { readOnnxFacts, readOnnxWeights } from '../../src/platform/onnx/file.ts'
import { loadSettings } from '../../src/settings/settings.ts'
import { manifestText, sha256 } from '../../src/train/save-model.ts'
import { decodeAlert } from '../../src/wire/alert-message.ts'
import { decodeReceipt, encodeReceipts } from '../../src/wire/receipt-message.ts'
import { decodeStatus } from '../../src/wire/status-message.ts'
import { decodeSummary } from '../../src/wire/summary-message.ts'
import { tinyModel } from '../support/tiny-model.ts'
import { attack, mutate, RUNS, randomOf } from './mutate.ts'

setDefaultTimeout(300_000)

/** Runs what may refuse; whatever else it throws is a fault. @returns whether it refused */
function refuses(act: () => unknown): boolean {
  try {
    act()
    return false
  } catch (error) {
    if (error instanceof AgentError) return true
    throw error
  }
}

const { onnx, manifest } = tinyModel()

test(`${RUNS} manifests`, () => {
  let refused = 0
  attack([Buffer.from(manifestText(manifest))], (bytes) => {
    if (refuses(() => parseManifest(new TextDecoder().decode(bytes), 'x'))) refused++
  })
  expect(refused).toBeGreaterThan(RUNS / 2)
})

test(`${RUNS} nets are read or refused before the runtime sees them`, () => {
  let refused = 0
  attack([onnx], (bytes) => {
    if (refuses(() => [readOnnxFacts(bytes), readOnnxWeights(bytes)])) refused++
  })
  expect(refused).toBeGreaterThan(RUNS / 20)
})

test('nets that pass are opened by the runtime or refused, whatever their manifest says', async () => {
  const random = randomOf(7)
  for (let run = 0; run < RUNS / 50; run++) {
    const bytes = mutate(onnx, random)
    const manifestJson = Buffer.from(manifestText({ ...manifest, id: sha256(bytes) }))
    try {
      const model = await openModel({ onnx: bytes, manifest: manifestJson }, 'x')
      await model.close()
    } catch (error) {
      expect(error).toBeInstanceOf(AgentError)
    }
  }
})

test(`${RUNS} settings files`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'callsign-test-'))
  const file = join(directory, 'agent.toml')
  const seed = Buffer.from(
    'state = "/var/lib/callsign"\nsite = "berlin"\nhost = "h"\nbroker = "mqtts://mq.example:8883"\nfalse_alarms_per_day = 1\n' +
      'cpu_max = 5\nlearn = "1d"\nlog = "info"\n\n[aggregate]\nhttp = "127.0.0.1:8470"\nlisten = "127.0.0.1:1883"\n',
  )
  try {
    let refused = 0
    attack([seed], (bytes) => {
      writeFileSync(file, bytes)
      if (refuses(() => loadSettings({}, { AGENT_CONFIG: file, HOME: directory }))) refused++
    })
    expect(refused).toBeGreaterThan(RUNS / 4)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test(`${RUNS} values of each setting by flag and by environment`, () => {
  const seeds = ['5', '1d', 'mqtt://a:b@h:1883/x', '127.0.0.1:80', 'a/b', '/x'].map((word) =>
    Buffer.from(word),
  )
  attack(seeds, (bytes) => {
    const value = new TextDecoder().decode(bytes)
    for (const flag of [
      'site',
      'host',
      'broker',
      'learn',
      'cpuMax',
      'falseAlarmsPerDay',
      'delivery',
    ])
      refuses(() => loadSettings({ [flag]: value }, {}))
    refuses(() => loadSettings({}, { AGENT_SITE: value, AGENT_LEARN: value }))
  })
})

test(`${RUNS} alerts, summaries, receipts and states`, () => {
  const alert = Buffer.from(
    '{"v":1,"id":"0123456789abcdef","seq":1,"boot":1,"kind":"masquerade","state":"open","site":"s","host":"h","time":1700000000,"first":1700000000,"last":1700000000,"count":1,' +
      '"process":{"pid":5,"start":1700000000,"name":"nginx"},"predicted":{"class":"nc","confidence":0.9},"claimed":{"class":"nginx","confidence":0.1},"why":[],"model":"m","evidence":{"from":1,"to":2}}',
  )
  const receipts = encodeReceipts(
    { site: 'lab', host: 'a' },
    [1, 2, 3, 7, 9].map((seq) => ({ boot: 1, seq })),
  )
  const seeds = [
    alert,
    ...receipts,
    Buffer.from(
      '{"v":1,"state":"online","boot":3,"version":"0.1.0","model":"m","source":"kernel","time":1700000000}',
    ),
  ]
  attack(seeds, (bytes) => {
    for (const decode of [decodeAlert, decodeReceipt, decodeStatus, decodeSummary]) decode(bytes)
  })
})
