/** The parts of the page that need no browser: addresses, times, names that deceive. */
import { afterEach, describe, expect, test } from 'bun:test'
import { oddities, piecesOf } from '../../src/aggregator/dashboard/odd-names.ts'
import { incidentLink, link, readRoute } from '../../src/aggregator/dashboard/route.ts'
import { clockTime, fullTime, setZone } from '../../src/aggregator/dashboard/times.ts'

describe('readRoute()', () => {
  test.each([
    ['', { view: 'overview', filters: {} }],
    ['#/', { view: 'overview', filters: {} }],
    [
      '#/incidents?q=a%20b&severity=&show=all',
      { view: 'incidents', filters: { q: 'a b', show: 'all' } },
    ],
    ['#/incident/lab/web-1/a1%2Fb', { view: 'incident', site: 'lab', host: 'web-1', id: 'a1/b' }],
    ['#/host/lab/web-1', { view: 'host', site: 'lab', host: 'web-1' }],
    ['#/program/kworker%2Fu8%3A2', { view: 'program', name: 'kworker/u8:2' }],
    ['#/incident/lab/web-1', { view: 'unknown' }],
    ['#/program/%', { view: 'unknown' }],
    ['#/incidents/more', { view: 'unknown' }],
    ['#/settings', { view: 'unknown' }],
  ] as const)('of %p', (hash, route) => {
    expect(readRoute(hash)).toEqual(route)
  })

  test('reads what link() wrote, whatever the names are', () => {
    const at = { site: 'a/b', host: '?#&=', id: '%2f"<' }
    expect(readRoute(incidentLink(at))).toEqual({ view: 'incident', ...at })
    const filters = { q: 'a&b=c #?/%', host: 'ä' }
    expect(readRoute(link(['incidents'], filters))).toEqual({ view: 'incidents', filters })
  })
})

describe('oddities()', () => {
  test.each([
    ['nginx', []],
    ['kworker/u8:2-events_unbound', []],
    ['\u0430pache2', ['Latin and Cyrillic letters']],
    ['\u0455\u0455hd', ['Latin and Cyrillic letters']],
    ['\u0455\u0455\u04bb', ['Cyrillic letters']],
    ['\u03bfpenssl', ['Latin and Greek letters']],
    ['ssh\u{e0041}d', ['hidden characters']],
    ['ssh\u200bd', ['hidden characters']],
    ['\uff53\uff53\uff48\uff44', ['look-alike letters']],
    ['datenbank-köln', []],
  ])('of %p is %p', (name, odd) => {
    expect(oddities(name)).toEqual(odd)
  })

  test('piecesOf() shows what is hidden by its number', () => {
    expect(piecesOf('ss\u{e0041}hd')).toEqual([
      { text: 'ss', hidden: false },
      { text: 'U+E0041', hidden: true },
      { text: 'hd', hidden: false },
    ])
  })
})

describe('clockTime()', () => {
  afterEach(() => setZone('local'))
  const noon = Date.UTC(2026, 10, 23, 12, 0, 0) / 1_000

  test('names its zone, and the day where it is another', () => {
    setZone('utc')
    expect(clockTime(noon - 60, noon)).toBe('11:59:00 UTC')
    expect(clockTime(noon - 86_400, noon)).toBe('22 Nov, 12:00:00 UTC')
    expect(clockTime(noon - 400 * 86_400, noon)).toBe('19 Oct 2025, 12:00:00 UTC')
    expect(fullTime(noon)).toBe('23 Nov 2026, 12:00:00 UTC (2026-11-23T12:00:00Z)')
  })

  test('survives a time that is none', () => {
    expect(clockTime(9e15, noon)).toContain('?')
    expect(fullTime(9e15)).toBe('an impossible time')
  })
})
