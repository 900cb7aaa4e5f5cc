/**
 * Every command ends soon after SIGINT or SIGTERM, whatever it is doing, and leaves its output
 * whole: there, or not there. A signal during the start counts as well; the kernel source executes
 * the program anew then.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentBinary } from '../support/agent-binary.ts'
import { fixturePath } from '../support/fixture.ts'
import { refusal } from '../support/kernel.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const RECORDING = fixturePath('frames/lab-98s.frames.ndjson.zst')
/** A second on an idle host; tests run on busy ones, and what ignores a signal never ends. */
const ENDS_WITHIN_MS = 20_000

setDefaultTimeout(60_000)

/** How a command ended that was sent a signal so long after its start, and what it had written. */
async function interrupted(words: readonly string[], signal: NodeJS.Signals, afterMs: number) {
  const home = directory()
  const child = Bun.spawn([agentBinary(), ...words], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, AGENT_STATE: join(home, 'state') },
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  await Bun.sleep(afterMs)
  child.kill(signal)
  const overdue = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS)
  await child.exited
  clearTimeout(overdue)
  return { code: child.exitCode, by: child.signalCode, home }
}

test('SIGHUP makes a service read its settings again, tells what waits for a restart, and goes on', async () => {
  const home = directory()
  const config = join(home, 'agent.toml')
  writeFileSync(config, 'cpu_max = 4\n')
  const child = Bun.spawn([agentBinary(), 'watch', '--source', '-'], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, AGENT_STATE: join(home, 's'), AGENT_CONFIG: config },
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const words = child.stderr.pipeThrough(new TextDecoderStream()).getReader()
  let told = ''
  const hear = async (awaited: string) => {
    while (!told.includes(awaited)) {
      const { value, done } = await words.read()
      if (done) throw new Error(`ended without "${awaited}": ${told}`)
      told += value
    }
  }
  await hear('Watching')
  writeFileSync(config, 'cpu_max = 2\nsite = "other"\n')
  child.kill('SIGHUP')
  await hear('settings=site')
  expect(told).toContain('Settings were read again changed=cpu_max')
  writeFileSync(config, 'cpu_max = "much"\n')
  child.kill('SIGHUP')
  await hear('those in use stay')
  child.stdin.end()
  expect([0, 1]).toContain(await child.exited)
})

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  test.each([
    ['train', ['train', RECORDING, '--out', 'model', '--epochs', '1000'], 1_500],
    ['train, reading', ['train', RECORDING, '--out', 'model'], 300],
    ['compare', ['compare', '--train', RECORDING, '--out', 'tables'], 1_500],
    ['evaluate', ['evaluate', RECORDING], 600],
    ['replay', ['replay', RECORDING, '--pace', 'real'], 2_000],
    ['watch of a pipe', ['watch', '--source', '-'], 700],
    ['record of a pipe', ['record', '--source', '-', '--out', 'frames.ndjson'], 400],
    ['count of a pipe', ['count', '-'], 400],
    ['aggregate', ['aggregate', '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'], 700],
    ['demo', ['demo', '--once'], 1_500],
  ])('ends %s', async (_, words, afterMs) => {
    const { by, home } = await interrupted(words, signal, afterMs)
    expect(by).not.toBe('SIGKILL')
    for (const out of ['model', 'tables']) expect(existsSync(join(home, out))).toBe(false)
    expect(readdirSync(home).filter((name) => /\.new-|callsign-/.test(name))).toEqual([])
  })

  test.skipIf(refusal !== undefined).each([100, 200, 300, 400, 500, 700, 900])(
    'ends watch in the kernel, %d ms after its start',
    async (afterMs) => {
      const { by } = await interrupted(['watch', '--source', 'kernel'], signal, afterMs)
      expect(by).not.toBe('SIGKILL')
    },
  )
})
