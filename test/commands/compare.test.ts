/**
 * `agent compare` as a person meets it: through the program, with what it writes and its exit
 * codes.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '../../src/train/random.ts'
import { agentFromSource as agent } from '../support/cli-from-source.ts'

/** Some seconds of CPU, and a busy machine has little of it. */
setDefaultTimeout(180_000)

const directory = await mkdtemp(join(tmpdir(), 'compare-command-'))
afterAll(() => rm(directory, { recursive: true }))

const frames = join(directory, 'made.frames.ndjson')
const random = new Random(8)
const lines: string[] = []
// Long enough for 30 blocks of each: what fewer have is no class.
for (let t = 0; t < 450; t++)
  for (const [pid, name, call] of [
    [1, 'nginx', 'read'],
    [2, 'cron', 'close'],
  ] as const) {
    const counts = { [call]: 1 + random.below(9), futex: 1 }
    lines.push(JSON.stringify({ t: 1_000 + t, host: 'h', pid, start: 1, name, counts }))
  }
await writeFile(frames, `${lines.join('\n')}\n`)

test('compare prints one object, writes table, figures and pictures, and says on stderr how far it is', async () => {
  const out = join(directory, 'tables')
  const said = await agent(
    ...['compare', '--train', frames, '--runs', '2', '--models', 'lr,rf', '--json', '--out', out],
  )
  expect(said.err).toContain('6 of 6: Random Forest, random, run 2: precision 1.000')
  expect(said.code).toBe(0)
  const printed = JSON.parse(said.out)
  expect(printed).toMatchObject({ split: 'time', classes: 2, runs: 2 })
  expect(printed.splits.map(({ split }: { split: string }) => split)).toEqual(['time', 'random'])
  expect(printed.rows[1]).toMatchObject({ model: 'Random Forest', precision: { mean: 1, sd: 0 } })
  expect((await readdir(out)).sort()).toEqual([
    'compare.json',
    'compare.md',
    'compare.svg',
    'histogram.svg',
  ])
  expect(JSON.parse(await readFile(join(out, 'compare.json'), 'utf8'))).toEqual(printed)
})

test('compare with --test is one table, named after it', async () => {
  const out = join(directory, 'other')
  const said = await agent(
    ...['compare', '--train', frames, '--test', frames, '--models', 'svm', '--runs', '1'],
    ...['--out', out],
  )
  expect(said.code).toBe(0)
  expect(said.out).toContain("the paper's Table II")
  expect(said.out).toContain('| Linear SVM | 1.000 (0) | 1.000 (0) |')
  expect(await readdir(out)).toContain('compare-file.md')
})

test.each<[string, string[], string]>([
  ['an unknown split', ['--split', 'odd'], 'it must be time or random'],
  ['a split beside --test', ['--split', 'time', '--test', frames], 'the files define the split'],
  ['an unknown model', ['--models', 'lr,gru'], 'Cannot compare model "gru"'],
  ['no runs', ['--runs', '0'], 'a whole number from 1'],
])('%s is said in one line, a usage error', async (_, words, message) => {
  const said = await agent('compare', '--train', frames, ...words)
  expect(said.err).toContain(message)
  expect(said.code).toBe(2)
  expect(said.out).toBe('')
})
