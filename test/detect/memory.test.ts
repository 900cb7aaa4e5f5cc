import { describe, expect, test } from 'bun:test'
import { HostMemory, NOTHING } from '../../src/detect/memory.ts'
import {
  MEMORY_KEEP_SECONDS,
  MEMORY_NAMES_MAX,
  MEMORY_PROTOTYPES_PER_NAME_MAX,
} from '../../src/domain/limits.ts'

const SIZE = 4
/** Whitened components are cut at just below 16, so tests stay within. */
const at = (x: number, y = 0): Float32Array => Float32Array.of(x, y, 0, 0)
const memory = () => new HostMemory('m', SIZE)
const T = 1_800_000_000

describe('HostMemory while learning', () => {
  test('observe() makes what was seen usual at once', () => {
    const host = memory()
    expect(host.distance('cron', at(1))).toBe(Number.POSITIVE_INFINITY)
    host.observe('cron', at(1), T, true)
    expect(host.distance('cron', at(1))).toBe(0)
    expect(host.distance('nginx', at(1))).toBe(Number.POSITIVE_INFINITY)
  })

  test('observe() covers behaviours: what is near one prototype makes no second', () => {
    const host = memory()
    for (let i = 0; i < 100; i++) host.observe('cron', at(1 + i / 200), T + i, true)
    expect(host.status().prototypes).toBe(1)
    host.observe('cron', at(5), T + 100, true)
    expect(host.status().prototypes).toBe(2)
  })

  test('prototypes stay where they are, so nobody can drag them', () => {
    const host = memory()
    host.observe('cron', at(0), T, true)
    for (let i = 0; i < 1000; i++) host.observe('cron', at(0.9), T + i, true)
    expect(host.distance('cron', at(0))).toBe(0)
  })

  test('a name that wanders everywhere keeps the bound and still covers both ends', () => {
    const host = memory()
    for (let i = 0; i < 300; i++) host.observe('cron', at((i % 14) - 7, (i % 13) - 6), T + i, true)
    expect(host.status().prototypes).toBeLessThanOrEqual(MEMORY_PROTOTYPES_PER_NAME_MAX)
  })
})

describe('HostMemory after learning', () => {
  const taught = (x = 0) => {
    const host = memory()
    host.observe('cron', at(x), T, true)
    return host
  }

  test('observe() does not take in what is strange, however often it comes within an hour', () => {
    const host = taught()
    for (let i = 0; i < 3600; i++) host.observe('cron', at(7), T + i, false)
    expect(host.distance('cron', at(7))).toBe(3.5)
  })

  test('observe() takes in what is strange once it has recurred for long enough', () => {
    const host = taught()
    for (let i = 0; i < 700; i++) host.observe('cron', at(7), T + i * 60, false)
    expect(host.distance('cron', at(7))).toBe(0)
  })

  test('what recurs within one second counts once, however many processes show it', () => {
    const host = taught()
    for (let i = 0; i < 15; i++)
      for (let process = 0; process < 40; process++)
        host.observe('cron', at(1.5), T + i * 10, false)
    // Fifteen seconds are not twenty, though 600 windows are.
    expect(host.distance('cron', at(1.5))).toBeGreaterThan(0)
    expect(host.known('cron')!.seconds).toBe(15)
    for (let i = 15; i < 25; i++) host.observe('cron', at(1.5), T + i * 10, false)
    expect(host.distance('cron', at(1.5))).toBe(0)
  })

  test('observe() takes in what is near after minutes', () => {
    const host = taught()
    for (let i = 0; i < 200; i++) host.observe('cron', at(1.5), T + i, false)
    expect(host.distance('cron', at(1.5))).toBe(0)
  })

  // An attacker who knows the rule walks on as soon as his last step is usual.
  test.each([
    ['small', 1.2, 5],
    ['large', 3.5, 3.5],
  ])(
    'a slow walk in %s steps towards another behaviour gets nowhere in a day',
    (_, step, atMost) => {
      const host = taught(-7)
      let walked = 0
      for (let second = 0; second < 86_400; second += 20) {
        if (host.distance('cron', at(-7 + walked + step)) < 0.1) walked += step
        host.observe('cron', at(-7 + walked + step), T + second, false)
      }
      expect(walked).toBeLessThanOrEqual(atMost)
    },
  )
})

