import { describe, expect, test } from 'bun:test'
import { createLog, parseLogLevel } from '../../src/platform/log.ts'

function capture(options: { level?: 'debug' | 'info' | 'warn' | 'error'; json?: boolean } = {}) {
  const lines: string[] = []
  const log = createLog({ ...options, write: (line) => lines.push(line), now: () => 0 })
  return { log, lines }
}

describe('createLog()', () => {
  test('writes time, level, words and fields on one line', () => {
    const { log, lines } = capture()
    log.warn('sysdig restarted', { attempt: 2, why: 'exit 1', unset: undefined })
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z warn  sysdig restarted attempt=2 why="exit 1"\n',
    ])
  })

  test('keeps a hostile name from moving the cursor or forging a line', () => {
    const { log, lines } = capture()
    log.info('Process renamed', { name: 'a\u001b[2Jb\nerror: forged' })
    expect(lines[0]).not.toContain('\u001b')
    expect(lines[0]!.split('\n')).toHaveLength(2)
  })

  test('is silent below its level', () => {
    const { log, lines } = capture({ level: 'error' })
    log.debug('a')
    log.info('b')
    log.warn('c')
    expect(lines).toEqual([])
    log.error('d')
    expect(lines).toHaveLength(1)
  })

  test('writes one JSON object a line when asked', () => {
    const { log, lines } = capture({ json: true })
    log.info('Started', { pid: 1, name: 'a"b' })
    expect(JSON.parse(lines[0]!)).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      message: 'Started',
      pid: 1,
      name: 'a"b',
    })
  })
})

test('parseLogLevel() takes the four levels in any case and nothing else', () => {
  expect(parseLogLevel('DEBUG')).toBe('debug')
  expect(parseLogLevel('warn')).toBe('warn')
  expect(parseLogLevel('loud')).toBeUndefined()
  expect(parseLogLevel(undefined)).toBeUndefined()
})

test('for the journal a line has a priority and no time of its own', () => {
  const lines: string[] = []
  const log = createLog({ journal: true, write: (line) => lines.push(line) })
  log.warn('Something', { of: 'note' })
  log.error('Worse')
  expect(lines).toEqual(['<4>Something of=note\n', '<3>Worse\n'])
})
