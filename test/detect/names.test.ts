import { expect, test } from 'bun:test'
import { isBeforeExec, isInterpreter, memoryName } from '../../src/detect/names.ts'

test.each([
  ['php-fpm8.2', 'php-fpm'],
  ['php-fpm8.4', 'php-fpm'],
  ['python3.11', 'python'],
  ['nsd: server 1', 'nsd: server'],
  ['7za', '7za'],
  ['nginx', 'nginx'],
  ['(sd-executor)', '(…)'],
  ['(time-dir)', '(…)'],
  // A name is cut at 15 bytes, its bracket with it.
  ['(systemd-hostna', '(…)'],
  ['8', '(…)'],
])('memoryName(%p) is %p', (name, key) => {
  expect(memoryName(name)).toBe(key)
})

test('isBeforeExec() is true of what systemd has not started yet', () => {
  expect(['(sd-pam)', '9', 'systemd'].map(isBeforeExec)).toEqual([true, true, false])
})

test.each(['bash', 'sh', 'python3', 'python3.13', 'perl5.36', 'java'])(
  'isInterpreter(%p)',
  (name) => {
    expect(isInterpreter(name)).toBe(true)
  },
)

test.each(['sshd', 'bashtop', 'node', 'nginx'])('isInterpreter(%p) is false', (name) => {
  expect(isInterpreter(name)).toBe(false)
})
