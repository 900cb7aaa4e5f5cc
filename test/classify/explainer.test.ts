/** The reasons of alerts in the real pipeline over the recorded host. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import { readCallLevels } from '../../src/domain/call-levels.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { LAB, openTestAgent, recordingOutput } from '../support/open-agent.ts'

let state = ''
const told: AlertMessage[] = []
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'explainer-'))
  const model = await openModelInUse(undefined, state)
  const agent = openTestAgent(model, state, { outputs: [recordingOutput(told)] })
  await runAgent(agent, openFiles([LAB], {}), {}, new AbortController().signal)
  await agent.close()
  await model.close()
}, 60_000)
afterAll(() => rmSync(state, { recursive: true, force: true }))

test('a reason says how often its call was made in each second of the window', () => {
  const opened = told.filter(({ state }) => state === 'open')
  expect(opened.length).toBeGreaterThan(1)
  for (const { why } of opened) {
    expect(why.length).toBeGreaterThan(0)
    for (const { seen, seconds } of why) {
      if (seen === 0) expect(seconds ?? '0000000000').toMatch(/^0*$/)
      else {
        const levels = readCallLevels(seconds!)!
        expect(levels).toHaveLength(10)
        expect(Math.max(...levels)).toBeGreaterThan(0)
      }
    }
    // What is seen most has the darkest second.
    const most = why.reduce((a, b) => (b.seen > a.seen ? b : a))
    const darkest = (text = '') => Math.max(0, ...(readCallLevels(text) ?? []))
    for (const { seconds } of why)
      expect(darkest(most.seconds)).toBeGreaterThanOrEqual(darkest(seconds) - 2)
  }
})

test('later messages of the alert keep them', () => {
  const updated = told.find(({ state }) => state === 'update')
  expect(updated?.why.some(({ seconds }) => seconds !== undefined)).toBe(true)
})
