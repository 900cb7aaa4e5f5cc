/**
 * `scripts/vm/run WHAT…`: tries the built agent on other kernels, by emulation, and with the systemd
 * and programs of other releases, in containers. WHAT is a check, a check of one machine
 * (`conservation@trixie`), a machine (`@trixie`), `all`, `list` or `table`.
 *
 * Checks that can share a boot do. Each result goes into results.json; the last thing printed is
 * the table of what ran. Exit code 1 if an expectation was not met.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CHECKS, type Check } from './checks.ts'
import { bootHere } from './container.ts'
import { agentBinary, compilePrograms } from './guest-programs.ts'
import { imageOf, rootOf } from './image.ts'
import { MACHINES, type Machine, machineOf } from './machines.ts'
import { type Group, groupsOf } from './plan.ts'
import { resultsTable } from './platforms-page.ts'
import { output, run } from './programs.ts'
import { makeReleases } from './releases.ts'
import { factsIn, keepResult, passed, type Result, readResults } from './results.ts'
import { boot, type Ended } from './virtual-machine.ts'

const checkout = join(import.meta.dir, '../..')
const CACHE = process.env.VM_CACHE ?? join(checkout, '.cache/vm')
/** Limits of this host's time: until the first check begins, and for each script. */
const BOOT_SECONDS = 600
const SCRIPT_SECONDS = 2_400

async function main(words: readonly string[]): Promise<number> {
  if (words.length === 0 || words.includes('--help')) {
    console.log(
      'usage: scripts/vm/run CHECK[@MACHINE]… | @MACHINE | all | list | table | build [MACHINE…]',
    )
    return words.length === 0 ? 2 : 0
  }
  if (words[0] === 'list') {
    for (const { name, what, machines } of CHECKS)
      console.log(`${name.padEnd(26)}${what} (${machines.join(', ')})`)
    return 0
  }
  if (words[0] === 'table') {
    console.log(resultsTable(readResults()))
    return 0
  }
  if (words[0] === 'build') {
    const named = words.length > 1 ? words.slice(1) : MACHINES.map(({ name }) => name)
    for (const machine of named.map(machineOf))
      await (machine.here === true ? rootOf : imageOf)(machine, join(CACHE, machine.name))
    return 0
  }
  const results: Result[] = []
  for (const group of groupsOf(words)) results.push(...(await perform(group)))
  console.log(resultsTable(results))
  return results.every(passed) ? 0 : 1
}

async function perform({ machine, checks }: Group): Promise<Result[]> {
  say(`${checks.map(({ name }) => name).join(' ')} on ${machine.name}`)
  const directory = join(CACHE, machine.name)
  const image = await (machine.here === true ? rootOf : imageOf)(machine, directory)
  const work = join(directory, 'run')
  const share = join(work, 'share')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(share, { recursive: true })
  await furnishShare(checks, machine, share)
  // Writes go into a layer of their own, which lasts for the boots of this group.
  const layer = join(work, 'layer')
  if (typeof image === 'string') mkdirSync(layer)
  else await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image.disk, layer])
  const ends: Ended[] = []
  const [first] = checks
  for (const step of first!.scripts.keys()) {
    writeFileSync(join(share, 'output'), '')
    const limit = BOOT_SECONDS + checks.length * SCRIPT_SECONDS
    const script = scriptOf(checks, step)
    const ended =
      typeof image === 'string'
        ? await bootHere(image, layer, share, script, limit, first!.boot)
        : await boot(machine, image, layer, share, script, limit, first!.boot)
    ends.push(ended)
    appendFileSync(join(work, 'output'), readFileSync(join(share, 'output')))
    process.stdout.write(readFileSync(join(share, 'output'), 'utf8'))
    const { upHostSeconds, seconds, why } = ended
    say(`up after ${upHostSeconds?.toFixed(0)} s, over after ${seconds.toFixed(0)} s ${why ?? ''}`)
    if (noteFailures(checks, share, why)) break
  }
  rmSync(layer, { recursive: true })
  const results: Result[] = []
  for (const check of checks) {
    const result = await resultOf(check, machine, share, ends)
    keepResult(result)
    results.push(result)
  }
  return results
}

