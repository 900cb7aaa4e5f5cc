import { expect, test } from 'bun:test'
import { ALIAS_RULES, classNameOf, matchesAlias } from '../../src/model/aliases.ts'

test.each([
  ['php-fpm#', 'php-fpm8.2', true],
  ['php-fpm#', 'php-fpm', false],
  ['php-fpm#', 'php-fpm8.2-x', false],
  ['python#', 'python3.11', true],
  ['a#b#', 'a1b2.2', true],
  ['sshd: *', 'sshd: root@pts/0', true],
  ['sshd: *', 'sshd', false],
  ['a*b', 'a*b', true], // a star is only special at the end
  ['a*b', 'axb', false],
  ['', '', true],
])('matchesAlias(%p, %p) is %p', (pattern, name, fits) => {
  expect(matchesAlias(pattern, name)).toBe(fits)
})

test.each([
  ['php-fpm8.2', 'php-fpm'],
  ['php-fpm8.4', 'php-fpm'],
  ['python3.13', 'python'],
  ['ruby3.1', 'ruby'],
  ['sshd-session', 'sshd'],
  ['nginx', 'nginx'],
])('classNameOf(%p) is %p by the rules that every model gets', (name, expected) => {
  expect(classNameOf(name, ALIAS_RULES)).toBe(expected)
})

test('matchesAlias() is quick on a pattern made to be slow', () => {
  const began = performance.now()
  matchesAlias('#'.repeat(64), '1'.repeat(64))
  matchesAlias('#1'.repeat(32), '1'.repeat(64))
  expect(performance.now() - began).toBeLessThan(1_000)
})
