/**
 * Parse and count of our own line: the agent against a plain C program, mawk and `wc -l` on the
 * same file in the same run, rounds interleaved, CPU time (medians); and what the agent costs
 * beside a live writer of one line per write(2). The file is three recorded seconds of a busy host,
 * again and again at later times.
 */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makePipe } from '../../src/platform/linux/libc.ts'
import { fixture } from '../support/fixture.ts'

const BYTES = 500e6
const ROUNDS = 3
const RATES = [10_000, 100_000, 300_000]
const LIVE_SECONDS = 10
const FIRST_SECOND = 1_795_426_328
const FIXTURE_SECONDS = 4

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!

export default {
  name: 'parse',
  async run(): Promise<string[]> {
    const directory = mkdtempSync(join(tmpdir(), 'bench-parse-'))
    try {
      const agent = agentCommand()
      return [...against(directory, agent), ...(await live(directory, agent))]
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

/** The built binary where there is one: from source its start is slower. */
function agentCommand(): string[] {
  const built = here('../../dist/agent')
  return existsSync(built) ? [built] : [process.execPath, here('../../src/cli.ts')]
}

function compiled(directory: string, name: string): string {
  const program = join(directory, name)
  const { exitCode, stderr } = Bun.spawnSync(['gcc', '-O2', '-o', program, here(`${name}.c`)])
  if (exitCode !== 0) throw new Error(`gcc: ${stderr}`)
  return program
}

/** CPU seconds of a command. */
function cpuSeconds(command: string[]): number {
  const { exitCode, resourceUsage } = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'ignore' })
  if (exitCode !== 0) throw new Error(`${command[0]} ended with ${exitCode}`)
  return Number(resourceUsage.cpuTime.total) / 1e6
}

function against(directory: string, agent: string[]): string[] {
  const file = join(directory, 'own.txt')
  const lineCount = writeInput(file)
  const mawk = '{ s = int($1 / 1e9); n[s " " $2 " " $4]++ } END { for (k in n) c++; print c }'
  const commands: [string, string[]][] = [
    ['agent count', [...agent, 'count', file, '--out', '/dev/null']],
    ['plain C', [compiled(directory, 'plain-count'), file]],
    ['mawk', ['mawk', mawk, file]],
    ['wc -l', ['wc', '-l', file]],
  ]
  const seconds = commands.map((): number[] => [])
  for (let round = 0; round < ROUNDS; round++) {
    // mawk once: it takes as long as all others together.
    commands.forEach(([name, command], i) => {
      if (name !== 'mawk' || round === 0) seconds[i]!.push(cpuSeconds(command))
    })
  }
  const plain = median(seconds[1]!)
  return [
    `${(lineCount / 1e6).toFixed(1)} M lines, ${BYTES / 1e6} MB`,
    ...commands.map(([name], i) => {
      const cpu = median(seconds[i]!)
      const ns = ((cpu / lineCount) * 1e9).toFixed(0)
      return `${name.padEnd(12)} ${cpu.toFixed(2)} s CPU, ${ns.padStart(3)} ns a line, ${(cpu / plain).toFixed(2)} × C`
    }),
  ]
}

function writeInput(file: string): number {
  const bytes = fixture('sysdig/lab.own.041.txt.gz')
  const lines = bytes.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0)
  const text = new TextDecoder('latin1').decode(bytes)
  const rounds = Math.ceil(BYTES / bytes.length)
  const descriptor = openSync(file, 'w')
  for (let round = 0; round < rounds; round++) {
    const shift = round * FIXTURE_SECONDS
    const later = text.replace(/^\d{10}/gm, (second) => String(Number(second) + shift))
    writeSync(descriptor, Buffer.from(later, 'latin1'))
  }
  closeSync(descriptor)
  return lines * rounds
}

async function live(directory: string, agent: string[]): Promise<string[]> {
  const pace = compiled(directory, 'pace')
  const one = join(directory, 'one.txt')
  await Bun.write(one, `${FIRST_SECOND}000000000 5 5 read x\n`)
  const startSeconds = cpuSeconds([...agent, 'count', one, '--out', '/dev/null'])
  const lines: string[] = []
  for (const rate of RATES) {
    const { readEnd, writeEnd } = makePipe()
    const writer = Bun.spawn([pace, String(rate), String(LIVE_SECONDS)], { stdout: writeEnd })
    const reader = Bun.spawn([...agent, 'count', '-', '--out', '/dev/null'], {
      stdin: readEnd,
      stdout: 'ignore',
      stderr: 'pipe',
    })
    closeSync(readEnd)
    closeSync(writeEnd)
    const said = await new Response(reader.stderr).text()
    await Promise.all([writer.exited, reader.exited])
    const cpu = Number(reader.resourceUsage()!.cpuTime.total) / 1e6 - startSeconds
    const counted = /= (\d+) counted/.exec(said)?.[1]
    const share = ((100 * cpu) / LIVE_SECONDS).toFixed(1)
    lines.push(`beside ${rate} lines/s, one write each: ${share} % of a core, ${counted} counted`)
  }
  return lines
}
