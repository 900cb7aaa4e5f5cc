/** The fleet's policy on a host: which one is used, and when it is no longer. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { FleetPolicyKeeper, fleetRulesIn, rulesInUse } from '../../src/agent/fleet-policy.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import type { FleetState } from '../../src/domain/fleet-state.ts'
import { createLog } from '../../src/platform/log.ts'
import { canaryPlace, encodeFleetPolicy, type FleetPolicy } from '../../src/wire/fleet-document.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert } from '../wire/samples.ts'

const directory = temporaryDirectories()
const BEGIN = 1_700_000_000
const HOUR = 3_600

function policy(changes: Partial<FleetPolicy> = {}): Uint8Array {
  return encodeFleetPolicy({
    ...{ v: 1, what: 'policy', site: 'lab', version: 1, made: BEGIN, expires: BEGIN + 30 * HOUR },
    ...{ canary: 100, allow: [], rules: [{ behaviour: 'tool-use', severity: 'high' }] },
    ...changes,
  })
}

function opened(path = join(directory(), 'local.db'), host = 'web-1') {
  const local = LocalStore.open(path)
  const states: FleetState[] = []
  let now = BEGIN
  const open = () => {
    const keeper = new FleetPolicyKeeper({
      ...{ site: 'lab', host, document: local.fleetPolicy, alerts: local.alerts },
      ...{ labels: local.labels, now: () => now, log: createLog({ write: () => {} }) },
    })
    keeper.onState = (state) => states.push(state)
    return keeper
  }
  return {
    ...{ local, states, open, keeper: open() },
    at(seconds: number) {
      now = BEGIN + seconds
    },
    /** Alerts that began so many seconds after the beginning. */
    raise(count: number, seconds: number, changes: Partial<typeof sampleAlert> = {}) {
      local.alerts.put(
        Array.from({ length: count }, (_, n) => {
          const time = BEGIN + seconds + n
          return { ...sampleAlert, id: `${seconds}-${n}`, time, first: time, ...changes }
        }),
      )
    },
  }
}

describe('FleetPolicyKeeper', () => {
  test('uses a policy, under what this host itself says, over a restart until it expires', () => {
    const { keeper, local, open, states, at } = opened()
    expect(rulesInUse({ local, fleetPolicy: keeper }).policy.severityOf('tool-use')).toBe('low')
    const allow = [{ name: 'backup' }]
    expect(keeper.receive(policy({ allow }))).toBeUndefined()
    const inUse = () => rulesInUse({ local, fleetPolicy: open() })
    expect(inUse().policy.severityOf('tool-use')).toBe('high')
    expect(inUse().allow).toEqual(allow)
    expect(fleetRulesIn(local.fleetPolicy, BEGIN)).toMatchObject([{ reason: 'of the fleet, 1' }])
    local.policy.put({ behaviour: 'tool-use', severity: 'medium' })
    expect(inUse().policy.severityOf('tool-use')).toBe('medium')
    at(30 * HOUR)
    expect(keeper.current()).toEqual({ rules: [], allow: [] })
    expect(states).toEqual([
      { version: 1, state: 'active' },
      { version: 1, state: 'expired' },
    ])
  })

  test('takes no older version, whatever became of the newest, and no other site and no damage', () => {
    const { keeper, at } = opened()
    expect(keeper.receive(policy({ version: 5 }))).toBeUndefined()
    // The retained document comes with each connection.
    expect(keeper.receive(policy({ version: 5 }))).toBeUndefined()
    expect(keeper.receive(policy({ version: 4, rules: [] }))).toBe('old-version')
    expect(keeper.receive(policy({ version: 6, site: 'oslo' }))).toBe('other-site')
    expect(keeper.receive(policy({ version: 6, expires: BEGIN }))).toBe('expired')
    const bad = { behaviour: 'tool-use', severity: 'none' } as never
    expect(keeper.receive(policy({ version: 6, rules: [bad] }))).toBe('bad-field(rules)')
    expect(keeper.receive(policy({ version: 6, canary: 0 }))).toBe('bad-field(canary)')
    expect(keeper.receive(new Uint8Array([1, 2]))).toBe('not-json')
    at(1)
    expect(keeper.current().rules).toHaveLength(1)
    expect(keeper.state).toEqual({ version: 5, state: 'active' })
  })

  test('a canary share is for some hosts, the others keep what they had', () => {
    const places = Array.from({ length: 2_000 }, (_, n) => canaryPlace('lab', `h-${n}`))
    const below = places.filter((place) => place < 10).length
    expect(below).toBeGreaterThan(150)
    expect(below).toBeLessThan(250)
    const [inside, outside] = [places.findIndex((p) => p < 10), places.findIndex((p) => p >= 10)]
    const first = opened(undefined, `h-${inside}`)
    first.keeper.receive(policy({ canary: 10 }))
    expect(first.keeper.state?.state).toBe('active')
    const other = opened(undefined, `h-${outside}`)
    other.keeper.receive(
      policy({ version: 1, rules: [{ behaviour: 'blinding', severity: 'low' }] }),
    )
    other.keeper.receive(policy({ version: 2, canary: 10 }))
    expect(other.keeper.state).toEqual({ version: 2, state: 'waiting' })
    expect(other.keeper.current().rules).toMatchObject([{ behaviour: 'blinding' }])
    other.keeper.receive(policy({ version: 3, canary: 100 }))
    expect(other.keeper.current().rules).toMatchObject([{ behaviour: 'tool-use' }])
    const none = opened(undefined, `h-${outside}`)
    none.keeper.receive(policy({ canary: 10 }))
    expect(none.keeper.state).toEqual({ version: 1, state: 'waiting' })
    expect(none.keeper.current().rules).toEqual([])
  })

  test('is rolled back if its first hour raises more alerts than twice the worst hour, and stays so', () => {
    const { keeper, at, raise, open } = opened()
    raise(4, -5 * HOUR)
    raise(9, -30 * HOUR) // too long ago
    keeper.receive(policy())
    at(600)
    // Twice four and three; observations do not count.
    raise(11, 100)
    raise(9, 300, { severity: 'low' })
    expect(keeper.current().rules).toHaveLength(1)
    raise(1, 500)
    expect(open().current().rules).toEqual([])
    const after = open()
    expect(after.state).toEqual({ version: 1, state: 'rolled-back' })
    expect(after.receive(policy({ version: 2 }))).toBeUndefined()
    expect(after.state).toEqual({ version: 2, state: 'rolled-back' })
    after.receive(policy({ version: 3, rules: [{ behaviour: 'enumeration', severity: 'high' }] }))
    expect(after.state).toEqual({ version: 3, state: 'active' })
  })

  test('alerts that a person called bad do not roll it back, nor do those after the hour', () => {
    const { keeper, at, raise, local } = opened()
    keeper.receive(policy())
    raise(4, 100)
    local.labels.put({ id: '100-0', label: 'bad', from: 0, to: 0 })
    at(1_800)
    expect(keeper.current().rules).toHaveLength(1)
    at(HOUR + 1)
    raise(20, HOUR)
    expect(keeper.current().rules).toHaveLength(1)
  })
})
