/** What a host tells an aggregator that asks for the windows of an alert, and what it does not. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LABELLED_FRAMES, WindowsAnswers } from '../../src/agent/windows-answers.ts'
import { LocalStore } from '../../src/buffer/local-store.ts'
import { RollingBuffer } from '../../src/buffer/rolling-buffer.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { decodeWindowsAnswer, encodeWindowsRequest } from '../../src/wire/windows-message.ts'
import { labFrames } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert } from '../wire/samples.ts'

const directory = temporaryDirectories()
let frames: Frame[]
let local: LocalStore
let buffer: RollingBuffer
const state = directory()
beforeAll(async () => {
  frames = await labFrames()
  local = LocalStore.open(join(state, 'local.db'))
  buffer = RollingBuffer.open(join(state, 'frames.db'))
  for (const frame of frames) buffer.append(frame)
})
afterAll(() => {
  local.close()
  buffer.close()
})

let asked = 0
const ask = (id: string, changes: { host?: string; nonce?: string } = {}) => {
  const nonce = (++asked).toString(16).padStart(32, '0')
  return encodeWindowsRequest({ v: 1, site: 'lab', host: 'web', id, nonce, ...changes })
}

function answers(now = { ms: 0 }) {
  const labelled = join(state, LABELLED_FRAMES)
  return new WindowsAnswers({
    ...{ site: 'lab', host: 'web', alerts: local.alerts, buffer, labelled },
    nowMs: () => now.ms,
  })
}

function read(answer: Uint8Array | string) {
  if (typeof answer === 'string') throw new Error(answer)
  const decoded = decodeWindowsAnswer(answer)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value
}

/** An alert of the miner in the recording. */
function accuse(id: string, first: number, last: number) {
  const miner = frames.flatMap(({ processes }) => processes).find(({ name }) => name === 'xmrig')!
  const { pid, startMs, name } = miner
  const process = { pid, start: Math.floor(startMs / 1000), name }
  const evidence = { from: first, to: first + 9 }
  local.alerts.put([{ ...sampleAlert, id, incident: id, process, evidence, first, last }])
  return process
}

describe('WindowsAnswers', () => {
  test('gives the seconds of the accused process around its alert, and of nothing else', () => {
    const at = frames.findIndex(({ processes }) => processes.some(({ name }) => name === 'xmrig'))
    const first = frames[at]!.index + 2
    const process = accuse('miner', first, first + 14)
    const answer = read(answers().answer(ask('miner')))
    expect(answer).toMatchObject({ site: 'lab', host: 'web', id: 'miner', process, omitted: 0 })
    expect(answer.rows.length).toBeGreaterThan(10)
    expect(answer.rows[0]!.t).toBe(first - 2)
    expect(answer.rows.at(-1)!.t).toBeLessThanOrEqual(first + 14)
    expect(answer.rows.every(({ counts }) => counts.clock_nanosleep! > 0)).toBe(true)
  })

  test('answers each question once, for this host only, for an alert by its whole id', () => {
    const one = answers()
    const question = ask('miner')
    expect(one.answer(question)).toBeInstanceOf(Uint8Array)
    expect(one.answer(question)).toBe('answered')
    one.notSent(question)
    expect(one.answer(question)).toBeInstanceOf(Uint8Array)
    expect(one.answer(ask('miner', { host: 'db' }))).toBe('other-host')
    expect(one.answer(new Uint8Array([1, 2]))).toBe('not-json')
    for (const id of ['mine', 'nosuch'])
      expect(read(one.answer(ask(id)))).toMatchObject({ rows: [], trouble: 'unknown-alert' })
  })

  test('answers 64 questions a day', () => {
    const now = { ms: 0 }
    const one = answers(now)
    for (let n = 0; n < 64; n++) expect(one.answer(ask('nosuch'))).toBeInstanceOf(Uint8Array)
    expect(one.answer(ask('miner'))).toBe('too-many')
    now.ms = 86_400_001
    expect(one.answer(ask('miner'))).toBeInstanceOf(Uint8Array)
  })

  test('gives what was labelled where the buffer has moved on', () => {
    const long = frames.at(-1)!.index + 100_000
    const { pid, start } = accuse('gone', long, long + 20)
    expect(read(answers().answer(ask('gone')))).toMatchObject({ rows: [], trouble: 'not-kept' })
    const line = (t: number, changes: object = {}) =>
      JSON.stringify({ t, host: 'web', pid, start, name: 'xmrig', counts: { read: 2 }, ...changes })
    const lines = [line(long), line(long + 1, { counts: { nosuch: 1, read: 1 } }), '{"pid":']
    lines.push(line(long + 2, { start: 1 }), line(long + 999), line(long))
    writeFileSync(join(state, LABELLED_FRAMES), lines.join('\n'))
    expect(read(answers().answer(ask('gone'))).rows).toEqual([
      { t: long, counts: { read: 2 } },
      { t: long + 1, counts: { read: 1 } },
    ])
  })
})