/** The checks one after the other, each with a directory and facts of its own. */
function scriptOf(checks: readonly Check[], step: number): string {
  const parts = checks.map(({ name }) => {
    const there = `/host/${name}`
    return `
echo '=== ${name}'
mkdir -p /root/${name}
cd /root/${name}
echo >${there}/began
FACTS=${there}/facts bash ${there}/script-${step} 2>&1 | tee -a ${there}/output
echo "\${PIPESTATUS[0]}" >${there}/code
${checks.length > 1 ? 'pkill -9 -x --ns $$ --nslist mnt agent; rm -rf /tmp/*' : ''}`
  })
  return `export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n${parts.join('\n')}\n`
}

/** What did not end, or not well, is a fact of its check. @returns whether there was such */
function noteFailures(checks: readonly Check[], share: string, why: string | undefined): boolean {
  let failed = false
  for (const { name } of checks) {
    const code = textIn(join(share, name, 'code'))?.trim()
    rmSync(join(share, name, 'code'), { force: true })
    if (code === '0') continue
    failed = true
    const words =
      code === undefined ? (why ?? 'it did not come to its end') : `the script ended with ${code}`
    appendFileSync(join(share, name, 'facts'), `not_ok ${words}\n`)
  }
  return failed
}

function textIn(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

/** The guest's /host. Large files are links: the same disk has them. */
async function furnishShare(
  checks: readonly Check[],
  machine: Machine,
  share: string,
): Promise<void> {
  await compilePrograms(machine, share)
  const binary = await agentBinary(machine, checkout)
  linkSync(binary, join(share, 'agent'))
  if (checks.some(({ releases }) => releases === true))
    for (const release of await makeReleases(binary, checkout, join(CACHE, 'releases')))
      await run(['cp', '--recursive', '--link', release, share])
  const guest = join(import.meta.dir, 'guest')
  for (const name of readdirSync(guest)) copyFileSync(join(guest, name), join(share, name))
  for (const { name, scripts } of checks) {
    mkdirSync(join(share, name))
    for (const [step, script] of scripts.entries())
      writeFileSync(join(share, name, `script-${step}`), script)
    writeFileSync(join(share, name, 'facts'), '')
  }
}

async function resultOf(
  check: Check,
  machine: Machine,
  share: string,
  ends: readonly Ended[],
): Promise<Result> {
  const facts = factsIn(readFileSync(join(share, check.name, 'facts'), 'utf8'))
  const one = (name: string) => facts.get(name)?.at(-1)
  const number = (name: string) => {
    const value = one(name)
    return value === undefined ? {} : { [name]: Number(value) }
  }
  const version = new TextDecoder().decode(
    await output([join(checkout, 'dist/agent'), '--version']),
  )
  const alert = one('alert')
  return {
    machine: machine.name,
    check: check.name,
    kernel: one('kernel') ?? 'unknown',
    architecture: machine.architecture,
    source: check.source,
    date: new Date().toISOString().slice(0, 10),
    agent: version.trim().replace(/^agent /, ''),
    ...number('made'),
    ...number('counted'),
    ...(alert === undefined ? {} : { alert }),
    notes: facts.get('note') ?? [],
    met: facts.get('ok')?.length ?? 0,
    unmet: facts.get('not_ok') ?? [],
    bootSeconds: Math.round(ends[0]?.upHostSeconds ?? 0),
    seconds: secondsOf(join(share, check.name), ends),
  }
}

/** This host's seconds: of a shared boot the check's own part. */
function secondsOf(directory: string, ends: readonly Ended[]): number {
  const [began, output] = ['began', 'output'].map((name) => join(directory, name))
  if (ends.length > 1 || !existsSync(began!) || !existsSync(output!))
    return Math.round(ends.reduce((sum, { seconds }) => sum + seconds, 0))
  return Math.round((statSync(output!).mtimeMs - statSync(began!).mtimeMs) / 1000)
}

function say(text: string): void {
  process.stderr.write(`vm: ${text}\n`)
}

if (!existsSync(CACHE)) mkdirSync(CACHE, { recursive: true })
process.exitCode = await main(process.argv.slice(2))
