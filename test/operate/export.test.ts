/** A host without a network: its outbox goes to an aggregator as a file, and receipts come back. */
import { afterEach, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportOutbox, importFile, takeReceipts, writeReceipts } from '../../src/operate/export.ts'
import { openIdentity } from '../../src/platform/identity.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { decodeExport, encodeExport } from '../../src/wire/export-file.ts'
import { encodeReceipts } from '../../src/wire/receipt-message.ts'
import { attachSignature, detachSignature } from '../../src/wire/signed.ts'
import { type Running, startRunning } from '../aggregator/running.ts'
import { freePort } from '../support/brokers.ts'
import { agentFromSource } from '../support/cli-from-source.ts'
import { LAB } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const directory = temporaryDirectories()
const running: Running[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.close()
})

const whose = { site: 'lab', host: 'web-1' }

/** A state directory whose outbox holds these alerts and one summary. */
function stateWith(...ids: string[]): string {
  const state = directory()
  const outbox = Outbox.open(join(state, 'outbox.db'), whose)
  for (const id of ids) outbox.put([{ ...sampleAlert, id }])
  outbox.put([], sampleSummary)
  outbox.close()
  return state
}

function ledgerOf(state: string) {
  const outbox = Outbox.open(join(state, 'outbox.db'), whose)
  const ledger = outbox.ledger()
  outbox.close()
  return ledger
}

async function aggregator(): Promise<Running> {
  const started = await startRunning()
  running.push(started)
  return started
}

const importTo = (path: string, broker: string) => importFile(path, { broker, waitMs: 10_000 })

test('what waits on a host is stored once, however often it is carried, and leaves the outbox', async () => {
  const { store, brokerUrl } = await aggregator()
  const state = stateWith('a', 'b')
  const [file, receipts] = [join(state, 'out.callsign'), join(state, 'out.receipts')]
  expect(exportOutbox({ state, ...whose }, file, 1_000)).toEqual({ alerts: 2, summaries: 1 })
  const imported = await importTo(file, brokerUrl)
  expect(imported).toMatchObject({ ...whose, messages: 3, stored: [{ from: 1, to: 3 }] })
  // Once more: it is receipted again, and nothing is stored twice.
  await importTo(file, brokerUrl)
  expect((await store.counts()).alerts.total).toBe(2)
  expect(store.tallies().duplicates).toBe(3)
  expect(ledgerOf(state)).toMatchObject({ created: 3, acknowledged: 0, queued: 3 })
  writeReceipts(receipts, imported)
  expect(takeReceipts(receipts, { state, ...whose })).toBe(3)
  expect(ledgerOf(state)).toMatchObject({ created: 3, acknowledged: 3, queued: 0 })
})

test('reads the outbox of an agent that runs, and leaves its receipts until it does not', async () => {
  const { brokerUrl } = await aggregator()
  const state = stateWith('a')
  const file = join(state, 'out.callsign')
  const outbox = Outbox.open(join(state, 'outbox.db'), whose)
  exportOutbox({ state, ...whose }, file, 1_000)
  const imported = await importTo(file, brokerUrl)
  writeReceipts(`${file}.receipts`, imported)
  // What is made meanwhile is not what was carried.
  outbox.put([{ ...sampleAlert, id: 'later' }])
  outbox.close()
  expect(takeReceipts(`${file}.receipts`, { state, ...whose })).toBe(2)
  expect(ledgerOf(state)).toMatchObject({ created: 3, acknowledged: 2, queued: 1 })
})

test('receipts of another host, or no receipts at all, remove nothing', () => {
  const state = stateWith('a')
  const path = join(state, 'receipts')
  const receiptsFor = (host: string) => encodeReceipts({ site: 'lab', host }, [{ boot: 0, seq: 1 }])
  writeReceipts(path, { site: 'lab', host: 'db-1', receipts: receiptsFor('db-1') })
  expect(() => takeReceipts(path, { state, ...whose })).toThrow('they are for "lab/db-1"')
  writeFileSync(path, 'rubbish\n')
  expect(() => takeReceipts(path, { state, ...whose })).toThrow('it is not JSON')
  expect(ledgerOf(state).queued).toBe(2)
})

test('receipts that nobody signed, or somebody else, remove nothing where the aggregator signs', async () => {
  const { brokerUrl } = await aggregator()
  const state = stateWith('a')
  const file = join(state, 'out.callsign')
  exportOutbox({ state, ...whose }, file, 1_000)
  const imported = await importTo(file, brokerUrl)
  const path = `${file}.receipts`
  writeReceipts(path, imported)
  const [genuine] = imported.receipts
  const bare = detachSignature(genuine!, undefined)
  expect(bare.signature).toBeDefined()
  const key = Buffer.from(bare.signature!, 'base64url').subarray(0, 32).toString('base64url')
  const take = (receipts: Uint8Array[]) => {
    writeReceipts(`${path}.forged`, { ...whose, receipts })
    return () => takeReceipts(`${path}.forged`, { state, ...whose, aggregatorKeys: [key] })
  }
  const forger = openIdentity('66'.repeat(32))
  expect(take([bare.payload])).toThrow('not signed')
  expect(take([attachSignature(bare.payload, forger.sign(bare.payload))])).toThrow('another key')
  expect(take([Buffer.from(genuine!).fill(0x39, 40, 41)])).toThrow()
  expect(ledgerOf(state)).toMatchObject({ acknowledged: 0, queued: 2 })
  expect(takeReceipts(path, { state, ...whose, aggregatorKeys: [key] })).toBe(2)
})

