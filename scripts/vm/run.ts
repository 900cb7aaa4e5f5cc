/**
 * `scripts/vm/run WHAT…`: tries the built agent on other kernels, by emulation. WHAT is a check, a
 * check of one machine (`conservation@trixie`), `all`, `list` or `table`.
 *
 * Each result goes into results.json; the last thing printed is the table of what ran. Exit code 1
 * if an expectation was not met.
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
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CHECKS, type Check, checkOf } from './checks.ts'
import { agentBinary, compilePrograms } from './guest-programs.ts'
import { imageOf } from './image.ts'
import { MACHINES, type Machine, machineOf } from './machines.ts'
import { resultsTable } from './platforms-page.ts'
import { output, run } from './programs.ts'
import { makeReleases } from './releases.ts'
import { factsIn, keepResult, passed, type Result, readResults } from './results.ts'
import { boot, type Ended } from './virtual-machine.ts'

const checkout = join(import.meta.dir, '../..')
const CACHE = process.env.VM_CACHE ?? join(checkout, '.cache/vm')

async function main(words: readonly string[]): Promise<number> {
  if (words.length === 0 || words.includes('--help')) {
    console.log('usage: scripts/vm/run CHECK[@MACHINE]… | all | list | table | build [MACHINE…]')
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
    for (const name of named) await imageOf(machineOf(name), join(CACHE, name))
    return 0
  }
  const wanted = words[0] === 'all' ? CHECKS.map(({ name }) => name) : words
  const results: Result[] = []
  for (const word of wanted) {
    const [name = '', only] = word.split('@')
    const check = checkOf(name)
    for (const machine of only === undefined ? check.machines : [only]) {
      const result = await perform(check, machineOf(machine))
      keepResult(result)
      results.push(result)
    }
  }
  console.log(resultsTable(results))
  return results.every(passed) ? 0 : 1
}

async function perform(check: Check, machine: Machine): Promise<Result> {
  say(`${check.name}@${machine.name}`)
  const directory = join(CACHE, machine.name)
  const image = await imageOf(machine, directory)
  const work = join(directory, 'run')
  const share = join(work, 'share')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(share, { recursive: true })
  await furnishShare(check, machine, share)
  // Writes go into a layer of their own, which lasts for the boots of this check.
  const disk = join(work, 'disk.qcow2')
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image.disk, disk])
  const ends: Ended[] = []
  for (const options of check.boots) {
    writeFileSync(join(share, 'output'), '')
    const ended = await boot(machine, image, disk, share, options)
    ends.push(ended)
    appendFileSync(join(work, 'output'), readFileSync(join(share, 'output')))
    process.stdout.write(readFileSync(join(share, 'output'), 'utf8'))
    const { code, upHostSeconds, seconds, why } = ended
    say(`up after ${upHostSeconds?.toFixed(0)} s, over after ${seconds.toFixed(0)} s, code ${code}`)
    if (code !== 0) {
      appendFileSync(join(share, 'facts'), `not_ok ${why ?? `the script ended with ${code}`}\n`)
      break
    }
  }
  rmSync(disk)
  return resultOf(check, machine, share, ends)
}

/** The guest's /host. Large files are links: the same disk has them. */
async function furnishShare(check: Check, machine: Machine, share: string): Promise<void> {
  await compilePrograms(machine, share)
  const binary = await agentBinary(machine, checkout)
  linkSync(binary, join(share, 'agent'))
  if (check.releases === true)
    for (const release of await makeReleases(binary, checkout, join(CACHE, 'releases')))
      await run(['cp', '--recursive', '--link', release, share])
  const guest = join(import.meta.dir, 'guest')
  for (const name of readdirSync(guest)) copyFileSync(join(guest, name), join(share, name))
  writeFileSync(join(share, 'facts'), '')
}

async function resultOf(
  check: Check,
  machine: Machine,
  share: string,
  ends: readonly Ended[],
): Promise<Result> {
  const facts = factsIn(readFileSync(join(share, 'facts'), 'utf8'))
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
    seconds: Math.round(ends.reduce((sum, { seconds }) => sum + seconds, 0)),
  }
}

function say(text: string): void {
  process.stderr.write(`vm: ${text}\n`)
}

if (!existsSync(CACHE)) mkdirSync(CACHE, { recursive: true })
process.exitCode = await main(process.argv.slice(2))