describe('HostMemory: how near, how often and for how long', () => {
  /** Seconds until a behaviour that is seen `every` so many is usual, from `from` on. */
  const takenAfter = (host: HostMemory, state: Float32Array, every: number, from = T) => {
    for (let second = 0; second < 200_000; second += every) {
      host.observe('cron', state, from + second, false)
      if (host.distance('cron', state) === 0) return second
    }
    return undefined
  }
  const taught = () => {
    const host = memory()
    host.observe('cron', at(0), T, true)
    return host
  }

  test.each([
    [0.9, 1],
    [1.25, 2],
  ])('%d from a prototype there are %d', (x, prototypes) => {
    const host = taught()
    host.observe('cron', at(x), T + 1, true)
    expect(host.status().prototypes).toBe(prototypes)
  })

  test.each([
    ['near', 1.5, 1, 120],
    ['near, seldom', 1.5, 10, 190],
    ['nearly strange', 1.75, 1, 120],
    ['strange', 2.5, 30, 6 * 3_600],
    ['strange, seldom', 2.5, 60, 599 * 60],
  ])('what is %s (%d, every %d s) is usual after %d seconds', (_, x, every, seconds) => {
    expect(takenAfter(taught(), at(x), every)).toBe(seconds)
  })

  test('a second strange behaviour is taken in a day after the first', () => {
    const host = taught()
    const first = takenAfter(host, at(7), 30)!
    expect(takenAfter(host, at(-7), 60, T + first)).toBe(86_400)
  })

  test('a name of which a process was proven malicious is forgotten after a day', () => {
    const host = taught()
    host.poison('cron', T)
    host.tidy(T + 86_400)
    expect(host.known('cron')).toBeDefined()
    host.tidy(T + 86_401)
    expect(host.known('cron')).toBeUndefined()
  })

  test('surprise() leaves the first minute out, and counts over the latest hours', () => {
    const host = taught()
    for (let i = 1; i < 160; i++) host.observe('cron', at(0), T + i, false)
    expect(host.surprise('cron')).toBeCloseTo(1 / (160 - 60 + 2), 6)
    for (let i = 160; i < 16_384; i++) host.observe('cron', at(0), T + i, false)
    expect(host.known('cron')!.seconds).toBe(16_384)
    host.observe('cron', at(0), T + 16_384, false)
    expect(host.known('cron')!.seconds).toBe(8_192)
  })
})

describe('HostMemory on what a name is worth', () => {
  test('surprise() counts what is new after the first minute, not the minute itself', () => {
    const host = memory()
    expect(host.surprise('cron')).toBe(1)
    for (let i = 0; i < 60; i++) host.observe('cron', at((i % 14) - 7, i % 6), T + i, true)
    for (let i = 60; i < 1060; i++) host.observe('cron', at(0), T + i, true)
    const quiet = host.surprise('cron')
    expect(quiet).toBeLessThan(0.01)
    for (let i = 0; i < 5; i++) host.observe('cron', at(7 - i * 3, 15), T + 1060 + i, true)
    expect(host.surprise('cron')).toBeGreaterThan(3 * quiet)
  })

  test('contradicted() is the share of a name’s claims that the model spoke against', () => {
    const host = memory()
    host.countClaim('cron', true)
    expect(host.contradicted('cron')).toBe(1)
    host.observe('cron', at(0), T, true)
    for (let i = 0; i < 98; i++) host.countClaim('cron', i % 2 === 0)
    expect(host.contradicted('cron')).toBe(0.5)
    for (let i = 0; i < 40_000; i++) host.countClaim('cron', false)
    expect(host.contradicted('cron')).toBeLessThan(0.005)
  })
})

