/**
 * `agent alerts`, `explain` and `allow` as a stranger calls them, on the state that a replay of the
 * demo's recording left. What is alerted there is the shipped model's business: expected is what
 * the replay itself said.
 */
import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const recording = join(root, 'models/recordings/demo/recording.frames.ndjson.zst')
const directory = temporaryDirectories()
/** Bun's own cache goes there. */
const home = directory()
let state = ''
/** The last word on each alert, newest last. */
let alerts: AlertMessage[] = []

function agent(...words: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [process.execPath, join(root, 'src/cli.ts'), ...words],
    { cwd: '/', env: { PATH: process.env.PATH, HOME: home }, timeout: 60_000 },
  )
  return { exitCode, out: stdout.toString(), said: stderr.toString() }
}

const objects = (text: string): AlertMessage[] =>
  text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))

function replay(into: string): AlertMessage[] {
  const { exitCode, out, said } = agent(
    ...['replay', recording, '--only-host', 'ac', '--learn', '0s', '--state', into, '--json'],
  )
  expect(exitCode, said).toBe(10)
  return [...new Map(objects(out).map((alert) => [alert.id, alert])).values()]
}

beforeAll(() => {
  state = directory()
  alerts = replay(state)
  expect(alerts.length).toBeGreaterThan(1)
}, 60_000)

describe('agent alerts', () => {
  const listed = (...words: string[]) =>
    objects(agent('alerts', '--state', state, '--json', ...words).out)

  test('lists what was raised, newest first', () => {
    const ids = listed().map(({ id }) => id)
    expect([...ids].sort()).toEqual(alerts.map(({ id }) => id).sort())
    const times = listed().map(({ time }) => time)
    expect(times).toEqual([...times].sort((a, b) => b - a))
  })

  test('shows each on a line for people: id, severity, name', () => {
    const { out, exitCode } = agent('alerts', '--state', state)
    const lines = out.trimEnd().split('\n')
    expect(lines).toHaveLength(alerts.length)
    for (const { id, severity, process } of alerts) {
      const line = lines.find((text) => text.startsWith(id))
      expect(line).toContain(` ${severity} `)
      expect(line).toContain(`${process.name} (pid ${process.pid})`)
    }
    expect(exitCode).toBe(0)
  })

  test('--kind, --open and --limit take a part', () => {
    const { kind } = alerts[0]!
    expect(listed('--kind', kind).map((alert) => alert.kind)).toEqual(
      alerts.filter((alert) => alert.kind === kind).map((alert) => alert.kind),
    )
    expect(listed('--limit', '1')).toEqual(listed().slice(0, 1))
    // The recording is over, so all of them are.
    expect(listed('--open')).toEqual([])
    expect(agent('alerts', '--state', state, '--open').said).toBe('No alerts\n')
  })

  test('refuses a kind and a limit that are none, and says where there was no agent', () => {
    expect(agent('alerts', '--state', state, '--kind', 'virus')).toMatchObject({ exitCode: 2 })
    expect(agent('alerts', '--state', state, '--limit', '0')).toMatchObject({ exitCode: 2 })
    const { exitCode, said } = agent('alerts', '--state', join(directory(), 'none'))
    expect(said).toContain('No agent has run')
    expect(exitCode).toBe(4)
  })
})

describe('agent explain', () => {
  test('tells who, what it claims and behaves like, and which calls decided', () => {
    const alert = alerts.find(({ why }) => why.length > 0)!
    const { out, exitCode } = agent('explain', alert.id, '--state', state)
    expect(out).toContain(`${alert.id}, ${alert.kind}, ${alert.severity}, ${alert.certainty}`)
    expect(out).toContain(`${alert.process.name} (pid ${alert.process.pid})`)
    expect(out).toContain('Calls that decided')
    // Calls that hardly differ explain nothing.
    for (const { syscall, seen, expected } of alert.why)
      if (Math.abs(seen - expected) >= 0.01)
        expect(out).toMatch(new RegExp(`^ +${syscall} +\\d`, 'm'))
    expect(out).toMatch(/^ +\* \d\d:\d\d:\d\d +\d+ calls in \d+ s/m)
    expect(out).toContain(`agent allow ${alert.id}`)
    expect(exitCode).toBe(0)
  })

  test('takes the beginning of an id, and gives the whole alert as JSON', () => {
    const { id } = alerts[0]!
    const [told] = objects(agent('explain', id.slice(0, 12), '--state', state, '--json').out)
    expect(told).toMatchObject({ id, kind: alerts[0]!.kind, process: alerts[0]!.process })
  })

  test('says so where there is no such alert, or no telling which', () => {
    for (const id of ['ffffffffffffffffffff', '']) {
      const { exitCode, said } = agent('explain', id, '--state', state)
      expect(said).toMatch(/^(error: )?Cannot /m)
      expect([1, 2]).toContain(exitCode)
    }
  })
})

