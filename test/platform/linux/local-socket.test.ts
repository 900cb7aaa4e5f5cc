import { describe, expect, test } from 'bun:test'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { openBroadcast, readBroadcast } from '../../../src/platform/linux/local-socket.ts'
import { temporaryDirectories } from '../../support/temporary.ts'
import { until } from '../../support/until.ts'

const newDirectory = temporaryDirectories()

/** Reads into a list; settles when the stream has ended. */
function collect(path: string, lineBytesMax = 1_000) {
  const lines: string[] = []
  const quit = new AbortController()
  const done = (async () => {
    for await (const line of readBroadcast(path, lineBytesMax, quit.signal)) lines.push(line)
  })()
  return { lines, done, quit: () => quit.abort() }
}

describe('openBroadcast()', () => {
  test('sends each line to all who look, from the next line on, and only to its own user', async () => {
    const path = join(newDirectory(), 'live.sock')
    const sender = openBroadcast(path, 4)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    sender.send('nobody looks')
    const one = collect(path)
    const two = collect(path)
    await until('both', () => sender.viewers === 2)
    sender.send('first')
    sender.send('second')
    await until('both lines', () => one.lines.length === 2 && two.lines.length === 2)
    expect(one.lines).toEqual(['first', 'second'])
    one.quit()
    await one.done
    await until('one that left', () => sender.viewers === 1)
    sender.close()
    await two.done
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
  })

  test('turns away who comes when all places are taken', async () => {
    const path = join(newDirectory(), 'live.sock')
    const sender = openBroadcast(path, 1)
    const one = collect(path)
    await until('the first', () => sender.viewers === 1)
    const two = collect(path)
    await two.done
    expect(two.lines).toEqual([])
    sender.send('still')
    await until('a line', () => one.lines.length === 1)
    sender.close()
    await one.done
  })

  test('a viewer that does not read misses lines, and holds up nobody', async () => {
    const path = join(newDirectory(), 'live.sock')
    const sender = openBroadcast(path, 2)
    const deaf = createConnection(path)
    deaf.pause()
    const one = collect(path, 200_000)
    await until('both', () => sender.viewers === 2)
    const line = 'x'.repeat(100_000)
    for (let i = 1; i <= 50; i++) {
      sender.send(line)
      await until('the line', () => one.lines.length >= Math.ceil(i / 2))
    }
    deaf.destroy()
    sender.close()
    await one.done
    for (const got of one.lines) expect(got).toHaveLength(100_000)
  })

  test('takes no notice of what a viewer says', async () => {
    const path = join(newDirectory(), 'live.sock')
    const sender = openBroadcast(path, 2)
    const loud = createConnection(path)
    await until('it', () => sender.viewers === 1)
    loud.write('x'.repeat(1_000_000))
    const one = collect(path)
    await until('both', () => sender.viewers === 2)
    sender.send('line')
    await until('a line', () => one.lines.length === 1)
    loud.destroy()
    sender.close()
    await one.done
  })

  test('takes over what a killed agent left behind', () => {
    const path = join(newDirectory(), 'live.sock')
    writeFileSync(path, '')
    openBroadcast(path, 1).close()
  })

  test('works where the path is too long for a socket’s name', async () => {
    const directory = join(newDirectory(), 'd'.repeat(120))
    mkdirSync(directory)
    const path = join(directory, 'live.sock')
    const sender = openBroadcast(path, 1)
    const one = collect(path)
    await until('it', () => sender.viewers === 1)
    sender.send('far')
    await until('a line', () => one.lines[0] === 'far')
    sender.close()
    await one.done
  })
})

describe('readBroadcast()', () => {
  test('refuses a line that is longer than it may be', async () => {
    const path = join(newDirectory(), 'live.sock')
    const sender = openBroadcast(path, 1)
    const one = collect(path, 10)
    await until('it', () => sender.viewers === 1)
    sender.send('x'.repeat(1_000))
    await expect(one.done).rejects.toThrow('longer')
    sender.close()
  })
})
