/**
 * The agent's own metrics: from the real pipeline over the recorded host, in agreement with what
 * `agent status` says, and in a form that Prometheus takes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentMetrics } from '../../src/agent/metrics.ts'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import type { StatusDocument } from '../../src/agent/status-document.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { LAB, openTestAgent } from '../support/open-agent.ts'

let state = ''
let status: StatusDocument
const seen: StatusDocument[] = []

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'metrics-'))
  const model = await openModelInUse(undefined, state)
  const agent = openTestAgent(model, state)
  const outcome = await runAgent(
    agent,
    openFiles([LAB], {}),
    { onStatus: (status) => seen.push(status) },
    new AbortController().signal,
  )
  status = outcome.status
  await agent.close()
  await model.close()
}, 60_000)
afterAll(() => rmSync(state, { recursive: true, force: true }))

/** Value of a sample, by its whole name with labels. */
const value = (text: string, sample: string): number => {
  const line = text.split('\n').find((line) => line.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1))
}

describe('agentMetrics()', () => {
  test('says what the status says', () => {
    const text = agentMetrics(status)
    expect(value(text, 'callsign_agent_calls_total')).toBe(status.observed.calls)
    expect(value(text, 'callsign_agent_windows_judged_total')).toBe(status.detection.judged)
    expect(value(text, 'callsign_agent_alerts_total{result="opened"}')).toBe(
      status.detection.alerts.opened,
    )
    expect(status.detection.alerts.opened).toBeGreaterThan(1)
    expect(value(text, 'callsign_agent_last_second_timestamp_seconds')).toBe(status.lastFrame)
    expect(text).toContain(`model="${status.model.slice(0, 16)}"`)
  })

  test('counts open alerts by severity and certainty, as many as the ledger has', () => {
    const text = agentMetrics(status)
    const open = [...text.matchAll(/^callsign_agent_alerts_open\{.*\} (\d+)$/gm)]
    expect(open).toHaveLength(8)
    const sum = open.reduce((total, [, count]) => total + Number(count), 0)
    expect(sum).toBe(status.detection.alerts.open)
    // The recording's miner and encryptor are found, and the host goes on: both are open.
    expect(
      value(text, 'callsign_agent_alerts_open{severity="critical",certainty="confirmed"}'),
    ).toBeGreaterThan(0)
  })

  test('has no name of a process and no path', () => {
    const text = agentMetrics(status)
    for (const word of ['nginx', 'xmrig', state]) expect(text).not.toContain(word)
  })

  test('reads the document of an older agent, which has no open alerts and no sight', () => {
    const { sight: _, detection, ...rest } = status
    const { openAlerts: __, ...older } = detection
    const text = agentMetrics({ ...rest, detection: older })
    expect(
      value(text, 'callsign_agent_alerts_open{severity="critical",certainty="confirmed"}'),
    ).toBe(0)
  })

  test('runAgent() hands over each document that it saves, the last one at the end', () => {
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.at(-1)).toEqual(status)
  })

  test.skipIf(Bun.which('promtool') === null)('passes promtool check metrics', async () => {
    const child = Bun.spawn(['promtool', 'check', 'metrics'], {
      stdin: new TextEncoder().encode(agentMetrics(status)),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const said = await new Response(child.stderr).text()
    expect({ said, code: await child.exited }).toEqual({ said: '', code: 0 })
  })
})
