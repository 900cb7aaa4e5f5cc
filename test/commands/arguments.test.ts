import { describe, expect, test } from 'bun:test'
import type { ArgsDef } from 'citty'
import { parseCall } from '../../src/commands/arguments.ts'
import { listOf, wholeNumber } from '../../src/commands/common.ts'
import { AgentError } from '../../src/domain/error.ts'

const args = {
  file: { type: 'positional', required: true, description: '' },
  state: { type: 'string', description: '' },
  falseAlarmsPerDay: { type: 'string', description: '' },
  json: { type: 'boolean', description: '' },
  out: { type: 'string', alias: 'o', description: '' },
} satisfies ArgsDef
const many = {
  files: { type: 'positional', required: true, valueHint: 'FILE…', description: '' },
} satisfies ArgsDef

const parse = (...words: string[]): Record<string, unknown> => ({
  ...parseCall('agent x', args, words).args,
})

function failure(body: () => unknown): AgentError {
  try {
    body()
  } catch (error) {
    if (error instanceof AgentError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('parseCall()', () => {
  test('reads flags in both spellings, wherever they stand', () => {
    const parsed = parse('--state', '/a', 'in.txt', '--json', '--false-alarms-per-day=2', '-o', 'x')
    expect(parsed.file).toBe('in.txt')
    expect(parsed.state).toBe('/a')
    expect(parsed.falseAlarmsPerDay).toBe('2')
    expect(parsed.json).toBe(true)
    expect(parsed.out).toBe('x')
  })

  test('a lone - is a value and a positional, not a flag', () => {
    expect(parse('-').file).toBe('-')
    expect(parse('f', '--state', '-').state).toBe('-')
  })

  test('what follows -- is never a flag', () => {
    expect(parse('--json', '--', '--state').file).toBe('--state')
  })

  test.each([
    [['f', '--jsn'], 'Unknown flag "--jsn" for "agent x"', '"--json"'],
    [['f', '-z'], 'Unknown flag "-z" for "agent x"', '--help'],
    [['f', '--state'], '--state needs a value', '--help'],
    [['f', '--state', '--json'], '--state needs a value', '--help'],
    [['f', '--state='], '--state needs a value', '--help'],
    [['f', '--json=perhaps'], '--json takes no value', '--help'],
    [['f', 'g'], 'Unexpected argument "g"', '--help'],
    [[], 'Missing required positional argument: FILE', '--help'],
  ])('%j is wrong usage: %s', (words, message, hint) => {
    const error = failure(() => parse(...words))
    expect(error.code).toBe('ERR_USAGE')
    expect(error.message).toBe(message)
    expect(error.hint).toContain(hint)
  })

  test('a positional with … takes any number', () => {
    expect(parseCall('agent x', many, ['a', 'b', 'c']).args._).toEqual(['a', 'b', 'c'])
  })
})

test('listOf() takes all values of a flag, also repeated', () => {
  const words = ['--train', 'a', 'b', '--runs', '2', '--train=c', '--test', 'd']
  expect(listOf(words, 'train')).toEqual(['a', 'b', 'c'])
  expect(listOf(words, 'test')).toEqual(['d'])
  expect(listOf(words, 'none')).toEqual([])
})

test('wholeNumber() refuses what is none', () => {
  expect(wholeNumber(undefined, 'runs')).toBeUndefined()
  expect(wholeNumber('7', 'runs')).toBe(7)
  for (const text of ['7.5', 'x', '', '-1', '1e3'])
    expect(() => wholeNumber(text, 'runs')).toThrow(AgentError)
})
