/** The agent's own sandbox, for real: a program that confined itself tries to get out. */
import { describe, expect, test } from 'bun:test'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { landlockVersion } from '../../../src/platform/linux/landlock.ts'
import { callFilter } from '../../../src/platform/linux/seccomp.ts'
import { runProgram } from '../../support/agent-binary.ts'
import { temporaryDirectories } from '../../support/temporary.ts'

const directory = temporaryDirectories()
const program = join(import.meta.dir, '../../fixtures/programs/confined.ts')
const hasLandlock = landlockVersion() > 0

async function confined(...port: string[]): Promise<Record<string, unknown>> {
  const home = directory()
  const state = join(home, 'state')
  mkdirSync(state)
  writeFileSync(join(home, 'secret'), 'x')
  const { stdout, stderr } = await runProgram([process.execPath, program, state, ...port])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

describe('the sandbox', () => {
  test('lets the agent do its work, and refuses calls that it never makes', async () => {
    expect(await confined()).toMatchObject({
      unfiltered: '',
      writeState: 'ok',
      readProc: 'ok',
      readLibraries: 'ok',
      runSelf: 0,
      packetSocket: -1,
      localSocket: true,
      trace: -1,
      unshare: -1,
    })
  })

  test.skipIf(!hasLandlock)(
    'keeps files that are not its own out of reach, also of root',
    async () => {
      expect(await confined()).toMatchObject({
        writeOutside: 'EACCES',
        readOutside: 'EACCES',
        readShadow: 'EACCES',
        writeCron: 'EACCES',
        runOther: 'EACCES',
      })
    },
  )
})

describe('the sandbox of the aggregator', () => {
  /** Two ports in a row that somebody listens on, and one that is free. */
  function twoPorts() {
    const socket = { data() {} }
    for (let port = 30_000; port < 32_000; port += 3) {
      try {
        const own = Bun.listen({ hostname: '127.0.0.1', port, socket })
        return {
          port,
          listeners: [own, Bun.listen({ hostname: '127.0.0.1', port: port + 1, socket })],
        }
      } catch {
        // Somebody else's: the next ones.
      }
    }
    throw new Error('no ports')
  }

  test('runs no program, not even itself, and goes on', async () => {
    const { port, listeners } = twoPorts()
    const found = await confined(String(port))
    for (const listener of listeners) listener.stop()
    expect(found).toMatchObject({
      ...{ unfiltered: '', writeState: 'ok', connectOwn: 'ok', listenFree: 'ok' },
      ...{ trace: -1, unshare: -1 },
    })
    expect(found.runSelf).not.toBe(0)
    if (landlockVersion() >= 4)
      expect(found).toMatchObject({ connectOther: 'EACCES', listenOther: 'EACCES' })
  })
})

describe('callFilter()', () => {
  test.each(['x86_64', 'arm64'] as const)('of %s fits into the jumps of a filter', (machine) => {
    const instructions = callFilter(machine).length / 8
    expect(instructions).toBeGreaterThan(120)
    expect(instructions).toBeLessThan(255)
  })
})