describe('agent allow', () => {
  test('what is allowed is not alerted; the rest is', () => {
    const { name } = alerts.find(({ kind }) => kind !== 'non-grata')!.process
    const fresh = directory()
    expect(agent('allow', name, '--reason', 'ours', '--state', fresh).said).toStartWith(
      `Allowed: ${name}`,
    )
    const names = replay(fresh).map(({ process }) => process.name)
    expect(names).not.toContain(name)
    expect(names.length).toBeGreaterThan(0)
  })

  test('lists rules with class, end and reason, and takes them back', () => {
    const fresh = directory()
    const rules = (...words: string[]) => agent('allow', ...words, '--state', fresh)
    rules('build', '--class', 'miner', '--until', '2099-01-31')
    rules('backup', '--reason', 'restic')
    const list = rules('--list').out
    expect(list).toMatch(/^build, while it behaves like miner, until 2099-01-31T00:00Z/m)
    expect(list).toMatch(/^backup, .*until removed +restic$/m)
    const told = rules('--list', '--json').out.trimEnd().split('\n')
    expect(told.map((line) => JSON.parse(line).name).sort()).toEqual(['backup', 'build'])
    expect(rules('build', '--remove').said).toStartWith('Removed: build, while it behaves')
    expect(rules('build', '--remove').exitCode).toBe(1)
    expect(rules('--list').out).not.toContain('build')
  })

  test('a rule without end is told as JSON, one for an hour ends in an hour', () => {
    const fresh = directory()
    const rule = (...words: string[]) =>
      JSON.parse(agent('allow', 'x', '--json', '--state', fresh, ...words).out)
    expect(rule()).toEqual({ name: 'x', made: expect.any(Number) })
    const { made, until } = rule('--until', '1h')
    expect(until - made).toBe(3600)
  })

  test('by the id of an alert it names all that the alert was about', () => {
    const { id, process } = alerts[0]!
    const rule = JSON.parse(agent('allow', id, '--json', '--state', state).out)
    expect(rule.name).toBe(process.name)
    expect(rule.class ?? rule.behaviour).toBeDefined()
    const covered = agent('allow', '--list', '--state', state).out
    expect(covered).toContain(process.name)
    agent('allow', process.name, '--remove', '--state', state)
  })

  test('--dry-run tells and changes nothing', () => {
    const fresh = directory()
    replay(fresh)
    const { out, said } = agent('allow', '--user', 'nobody', '--dry-run', '--state', fresh)
    expect(out).toBe('')
    expect(said).toContain('Would have suppressed 0')
    expect(agent('allow', '--list', '--state', fresh).said).toContain('There are no allow rules')
  })

  test.each([
    ['no name', []],
    ['a behaviour that is none', ['x', '--behaviour', 'rumour']],
    ['an end that is none', ['x', '--until', 'soon']],
    ['an empty name', ['']],
  ])('refuses %s', (_, words) => {
    const { exitCode, said } = agent('allow', ...words, '--state', directory())
    expect(said).toContain('Cannot ')
    expect(exitCode).toBe(2)
  })

  test('refuses a state directory that others can write to', () => {
    const { exitCode, said } = agent('allow', 'x', '--state', '/tmp')
    expect(said).toContain('Cannot use state directory "/tmp"')
    expect(exitCode).not.toBe(0)
  })
})

describe('agent label', () => {
  test('keeps the windows of an alert under what it really was, and trains on the bad ones', () => {
    const { id, process } = alerts.find(({ kind }) => kind !== 'novelty')!
    const label = (word: string) => agent('label', id, word, '--state', state, '--host', 'ac')
    expect(label('fine').said).toContain(`as "${process.name}"`)
    expect(label('restic').exitCode).toBe(0)
    expect(label('bad').exitCode).toBe(0)
    const lines = readFileSync(join(state, 'labelled.frames.ndjson'), 'utf8').trimEnd().split('\n')
    const frames = lines.map((line) => JSON.parse(line))
    expect(new Set(frames.map(({ pid }) => pid))).toEqual(new Set([process.pid]))
    expect(new Set(frames.map(({ host }) => host))).toEqual(new Set(['ac']))
    expect(frames.map((frame) => frame.label)).toContain('restic')
    const scenarios = readFileSync(join(state, 'labelled.scenarios.ndjson'), 'utf8')
    expect(JSON.parse(scenarios)).toMatchObject({ host: 'ac', kind: 'non-grata' })
  })

  test('refuses an alert that is not there', () => {
    expect(agent('label', 'ffff', 'fine', '--state', state).exitCode).toBe(1)
  })
})

describe('agent policy', () => {
  test('lists behaviours, changes one, and takes it back', () => {
    const fresh = directory()
    const policy = (...words: string[]) => agent('policy', ...words, '--state', fresh)
    const severity = () =>
      policy('--json')
        .out.trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
        .find(({ id }) => id === 'network-scan').severity
    expect(severity()).toBe('medium')
    expect(policy('network-scan', 'low', '--reason', 'the scanner').said).toContain('low')
    expect(severity()).toBe('low')
    expect(policy().out).toMatch(/^network-scan +low .*medium the scanner/m)
    policy('network-scan', '--reset')
    expect(severity()).toBe('medium')
  })

  test.each([
    ['a behaviour that is none', ['rumour', 'low']],
    ['a severity that is none', ['network-scan', 'mild']],
    ['no severity', ['network-scan']],
  ])('refuses %s', (_, words) => {
    const { exitCode, said } = agent('policy', ...words, '--state', directory())
    expect(said).toContain('Cannot ')
    expect(exitCode).toBe(2)
  })
})
