/**
 * Do the tests notice a fault? Changes one thing in one place of a room (a comparison, a sign, a
 * constant, a call that is left out), runs that room's tests, and lists the changes that no test
 * noticed.
 *
 *   bun scripts/mutate.ts [--rooms count,detect,publish,aggregator,model] [--per-room 40] [--seed
 *   1] [--minutes 20] [--nice 10] [--thresholds]
 *
 * With --thresholds each number of src/detect/thresholds.ts is moved instead, by a third up and down.
 *
 * Works in a copy below the temporary directory, one mutant at a time and at low priority. The same
 * seed gives the same mutants. Some survivors are no fault: they change nothing that can be seen,
 * or only what something costs.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { Glob } from 'bun'
import { mulberry32 } from '../test/support/frames.ts'

const checkout = join(import.meta.dir, '..')
const { values } = parseArgs({
  options: {
    rooms: { type: 'string', default: 'count,detect,publish,aggregator,model' },
    'per-room': { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '20' },
    nice: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
    thresholds: { type: 'boolean', default: false },
  },
})

interface Mutant {
  readonly file: string
  readonly line: number
  readonly from: number
  readonly to: number
  readonly before: string
  readonly after: string
}

/** Tests that a room's faults must be noticed by, the quick ones first. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  count: ['test/count'],
  detect: ['test/detect'],
  // Without the shipped model's figures, which take a minute.
  model: [
    ...['classifier', 'forest', 'malice-judge', 'model', 'normalise', 'row-set'],
    ...['sequencer', 'signature', 'trees', 'aliases', 'host-trees', 'adaptation'],
  ].map((name) => `test/model/${name}.test.ts`),
  publish: [
    'test/publish/outbox.test.ts',
    'test/publish/summariser.test.ts',
    'test/publish/aggregator-trust.test.ts',
    'test/publish/vectors-queue.test.ts',
    'test/publish/publisher.test.ts',
    'test/publish/waiting.test.ts',
  ],
  aggregator: ['test/aggregator'],
}
/** The page has tests of its own, in a browser. */
const LEFT_OUT = /\/dashboard\//
/**
 * A test run of a mutant that loops is ended after so many times the CPU time of the unchanged run,
 * and so many seconds of it: CPU time, because a busy machine would otherwise count as a fault that
 * was noticed. One that waits for ever is ended after WAIT_MAX_MS.
 */
const SLOWER = 4
const LIMIT_MIN_SECONDS = 30
const WAIT_MAX_MS = 900_000

