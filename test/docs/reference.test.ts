/**
 * docs/reference against the code: the generated pages word by word, the others by what they must
 * mention.
 */
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { referencePages } from '../../scripts/reference.ts'
import { Counter } from '../../src/count/counter.ts'
import { FramesLineParser } from '../../src/parse/frames-line.ts'
import { readHappenings } from '../../src/train/data/scenarios.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const temporary = temporaryDirectories()
const page = (name: string) => readFileSync(`docs/reference/${name}`, 'utf8')
const examples = (name: string) =>
  [...page(name).matchAll(/```json\n(.*)\n```/g)].map(([, line]) => line!)

for (const [name, text] of await referencePages())
  test(`docs/reference/${name} is what "bun scripts/reference.ts" writes`, () =>
    expect(page(name)).toBe(text))

test('topics.md has every topic', () => {
  const topics = Object.values(agentTopics('<site>', '<host>'))
  expect(topics.filter((topic) => !page('topics.md').includes(`\`${topic}\``))).toEqual([])
})

test('topics.md has every field of the messages', () => {
  for (const message of ['status', 'summary', 'receipt']) {
    const source = readFileSync(`src/wire/${message}-message.ts`, 'utf8')
    const fields = [...source.matchAll(/fields\.(?:\w+)\('(\w+)'/g)].map(([, field]) => field!)
    expect(fields.length).toBeGreaterThan(0)
    expect(fields.filter((field) => !page('topics.md').includes(`\`${field}\``))).toEqual([])
  }
})

test('api.md has every path and parameter', () => {
  const source = readFileSync('src/aggregator/api.ts', 'utf8')
  const known = [...source.matchAll(/new Parameters\(given, \[([^\]]*)\]/g)]
  expect(known.length).toBeGreaterThan(3)
  for (const [, list] of known)
    for (const [, name] of list!.matchAll(/'(\w+)'/g))
      expect(page('api.md')).toContain(`\`${name}\``)
  for (const [, what] of source.matchAll(/what === '(\w+)'/g))
    expect(page('api.md')).toContain(`/api/v1/${what}`)
})

describe('formats.md', () => {
  test('has examples of frames that are read', () => {
    const lines = examples('formats.md').filter((line) => line.includes('"t":'))
    expect(lines).toHaveLength(2)
    const counter = new Counter()
    const parser = new FramesLineParser(counter)
    for (const line of lines) {
      const bytes = new TextEncoder().encode(line)
      parser.line(bytes, 0, bytes.length)
    }
    counter.end()
    const { counted, dropped } = counter.ledger()
    expect(counted).toBe(15)
    expect(dropped).toEqual({ 'lost(sysdig)': 1200 })
  })

  test('has an example of a scenario that is read', async () => {
    const [line] = examples('formats.md').filter((line) => line.includes('"scenario"'))
    const path = `${temporary()}/x.scenarios.ndjson`
    await Bun.write(path, line!)
    expect(await readHappenings(path)).toHaveLength(1)
  })
})
