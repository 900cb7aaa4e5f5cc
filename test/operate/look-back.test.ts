/** An earlier second of a watched host, as `agent top --at` shows it, from what a real run left. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LiveDocument } from '../../src/agent/live-view.ts'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import { lookBack } from '../../src/operate/look-back.ts'
import { type Model, openModelInUse } from '../../src/operate/models.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { LAB, openTestAgent, recordingOutput } from '../support/open-agent.ts'

let state = ''
let model: Model
let span: { from: number; to: number }
const told: AlertMessage[] = []
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'look-back-'))
  model = await openModelInUse(undefined, state)
  const agent = openTestAgent(model, state, { outputs: [recordingOutput(told)] })
  await runAgent(agent, openFiles([LAB], {}), {}, new AbortController().signal)
  span = agent.stages.buffer.span()!
  await agent.close()
}, 60_000)
afterAll(async () => {
  await model.close()
  rmSync(state, { recursive: true, force: true })
})

const find = ({ processes }: LiveDocument, pid: number) =>
  processes.find((process) => process.pid === pid)

describe('lookBack()', () => {
  test('shows what ran at that second, and what it behaved like', async () => {
    const miner = told.find(({ process }) => process.name === 'xmrig')!
    const document = await lookBack(state, model, miner.time)
    expect(document.time).toBe(miner.time)
    expect(document.processes.length).toBeGreaterThan(10)
    const row = find(document, miner.process.pid)!
    expect(row).toMatchObject({ name: 'xmrig', suspicion: 1 })
    expect(row.class).toBe(miner.predicted.class)
    expect(document.agent).toMatchObject({ host: 'h', source: 'kernel' })
  })

  test('accuses nobody before the alert began', async () => {
    const first = Math.min(...told.map(({ first }) => first))
    const { processes, agent } = await lookBack(state, model, first - 1)
    expect(processes.filter(({ suspicion }) => suspicion > 0)).toEqual([])
    expect(agent.alertsOpen).toBe(0)
  })

  test('accuses no later process with the pid of an accused one', async () => {
    const miner = told.find(({ process }) => process.name === 'xmrig')!
    const { processes } = await lookBack(state, model, miner.time)
    const other = processes.find(({ suspicion, pid }) => suspicion === 0 && pid > 0)!
    const local = LocalStore.open(join(state, 'local.db'))
    const subject = { ...miner.process, pid: other.pid, start: other.start - 3_600 }
    const earlier = { ...miner, id: '0123456789abcdef', process: subject }
    expect(local.alerts.put([earlier], undefined)).toBe(true)
    local.close()
    expect(find(await lookBack(state, model, miner.time), other.pid)).toMatchObject({
      suspicion: 0,
    })
  })

  test.each([
    ['before the buffer', () => span.from - 10],
    ['after it', () => span.to + 10],
  ])('%s: says what the buffer holds', async (_, second) => {
    await expect(lookBack(state, model, second())).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: expect.stringContaining('the buffer holds'),
    })
  })

  test('without a buffer says so', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'empty-'))
    await expect(lookBack(empty, model, span.to)).rejects.toMatchObject({ code: 'ERR_INPUT' })
    rmSync(empty, { recursive: true })
  })
})
