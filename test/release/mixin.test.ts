/**
 * The rules for Prometheus and the dashboard for Grafana: Prometheus' own tool accepts them and runs
 * their tests, and they ask for metrics and labels that the programs have.
 */
import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../support/agent-binary.ts'
import { has } from '../support/release.ts'

const mixin = join(import.meta.dir, '../../packaging/mixin')
const rulesText = readFileSync(join(mixin, 'rules.yaml'), 'utf8')
const dashboard = JSON.parse(readFileSync(join(mixin, 'dashboard.json'), 'utf8')) as {
  panels: { title: string; targets?: { expr: string }[] }[]
}
const rules = (
  Bun.YAML.parse(rulesText) as { groups: { rules: { alert: string; expr: string }[] }[] }
).groups.flatMap(({ rules }) => rules)
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
const known = new Set(
  [...readFileSync('docs/reference/metrics.md', 'utf8').matchAll(/^\| `(\w+)`/gm)].map(
    ([, name]) => name!,
  ),
)
/** Of Prometheus itself and of node_exporter. */
const OTHERS = ['node_textfile_mtime_seconds']

test('there is something to test', () => {
  expect(rules.length).toBeGreaterThan(15)
  expect(queries.length).toBeGreaterThan(20)
  expect(known.size).toBeGreaterThan(60)
})

test.each(rules.map(({ alert, expr }) => [alert, expr]))(
  'rule %s asks for metrics that there are',
  (_, expr) => {
    for (const [name] of expr.matchAll(/\b(?:callsign|node|process)_\w+/g))
      expect([...known, ...OTHERS]).toContain(name)
  },
)

test('the dashboard asks for metrics that there are', () => {
  for (const expr of queries)
    for (const [name] of expr.matchAll(/\b(?:callsign|process)_\w+/g))
      expect(known, expr).toContain(name)
})

describe.skipIf(!has('promtool'))('promtool', () => {
  test('accepts the rules', async () => {
    const { code, stdout, stderr } = await runProgram(
      ['promtool', 'check', 'rules', '--lint-fatal', join(mixin, 'rules.yaml')],
      {},
    )
    expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' })
  })

  test('finds that each rule fires and is silent when it should', async () => {
    const { code, stdout, stderr } = await runProgram(
      ['promtool', 'test', 'rules', join(mixin, 'tests.yaml')],
      { cwd: mixin },
    )
    expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' })
  })

  test('parses every query of the dashboard', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mixin-'))
    try {
      const asRules = queries.map((expr, i) => ({ record: `query:${i}`, expr }))
      const file = join(folder, 'queries.json')
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: asRules }] }))
      const { code, stdout, stderr } = await runProgram(['promtool', 'check', 'rules', file], {})
      expect({ code, output: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, output: '' })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
