import { describe, expect, test } from 'bun:test'
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { LocalStore, type LocalStoreOptions } from '../../src/buffer/local-store.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { createLog } from '../../src/platform/log.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert } from '../wire/samples.ts'

const directory = temporaryDirectories()
const log = createLog({ write: () => {} })

function open(path = join(directory(), 'local.db'), options: LocalStoreOptions = {}) {
  return LocalStore.open(path, { log, ...options })
}

const alertAt = (id: string, time: number, state: Alert['state'] = 'open'): Alert => ({
  ...sampleAlert,
  id,
  time,
  state,
})

describe('HostMemoryStore', () => {
  test('gives back over a restart what was put last', () => {
    const path = join(directory(), 'local.db')
    const store = open(path)
    expect(store.memory.get()).toBeUndefined()
    store.memory.put(Uint8Array.of(1, 2, 3))
    store.memory.put(Uint8Array.of(4, 5))
    store.close()
    const again = open(path)
    expect(again.memory.get()).toEqual(Uint8Array.of(4, 5))
    again.close()
  })

  test('gives back nothing rather than a memory that has changed on disk', () => {
    const path = join(directory(), 'local.db')
    const store = open(path)
    store.memory.put(new TextEncoder().encode('a memory of many programs'))
    store.close()
    const at = readFileSync(path).indexOf('many')
    writeSync(openSync(path, 'r+'), 'some', at)
    const again = open(path)
    expect(again.memory.get()).toBeUndefined()
    again.close()
  })
})

describe('LedgerStore', () => {
  const saved = { savedAtMs: 1_700_000_000_000, pid: 7, ended: false, ledger: { counted: 3 } }

  test('is read while the agent runs and after it ended', () => {
    const path = join(directory(), 'local.db')
    const store = open(path)
    store.ledger.put(saved)
    const reader = open(path, { readOnly: true })
    expect(reader.ledger.get()).toEqual(saved)
    store.ledger.put({ ...saved, ended: true })
    expect(reader.ledger.get()?.ended).toBe(true)
    reader.close()
    store.close()
    const after = open(path, { readOnly: true })
    expect(after.ledger.get()?.ended).toBe(true)
    after.close()
  })
})

describe('AlertStore', () => {
  test('keeps the newest state of each alert, newest first', () => {
    const store = open()
    store.alerts.put([alertAt('aa1', 10), alertAt('bb1', 20)])
    store.alerts.put([alertAt('aa1', 30, 'closed')])
    expect(store.alerts.list().map(({ id, state }) => [id, state])).toEqual([
      ['aa1', 'closed'],
      ['bb1', 'open'],
    ])
    expect(store.alerts.list({ limit: 1 })).toHaveLength(1)
    expect(store.alerts.list({ before: 30 }).map(({ id }) => id)).toEqual(['bb1'])
    expect(store.alerts.list({ limit: -3 })).toEqual([])
    store.close()
  })

  test('finds an alert by its id or by an unambiguous beginning', () => {
    const store = open()
    store.alerts.put([alertAt('aa1', 10), alertAt('aa12', 20), alertAt('c3', 30)])
    expect(store.alerts.get('aa1')?.time).toBe(10)
    expect(store.alerts.get('c')?.time).toBe(30)
    expect(store.alerts.get('a')).toBeUndefined()
    expect(store.alerts.get('zz')).toBeUndefined()
    expect(store.alerts.get('%')).toBeUndefined()
    store.close()
  })

  test('forgets the longest silent beyond its bound, counted', () => {
    const store = open(undefined, { alertsMax: 3 })
    for (let i = 0; i < 5; i++) store.alerts.put([alertAt(`id-${i}`, i)])
    expect(store.alerts.list().map(({ id }) => id)).toEqual(['id-4', 'id-3', 'id-2'])
    expect(store.alerts.evicted).toBe(2)
    expect(store.alerts.count).toBe(3)
    store.close()
  })
})

describe('LocalStore on a bad disk', () => {
  test('says no to what the disk has no room for, and goes on', () => {
    const store = open(undefined, { pagesMax: 12 })
    expect(store.memory.put(new Uint8Array(1000))).toBe(true)
    expect(store.memory.put(new Uint8Array(100_000))).toBe(false)
    expect(store.health()).toMatchObject({ problem: 'full', failedWrites: 1 })
    expect(store.memory.get()).toHaveLength(1000)
    expect(store.memory.put(new Uint8Array(2000))).toBe(true)
    expect(store.health().problem).toBeUndefined()
    store.close()
  })

  test('sets a damaged file aside and starts anew', () => {
    const path = join(directory(), 'local.db')
    writeFileSync(path, 'rubbish '.repeat(2_000))
    const store = open(path)
    expect(store.health().setAside).toBe(1)
    expect(store.alerts.put([sampleAlert])).toBe(true)
    store.close()
  })

  test('with readOnly says that there is no agent here', () => {
    expect(() => open(join(directory(), 'local.db'), { readOnly: true })).toThrow(/^Cannot read/)
  })
})
