/**
 * `agent train`, `evaluate` and `model` as a person meets them: through the program, with its exit
 * codes.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '../../src/train/random.ts'
import { agentFromSource as agent } from '../support/cli-from-source.ts'

/** Some seconds of CPU, and a busy machine has little of it. */
setDefaultTimeout(180_000)

const directory = await mkdtemp(join(tmpdir(), 'train-command-'))
afterAll(() => rm(directory, { recursive: true }))

const frames = join(directory, 'made.frames.ndjson')
const random = new Random(8)
const lines: string[] = []
for (let t = 0; t < 480; t++)
  for (const [pid, name, call] of [
    [1, 'nginx', 'read'],
    [2, 'cron', 'close'],
    [3, 'redis', 'write'],
  ] as const)
    lines.push(
      JSON.stringify({
        t: 1_000 + t,
        host: 'h',
        pid,
        start: 1,
        name,
        counts: { [call]: 1 + random.below(9), futex: 1 },
      }),
    )
await writeFile(frames, `${lines.join('\n')}\nno line\n`)

test('train, verify, evaluate: the last line of --json holds the figures, and a bad line is a warning', async () => {
  const out = join(directory, 'model')
  const trained = await agent(
    'train',
    frames,
    '--out',
    out,
    '--epochs',
    '2',
    '--hidden',
    '8',
    '--json',
  )
  expect(trained.code).toBe(0)
  expect(trained.err).toMatch(/Warning: 1 lines of ".*" .*\(line 1441: it is no JSON\)/)
  const last = JSON.parse(trained.out.trim().split('\n').at(-1)!)
  expect(last).toMatchObject({ out, classes: 3, arch: 'simple' })
  expect(last.calibration.macroRecall).toBeGreaterThan(0.5)
  const verified = await agent('model', 'verify', out, '--json')
  expect(JSON.parse(verified.out)).toMatchObject({
    ok: true,
    id: last.id,
    signature: 'none',
    expired: false,
  })
  const evaluated = await agent('evaluate', '--model', out, frames, '--json')
  expect(evaluated.code).toBe(0)
  const figures = JSON.parse(evaluated.out)
  for (const key of [
    'macroPrecision',
    'macroRecall',
    'accuracy',
    'classes',
    'falseAlertsPerHostDay',
    'detection',
    'coverage',
    'ece',
  ])
    expect(figures[key], key).toBeDefined()
  // By sysdig, whose calls these all are, nothing changes; an unknown source is refused.
  const bySysdig = await agent(
    'evaluate',
    '--model',
    out,
    frames,
    '--as-source',
    'sysdig',
    '--json',
  )
  expect(JSON.parse(bySysdig.out).accuracy).toBe(figures.accuracy)
  const unknown = await agent('evaluate', '--model', out, frames, '--as-source', 'ftrace')
  expect(unknown.code).toBe(2)
  expect(unknown.err).toContain('must be one of kernel,')
})

test('train --forest: the model with trees beside its net is verified, evaluated and extended like any other', async () => {
  const out = join(directory, 'forest')
  const small = ['--epochs', '1', '--hidden', '8', '--json']
  const trained = await agent('train', frames, '--out', out, '--forest', '3', ...small)
  expect(trained.code).toBe(0)
  const card = await readFile(join(out, 'MODEL_CARD.md'), 'utf8')
  expect(card).toContain('--forest 3 --forest-weight')
  expect(card).toContain('## The forest beside the net')
  expect((await agent('model', 'verify', out)).code).toBe(0)
  const evaluated = await agent('evaluate', '--model', out, frames, '--json', '--no-detection')
  expect(JSON.parse(evaluated.out).accuracy).toBeGreaterThan(0.9)
  const grown = join(directory, 'forest-grown')
  const extended = await agent('train', frames, '--base', out, '--out', grown, '--epochs', '1')
  expect(extended.code).toBe(0)
  expect(JSON.parse(await readFile(join(grown, 'manifest.json'), 'utf8')).forest.trees).toBe(3)
})

test.each([
  [['--forest-weight', '0.5'], 'Cannot use --forest-weight without --forest'],
  [['--forest', '3', '--forest-weight', '1'], 'it must be a number between 0 and 1'],
  [['--forest', '3', '--forest-weight', 'half'], 'it must be a number between 0 and 1'],
  [['--forest', '5000'], '--forest'],
  [['--forest', '3', '--base', 'default'], 'Cannot use --forest with --base'],
])('train refuses %j', async (flags, message) => {
  const { code, err } = await agent('train', frames, '--out', join(directory, 'no'), ...flags)
  expect(code).toBe(2)
  expect(err).toContain(message)
})

