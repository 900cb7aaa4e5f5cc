/**
 * The built binary, for tests that use the agent as a stranger would. `AGENT` names one
 * (scripts/test.sh has just built it); else dist/agent is built anew when a source is younger, so
 * that nobody tests yesterday's.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const checkout = join(import.meta.dir, '../..')
const standard = join(checkout, 'dist/agent')
let built: string | undefined

export function agentBinary(): string {
  built ??= process.env.AGENT ?? (isFresh() ? standard : build())
  return built
}

function isFresh(): boolean {
  const at = statSync(standard, { throwIfNoEntry: false })?.mtimeMs
  if (at === undefined) return false
  // One pattern each: within braces Bun's (1.4.5) finds nothing where one has a slash.
  const sources = ['src', 'models/default', 'models/recordings/demo'].flatMap((folder) => [
    ...new Bun.Glob(`${folder}/**/*`).scanSync(checkout),
  ])
  const single = ['scripts/build.ts', 'package.json', 'bun.lock']
  for (const path of [...single, ...sources])
    if (statSync(join(checkout, path)).mtimeMs > at) return false
  return true
}

/** Several test processes may build at once: each builds aside and renames. */
function build(): string {
  const aside = mkdtempSync(join(checkout, '.build-'))
  try {
    const out = join(aside, 'agent')
    const run = Bun.spawnSync([process.execPath, 'scripts/build.ts', '--out', out], {
      cwd: checkout,
    })
    if (!run.success) throw new Error(`Cannot build the agent: ${run.stderr}${run.stdout}`)
    mkdirSync(join(checkout, 'dist'), { recursive: true })
    renameSync(out, standard)
    return standard
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** The whole environment but PATH and HOME; nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string
  /** A run that takes longer is killed, and its code is 137. */
  readonly limitMs?: number
}

/** Runs the binary to its end. */
export async function runAgent(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runProgram([agentBinary(), ...args], options)
}

export async function runProgram(
  command: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const { env = {}, cwd = '/', stdin, limitMs = 60_000 } = options
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: '/nonexistent', ...env },
    stdin: stdin === undefined ? 'ignore' : new TextEncoder().encode(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: limitMs,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, stdout, stderr }
}