const OPPOSITE: Readonly<Record<string, string>> = {
  ...{ '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' },
  ...{ '&&': '||', '||': '&&', '+': '-', '-': '+', '*': '/', '/': '*', '+=': '-=', '-=': '+=' },
}
/** The formatter puts blanks round each of them, and none into a type's brackets. */
const OPERATOR = /(?<= )(?:<=?|>=?|===|!==|&&|\|\||[-+*/]|[-+]=)(?= )/g
const NUMBER = /(?<![\w.#$'"-])\d[\d_]*(?:\.\d+)?(?:e\d+)?(?![\w.])/g
const CALL_ALONE =
  /^ +(?:await )?(?!super|return|throw|if|for|while|switch|assert|log\.|this\.#log)[\w.#?]+\(.*\)$/gm
/** Declarations that are gone when the program runs. */
const TYPES = /^(?:export )?(?:type|interface) [\s\S]*?\n(?=\n|\S)/gm

/** The text with as many blanks for comments, texts, patterns and types. */
function codeOf(text: string): string {
  const blank = (part: string) => part.replace(/[^\n]/g, '\u00a0')
  return text
    .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, blank)
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, blank)
    .replace(
      /(?<=[(=,:&|!?] ?)\/(?![ *])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/g,
      blank,
    )
    .replace(/^import [\s\S]*?from.*$/gm, blank)
    .replace(TYPES, blank)
}

function mutantsOf(file: string): Mutant[] {
  const text = readFileSync(join(checkout, file), 'utf8')
  const code = codeOf(text)
  const mutants: Mutant[] = []
  const add = (from: number, to: number, after: string) => {
    const line = text.slice(0, from).split('\n').length
    mutants.push({ file, line, from, to, before: text.slice(from, to), after })
  }
  const each = (pattern: RegExp, after: (found: string) => string | undefined) => {
    for (const match of code.matchAll(pattern)) {
      const changed = after(match[0])
      if (changed !== undefined) add(match.index, match.index + match[0].length, changed)
    }
  }
  each(OPERATOR, (operator) => OPPOSITE[operator])
  each(NUMBER, (number) => {
    const value = Number(number.replaceAll('_', ''))
    return String(Number.isInteger(value) ? value + 1 : value * 1.5)
  })
  each(/\btrue\b/g, () => 'false')
  each(/\bfalse\b/g, () => 'true')
  each(/\bMath\.min\b/g, () => 'Math.max')
  each(/\bMath\.max\b/g, () => 'Math.min')
  each(/\+\+/g, () => '--')
  each(/(?<=[(&|] ?)!(?=[\w(])/g, () => '')
  each(CALL_ALONE, () => ';')
  for (const { index } of code.matchAll(/\bif \(/g)) {
    const to = closing(code, index + 3)
    if (to !== undefined) add(index + 4, to, 'false')
  }
  return mutants
}

const THRESHOLDS = 'src/detect/thresholds.ts'

/** Each number by 30 % down and up; a whole one by one at least. */
function movedThresholds(): Mutant[] {
  const text = readFileSync(join(checkout, THRESHOLDS), 'utf8')
  return [...codeOf(text).matchAll(NUMBER)].flatMap(({ 0: before, index: from }) => {
    const value = Number(before.replaceAll('_', ''))
    const line = text.slice(0, from).split('\n').length
    return [0.7, 1.3].map((factor) => {
      const moved = value * factor
      const step = Math.max(1, Math.round(Math.abs(moved - value))) * Math.sign(factor - 1)
      const after = String(Number.isInteger(value) ? value + step : Number(moved.toPrecision(6)))
      return { file: THRESHOLDS, line, from, to: from + before.length, before, after }
    })
  })
}

/** Where the bracket at `from` is closed. */
function closing(code: string, from: number): number | undefined {
  let depth = 0
  for (let at = from; at < code.length; at++) {
    if (code[at] === '(') depth++
    else if (code[at] === ')' && --depth === 0) return at
  }
  return undefined
}

function drawn(mutants: Mutant[], count: number, random: () => number): Mutant[] {
  const left = [...mutants]
  const chosen: Mutant[] = []
  while (chosen.length < count && left.length > 0)
    chosen.push(left.splice(Math.floor(random() * left.length), 1)[0]!)
  return chosen
}

/** A copy to change: sources and tests; what is large is linked. */
function copyOfCheckout(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutate-'))
  for (const name of ['src', 'test', 'scripts', 'package.json', 'tsconfig.json'])
    cpSync(join(checkout, name), join(copy, name), { recursive: true, force: true })
  for (const name of ['node_modules', 'models', 'README.md', 'ARCHITECTURE.md', 'docs'])
    symlinkSync(join(checkout, name), join(copy, name))
  return copy
}

interface Run {
  readonly passed: boolean
  readonly cpuSeconds: number
}

async function runTests(tests: readonly string[], copy: string, cpuSeconds: number): Promise<Run> {
  const limits = ['prlimit', `--cpu=${Math.ceil(cpuSeconds)}`, 'nice', '-n', values.nice]
  const command = [...limits, process.execPath, 'test', '--bail', '--timeout', '300000', ...tests]
  const run = Bun.spawn(command, {
    ...{ cwd: copy, stdout: 'ignore', stderr: 'ignore' },
    env: { ...process.env, TEST_PATIENCE: '10' },
    ...{ timeout: WAIT_MAX_MS, killSignal: 'SIGKILL' as const },
  })
  const passed = (await run.exited) === 0
  return { passed, cpuSeconds: Number(run.resourceUsage()?.cpuTime.total ?? 0n) / 1e6 }
}

/** The test of the same name notices most faults, and is quick. */
async function isNoticed(room: string, mutant: Mutant, copy: string, cpuSeconds: number) {
  const own = readersOf(mutant)
    .map((file) => file.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts'))
    .filter((test) => existsSync(join(copy, test)))
  if (own.length > 0 && !(await runTests(own, copy, cpuSeconds)).passed) return true
  return !(await runTests(TESTS[room]!, copy, cpuSeconds)).passed
}

/** The file itself; of a threshold, those that read it. */
function readersOf({ file, from }: Mutant): string[] {
  if (file !== THRESHOLDS) return [file]
  const before = readFileSync(join(checkout, file), 'utf8').slice(0, from)
  const name = [...before.matchAll(/^export const (\w+)/gm)].at(-1)?.[1] ?? ''
  return [...new Glob('src/detect/*.ts').scanSync(checkout)].filter(
    (other) => other !== THRESHOLDS && readFileSync(join(checkout, other), 'utf8').includes(name),
  )
}

const endsAt = performance.now() + Number(values.minutes) * 60_000
const copy = copyOfCheckout()
let tried = 0
let killed = 0
try {
  for (const room of values.thresholds ? ['detect'] : values.rooms.split(',')) {
    const unchanged = await runTests(TESTS[room]!, copy, 3_600)
    if (!unchanged.passed) throw new Error(`The tests of ${room} fail without any mutant`)
    const limit = Math.max(LIMIT_MIN_SECONDS, SLOWER * unchanged.cpuSeconds)
    const files = [...new Glob(`src/${room}/**/*.ts`).scanSync(checkout)]
      .filter((file) => !LEFT_OUT.test(file) && !file.endsWith('.d.ts'))
      .sort()
    const random = mulberry32(Number(values.seed))
    const mutants = values.thresholds
      ? movedThresholds()
      : drawn(files.flatMap(mutantsOf), Number(values['per-room']), random)
    const survivors: Mutant[] = []
    let of = 0
    for (const mutant of mutants) {
      if (performance.now() > endsAt) break
      const path = join(copy, mutant.file)
      const text = readFileSync(path, 'utf8')
      writeFileSync(path, text.slice(0, mutant.from) + mutant.after + text.slice(mutant.to))
      const noticed = await isNoticed(room, mutant, copy, limit)
      writeFileSync(path, text)
      of += 1
      if (!noticed) {
        survivors.push(mutant)
        if (!values.json) console.log(described(mutant))
      }
    }
    tried += of
    killed += of - survivors.length
    const line = { room, tried: of, killed: of - survivors.length, survivors }
    console.log(values.json ? JSON.stringify(line) : `${room}: ${line.killed} of ${of} killed`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
if (!values.json)
  console.log(`${killed} of ${tried} killed: ${((100 * killed) / Math.max(1, tried)).toFixed(0)} %`)

function described({ file, line, before, after }: Mutant): string {
  const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, 60)
  return `  ${relative('.', file)}:${line}: ${short(before)} → ${after === ';' ? 'left out' : short(after) || 'nothing'}`
}
