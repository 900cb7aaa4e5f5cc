import { expect, test } from 'bun:test'
import { EventHub, type EventHubOptions } from '../../src/aggregator/events.ts'

function hub(options: EventHubOptions = {}): EventHub {
  return new EventHub({ run: 'r', ...options })
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text()
}

test('EventHub.open() begins with what was missed, in order, each once', async () => {
  const events = hub()
  for (let i = 1; i <= 4; i++) events.publish('alert', `{"n":${i}}`)
  const stream = events.open('r-2')!
  events.publish('host', '{"n":5}')
  events.close()
  const text = await readAll(stream)
  expect(text.match(/"n":\d/g)).toEqual(['"n":3', '"n":4', '"n":5'])
  expect(text).toContain('id: r-5\nevent: host\ndata: {"n":5}\n\n')
})

test.each([
  ['another run', 'x-2'],
  ['a number of the future', 'r-99'],
  ['rubbish', 'r-2-3; drop'],
  ['nothing', ''],
  ['what is no longer kept', 'r-1'],
])('EventHub.open() answers %s with a reset', async (_, id) => {
  const events = hub({ keptMax: 2 })
  for (let i = 1; i <= 4; i++) events.publish('alert', `{"n":${i}}`)
  const stream = events.open(id)!
  events.close()
  const text = await readAll(stream)
  expect(text).toContain('event: reset')
  expect(text).not.toContain('"n"')
})

test('EventHub.open() gives a new page no history', async () => {
  const events = hub()
  events.publish('alert', '{"n":1}')
  const stream = events.open(null)!
  events.close()
  expect(await readAll(stream)).toBe('retry: 1000\nid: r-1\nevent: hello\ndata: {}\n\n')
})

test('EventHub lets go of a page that does not read, and of no other', async () => {
  const events = hub({ backlogBytesMax: 500 })
  const slow = events.open(null)!
  const quick = events.open(null)!
  const reader = quick.getReader()
  await reader.read()
  for (let i = 0; i < 20; i++) {
    events.publish('alert', JSON.stringify({ filler: 'x'.repeat(60) }))
    await reader.read()
  }
  expect(events.streams).toBe(1)
  await slow.cancel()
  await reader.cancel()
  expect(events.streams).toBe(0)
  events.close()
})

test('EventHub.open() refuses more streams than it may hold', () => {
  const events = hub({ streamsMax: 2 })
  events.open(null)
  events.open(null)
  expect(events.open(null)).toBeUndefined()
  events.close()
})