describe('HostMemory.snapshot()', () => {
  const filled = () => {
    const host = memory()
    for (let i = 0; i < 40; i++) {
      host.observe(`name ${i % 7}`, at(i, -i / 3), T + i, i % 3 > 0)
      host.countClaim(`name ${i % 7}`, i % 5 === 0)
    }
    return host
  }

  test('restores what was kept, byte for byte', () => {
    const bytes = filled().snapshot()
    const host = memory()
    expect(host.restore(bytes)).toBe(true)
    expect(host.snapshot()).toEqual(bytes)
    expect(host.status()).toEqual(filled().status())
    expect(host.distance('name 1', at(1, -1 / 3))).toBeCloseTo(0, 1)
    expect(host.contradicted('name 1')).toBe(filled().contradicted('name 1'))
  })

  test('a restored memory goes on as the kept one would have', () => {
    const a = filled()
    const b = memory()
    b.restore(a.snapshot())
    for (const host of [a, b]) {
      for (let i = 0; i < 300; i++) host.observe('name 2', at(9), T + 100 + i, false)
    }
    expect(b.snapshot()).toEqual(a.snapshot())
  })

  test('another model means another space: empty, counted', () => {
    const host = new HostMemory('other', SIZE)
    expect(host.restore(filled().snapshot())).toBe(false)
    expect(host.status()).toMatchObject({ names: 0, prototypes: 0, damaged: 1 })
  })

  test('no cut and no flipped bit gets in, and none throws', () => {
    const bytes = filled().snapshot()
    for (let length = 0; length < bytes.length; length += 7) {
      expect(memory().restore(bytes.subarray(0, length))).toBe(false)
    }
    for (let i = 0; i < bytes.length; i += 3) {
      const flipped = bytes.slice()
      flipped[i]! ^= 1 << (i % 8)
      expect(memory().restore(flipped)).toBe(false)
    }
    expect(memory().restore(new Uint8Array(4096).fill(0x5a))).toBe(false)
  })
})

describe('HostMemory bounds', () => {
  test('the name not seen for longest goes first, counted', () => {
    const host = memory()
    for (let i = 0; i < MEMORY_NAMES_MAX + 5; i++) host.observe(`n${i}`, at(0), T + i, true)
    expect(host.status()).toMatchObject({ names: MEMORY_NAMES_MAX, forgotten: 5 })
    expect(host.known('n4')).toBeUndefined()
    expect(host.known('n5')).toBeDefined()
  })

  test('tidy() lets go of what has not been seen for a month', () => {
    const host = memory()
    host.observe('old', at(0), T, true)
    host.observe('new', at(0), T + MEMORY_KEEP_SECONDS, true)
    host.tidy(T + MEMORY_KEEP_SECONDS + 1)
    expect(host.known('old')).toBeUndefined()
    expect(host.known('new')).toBeDefined()
    expect(host.status().prototypes).toBe(1)
  })
})

test('HostMemory.surprise() and contradicted() leave out what the process itself added', () => {
  const memory = new HostMemory('toy', 2)
  for (let i = 0; i < 100; i++) {
    memory.observe('nginx', Float32Array.of(0, 0), T + i, true)
    memory.countClaim('nginx', false)
  }
  const [surprise, contradicted] = [memory.surprise('nginx'), memory.contradicted('nginx')]
  const own = { ...NOTHING }
  for (let i = 100; i < 140; i++) {
    memory.observe('nginx', Float32Array.of(5, 5), T + i, false, own)
    memory.countClaim('nginx', true, own)
  }
  expect(memory.surprise('nginx')).toBeGreaterThan(0.4)
  expect(memory.contradicted('nginx')).toBeGreaterThan(0.25)
  expect(memory.surprise('nginx', own)).toBe(surprise)
  expect(memory.contradicted('nginx', own)).toBe(contradicted)
})

test('HostMemory.contradicted() begins with what was measured before the name was watched', () => {
  const memory = new HostMemory('m', 2)
  memory.meet('nginx', 1)
  expect(memory.contradicted('nginx')).toBe(0.5)
  const measured = { windows: 97, wrong: 0 }
  expect(memory.contradicted('nginx', undefined, measured)).toBeLessThan(0.011)
  expect(memory.contradicted('nginx', undefined, { windows: 98, wrong: 49 })).toBe(0.5)
  for (let second = 0; second < 100; second++) memory.countClaim('nginx', true)
  expect(memory.contradicted('nginx', undefined, measured)).toBeGreaterThan(0.5)
})
