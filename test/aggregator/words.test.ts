import { expect, test } from 'bun:test'
import { setZone } from '../../src/aggregator/dashboard/times.ts'
import {
  amount,
  comparison,
  headline,
  type Part,
  percent,
  relativeTime,
  sentence,
} from '../../src/aggregator/dashboard/words.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { sampleAlert } from '../wire/samples.ts'

setZone('utc')
const noon = Date.UTC(2026, 10, 23, 12, 0, 0) / 1000
const text = (parts: Part[]): string =>
  parts.map((part) => (typeof part === 'string' ? part : `[${part.name}]`)).join('')
const { behaviour: _, ...plain } = sampleAlert
const alert = (changes: Partial<Alert>): Alert => ({
  ...plain,
  first: noon - 4_673,
  last: noon - 60,
  predicted: { class: 'ransom.py', confidence: 0.98 },
  ...changes,
})
const known = { class: 'nginx', confidence: 0.01 }
const unknown = { class: '', confidence: 0 }
const nmap = { pid: 9, start: noon, name: 'nmap' }

test.each([
  [
    'a masquerade',
    alert({ kind: 'masquerade' }),
    'Process 812 has the name [nginx] but has behaved like [ransom.py] since 10:42:07 UTC.',
    '[nginx] behaves like [ransom.py]',
  ],
  [
    'a masquerade that is over',
    alert({ kind: 'masquerade', state: 'closed' }),
    'Process 812 has the name [nginx] but behaved like [ransom.py] from 10:42:07 UTC to 11:59:00 UTC.',
    '[nginx] behaves like [ransom.py]',
  ],
  [
    'a non grata under another name',
    alert({ kind: 'non-grata' }),
    'Process 812 has the name [nginx] and has behaved like [ransom.py] (malicious) since 10:42:07 UTC.',
    '[nginx] behaves like [ransom.py]',
  ],
  [
    'a non grata of a known behaviour',
    alert({ kind: 'non-grata', behaviour: 'reverse-shell' }),
    'Process 812 has the name [nginx] and has behaved like a reverse shell (malicious) since 10:42:07 UTC.',
    '[nginx] behaves like a reverse shell',
  ],
  [
    'a masquerade by facts alone',
    alert({ kind: 'masquerade', predicted: unknown }),
    'Process 812 has the name [nginx] but has behaved like another program since 10:42:07 UTC.',
    '[nginx] is not the program that its name says',
  ],
  [
    'a non grata under its own name',
    alert({ kind: 'non-grata', process: nmap, predicted: { class: 'nmap', confidence: 1 } }),
    'Process 9 has the name [nmap] and has behaved like [nmap] (malicious) since 10:42:07 UTC.',
    '[nmap] behaves like malicious activity',
  ],
  [
    'a known name with an unknown behaviour',
    alert({ kind: 'novelty', claimed: known }),
    'Process 812 has the name [nginx] but has behaved like no known program since 10:42:07 UTC.',
    '[nginx] matches no known program',
  ],
  [
    'a new program',
    alert({ kind: 'novelty', claimed: unknown }),
    'Process 812 is [nginx], a program that is new on this host. First seen at 10:42:07 UTC.',
    '[nginx] is new on this host',
  ],
])('sentence() and headline() tell %s in plain words', (_, given, long, short) => {
  expect(text(sentence(given, noon))).toBe(long)
  expect(text(headline(given))).toBe(short)
})

test('sentence() names the day where it is not today', () => {
  const old = alert({ kind: 'masquerade', first: noon - 2 * 86_400 })
  expect(text(sentence(old, noon))).toEndWith('since 21 Nov, 12:00:00 UTC.')
})

test.each([
  [0, 'just now'],
  [4, 'just now'],
  [59, '59 s ago'],
  [61, '1 min ago'],
  [7_199, '1 h ago'],
  [6 * 86_400, '6 d ago'],
  [-120, 'in 2 min'],
])('relativeTime() of %p s is %p', (age, words) => {
  expect(relativeTime(noon - age, noon)).toBe(words)
})

test.each([
  [0, '0 %'],
  [0.0001, '<1 %'],
  [0.5, '50 %'],
  [0.999, '>99 %'],
  [1, '100 %'],
])('percent(%p) is %p: something is never nothing', (share, words) => {
  expect(percent(share)).toBe(words)
})

test.each([
  [0.3, 0, 'usually never'],
  [0, 0.3, 'usual, but missing'],
  [0.31, 0.001, '310 times the usual'],
  [0.2, 0.1, '2.0 times the usual'],
  [0.1, 0.1, 'about as usual'],
  [0.05, 0.1, '50 % of the usual'],
])('comparison(%p, %p) is %p', (seen, expected, words) => {
  expect(comparison(seen, expected)).toBe(words)
})

test('amount() keeps small numbers whole and cuts large ones', () => {
  expect(amount(12_345)).toBe('12,345')
  expect(amount(12_345_678)).toBe('12.3M')
})
