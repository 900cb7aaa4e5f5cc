import { expect, test } from 'bun:test'
import { Incidents } from '../../src/detect/incidents.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { INCIDENT_QUIET_SECONDS } from '../../src/domain/limits.ts'
import { sampleAlert } from '../wire/samples.ts'

const T = 1_800_000_000
const { container: _, unit: __, parents: ___, ...process } = sampleAlert.process
const alert = (id: string, more: Partial<Alert['process']> = {}, rest: Partial<Alert> = {}) => ({
  ...sampleAlert,
  ...{ id, incident: id, last: T },
  process: { ...process, name: `n-${id}`, pid: Number.parseInt(id, 36), ...more },
  ...rest,
})

test.each([
  ['a container', { container: 'c1' }, { container: 'c1' }],
  ['a unit', { unit: 'web.service' }, { unit: 'web.service' }],
  [
    'a parent',
    { parents: [{ pid: 70, name: 'bash' }] },
    {
      parents: [
        { pid: 71, name: 'sh' },
        { pid: 70, name: 'bash' },
      ],
    },
  ],
  ['parent and child', { pid: 70 }, { parents: [{ pid: 70, name: 'python3' }] }],
  ['name and behaviour', { name: 'worker' }, { name: 'worker' }],
])('Incidents.of() puts alerts together that share %s', (_, first, second) => {
  const incidents = new Incidents()
  expect(incidents.of(alert('a', first), T)).toBe('a')
  expect(incidents.of(alert('b', second), T + 60)).toBe('a')
  expect(incidents.of(alert('c', { pid: 9 }), T + 60)).toBe('c')
})

test.each([
  ['init', { parents: [{ pid: 1, name: 'systemd' }] }],
  ['the daemon that starts every session', { parents: [{ pid: 400, name: 'sshd' }] }],
  ['a unit that holds whatever has none', { unit: 'init.scope' }],
])('Incidents.of() keeps alerts apart that share no more than %s', (_, shared) => {
  const incidents = new Incidents()
  incidents.of(alert('a', shared), T)
  expect(incidents.of(alert('b', shared), T)).toBe('b')
})

test('Incidents.of() begins a new incident after a long silence', () => {
  const incidents = new Incidents()
  incidents.of(alert('a', { container: 'c' }), T)
  expect(incidents.of(alert('b', { container: 'c' }), T + INCIDENT_QUIET_SECONDS + 1)).toBe('b')
})

test('Incidents.touch() keeps an incident alive, also one that was restored', () => {
  const incidents = new Incidents()
  incidents.touch(alert('a', { container: 'c' }, { incident: 'older', last: T + 1_000 }))
  expect(incidents.of(alert('b', { container: 'c' }), T + 2_000)).toBe('older')
})
