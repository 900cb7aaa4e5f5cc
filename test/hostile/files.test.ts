/**
 * Mutated manifests, nets and settings: each is taken or refused by reason, and nothing
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
import { tinyModel } from '../support/tiny-model.ts'
import { attack, mutate, RUNS, randomOf } from './mutate.ts'

setDefaultTimeout(3_000_000)

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