test('train keeps the best epoch on Ctrl-C', async () => {
  const out = join(directory, 'interrupted')
  const child = Bun.spawn(
    [
      process.execPath,
      'src/cli.ts',
      'train',
      frames,
      '--out',
      out,
      '--epochs',
      '9999',
      '--hidden',
      '8',
    ],
    { stdout: 'pipe', stderr: 'pipe' },
  )
  let said = ''
  let told = false
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += chunk
    if (told || !said.includes('epoch  2/9999')) continue
    told = true
    child.kill('SIGINT')
  }
  expect(await child.exited).toBe(0)
  expect((await agent('model', 'verify', out)).code).toBe(0)
})

test('train --base: the model that came with the agent, and a program by its label; replay takes what comes out', async () => {
  const mine = join(directory, 'mine.frames.ndjson')
  const seconds = Array.from({ length: 200 }, (_, t) =>
    JSON.stringify({
      t: 5_000 + t,
      host: 'h',
      pid: 7,
      start: 4_900,
      name: 'python3',
      label: 'billing',
      counts: { epoll_wait: 2 + random.below(5), mremap: 1 + random.below(9), getpgid: 3 },
    }),
  )
  await writeFile(mine, seconds.join('\n'))
  const out = join(directory, 'grown')
  const trained = await agent('train', mine, '--base', 'default', '--out', out, '--json')
  expect(trained.err).not.toContain('Cannot')
  expect(trained.code).toBe(0)
  const last = JSON.parse(trained.out.trim().split('\n').at(-1)!)
  expect(last.classes).toBe(last.base.classes + 1)
  expect(last.base.kept).toBeGreaterThan(0.98)
  expect((await agent('model', 'verify', out)).code).toBe(0)
  const evaluated = await agent('evaluate', '--model', out, mine, '--json')
  expect(JSON.parse(evaluated.out).classes).toMatchObject([{ name: 'billing', recall: 1 }])
  const replayed = await agent('replay', mine, '--model', out, '--state', join(directory, 'state'))
  expect([0, 10]).toContain(replayed.code)
  expect(await readFile(join(out, 'MODEL_CARD.md'), 'utf8')).toContain(
    '## What it was extended from',
  )
})

test('train --frame adds seconds up, and the live pipeline does as the manifest says', async () => {
  const out = join(directory, 'longer')
  const shape = ['--frame', '2', '--sequence', '5', '--hidden', '8', '--epochs', '2']
  const trained = await agent('train', frames, '--out', out, ...shape)
  expect(trained.code).toBe(0)
  const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'))
  expect(manifest).toMatchObject({ frameMs: 2_000, sequenceFrames: 5 })
  const state = join(directory, 'longer-state')
  const replayed = await agent('replay', frames, '--model', out, '--state', state, '--json')
  expect([0, 10]).toContain(replayed.code)
  const evaluated = await agent('evaluate', '--model', out, frames, '--json')
  expect(JSON.parse(evaluated.out).macroRecall).toBeGreaterThan(0.5)
})

test.each<[string, string[], number, string]>([
  ['no frames', ['train', '--out', 'x'], 2, 'no frames file is given'],
  [
    'a file that is not there',
    ['train', '/nowhere.ndjson', '--out', 'x'],
    1,
    'Cannot read frames file',
  ],
  [
    'an unknown net',
    ['train', frames, '--out', 'x', '--arch', 'gru'],
    2,
    'it must be one of simple, bidirectional, inception',
  ],
  [
    'an unknown recipe',
    ['train', frames, '--out', 'x', '--features', 'magic'],
    2,
    'there is no such recipe',
  ],
  [
    'a net of its own beside a base',
    ['train', frames, '--out', 'x', '--base', 'default', '--arch', 'simple'],
    2,
    'Cannot use --arch with --base: net, features and frames are those of "default"',
  ],
  [
    'a base that is not there',
    ['train', frames, '--out', 'x', '--base', '/nowhere'],
    5,
    'Cannot read model file',
  ],
  [
    'a sequence longer than is kept of a process',
    ['train', frames, '--out', 'x', '--frame', '60'],
    2,
    'Cannot use --frame 60: 10 frames are 600 s, at most 300 s of a process are kept',
  ],
  ['no epochs', ['train', frames, '--out', 'x', '--epochs', '0'], 2, 'a whole number from 1'],
  ['no model', ['evaluate', '--model', '/nowhere', frames], 5, 'Cannot read model file'],
  [
    'an unknown part',
    ['evaluate', '--model', 'x', frames, '--part', 'all'],
    2,
    'it must be one of train, calibration, test',
  ],
  ['no model to verify', ['model', 'verify', '/nowhere'], 5, 'Cannot read model file'],
])('%s is said in one line with its exit code', async (_, words, code, message) => {
  const said = await agent(...words)
  expect(said.err).toContain(message)
  expect(said.code).toBe(code)
  expect(said.out).toBe('')
})