test('without an aggregator it says so, and nothing counts as stored', async () => {
  const state = stateWith('a')
  const file = join(state, 'out.callsign')
  exportOutbox({ state, ...whose }, file, 1_000)
  const away = `mqtt://127.0.0.1:${await freePort()}`
  await expect(importTo(file, away)).rejects.toMatchObject({ code: 'ERR_BROKER' })
})

test('a name that the messages do not bear is refused before anything is written', () => {
  const state = stateWith('a')
  const file = join(state, 'out.callsign')
  const export_ = () => exportOutbox({ state, site: 'lab', host: 'db-1' }, file, 1_000)
  expect(export_).toThrow('another host or number')
  expect(existsSync(file)).toBe(false)
})

test('agent export and agent import say what they did, and refuse a damaged file with exit code 9', async () => {
  const { brokerUrl } = await aggregator()
  const state = stateWith('a')
  const file = join(state, 'out.callsign')
  const names = ['--state', state, '--site', 'lab', '--host', 'web-1']
  const exported = await agentFromSource('export', file, ...names, '--json')
  expect(JSON.parse(exported.out)).toEqual({ removed: 0, alerts: 1, summaries: 1 })
  const receipts = join(state, 'receipts')
  const how = ['--broker', brokerUrl, '--receipts', receipts, '--json']
  const imported = await agentFromSource('import', file, ...how)
  expect(JSON.parse(imported.out)).toEqual({ ...whose, messages: 2, stored: 2 })
  const removed = await agentFromSource('export', '--receipts', receipts, ...names)
  expect(removed.err).toContain('2 messages are stored by an aggregator: removed')
  writeFileSync(file, readFileSync(file).subarray(0, 900))
  const damaged = await agentFromSource('import', file, ...how)
  expect(damaged).toMatchObject({ code: 9, out: '' })
  expect(damaged.err).toContain('it is cut off: copy it again')
}, 60_000)

test('--delivery file keeps messages without a broker, and is refused with one', async () => {
  const state = join(directory(), 'state')
  const names = ['--state', state, '--site', 'lab', '--host', 'web-1', '--delivery', 'file']
  const replayed = await agentFromSource('replay', LAB, ...names)
  expect(replayed.code).toBe(10)
  const { alerts, summaries } = exportOutbox({ state, ...whose }, join(state, 'out'), 1_000)
  expect(alerts).toBeGreaterThan(2)
  expect(summaries).toBe(3)
  const both = await agentFromSource('replay', LAB, ...names, '--broker', 'mqtt://127.0.0.1:1')
  expect(both.code).toBe(5)
  expect(both.err).toContain('Cannot use --delivery file together with --broker')
}, 90_000)

test('a directory without an outbox is no host', () => {
  expect(() => exportOutbox({ state: directory(), ...whose }, '/x', 1)).toThrow('No agent has run')
})

describe('decodeExport()', () => {
  const state = stateWith('a', 'b')
  const path = join(state, 'whole')
  exportOutbox({ state, ...whose }, path, 1_000)
  const whole = readFileSync(path)
  const reasonOf = (bytes: Uint8Array) => {
    const decoded = decodeExport(bytes)
    return decoded.ok ? 'ok' : decoded.reason
  }

  test('takes what encodeExport() made', () => {
    const decoded = decodeExport(whole)
    expect(decoded.ok && encodeExport(decoded.value)).toEqual(new Uint8Array(whole))
  })

  test('refuses every file that was cut off', () => {
    for (let length = 0; length < whole.length; length += 31)
      expect(reasonOf(whole.subarray(0, length))).toMatch(/no file of|cut off|checksum/)
  })

  test('refuses every changed byte', () => {
    for (let at = 0; at < whole.length; at += 13) {
      const changed = new Uint8Array(whole)
      changed[at] = changed[at] === 65 ? 66 : 65
      expect(reasonOf(changed)).not.toBe('ok')
    }
  })

  test('refuses a message of another host, though the checksum is right', () => {
    const decoded = decodeExport(whole)
    if (!decoded.ok) throw new Error(decoded.reason)
    const forged = encodeExport({ ...decoded.value, host: 'db-1' })
    expect(reasonOf(forged)).toContain('line 2: it is a message of another host or number')
  })

  test('refuses what is no export', () => {
    expect(reasonOf(new TextEncoder().encode('{"t":1}\n'))).toBe('it is no file of "agent export"')
  })
})
