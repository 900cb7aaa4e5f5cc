/**
 * Attacks the built agent and prints what came of each attack; exit code 1 where one succeeded.
 * `run` beside it makes the namespaces.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  BLINDINGS,
  blind,
  EVASIONS,
  evade,
  type Range,
  type Row,
  STOPPED,
  stopCollector,
} from './attacks.ts'
import { forge } from './forgery.ts'
import { AGENT, WatchedHost } from './host.ts'

const HELP = `sudo sh scripts/attack/run [--only TEXT] [--list] [--repeat N]

Attacks dist/agent (or AGENT=FILE) as users without privileges, in a network and mounts of its own.
  --only TEXT   only attacks with this text in their name; may be repeated
  --repeat N    each N times
  --list        their names`

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    repeat: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    directory: { type: 'string', default: '/mnt' },
  },
})

const FORGERIES = 'forged and replayed messages on a broker'
const isChosen = (name: string) =>
  values.only.length === 0 || values.only.some((text) => name.includes(text))
const blindings = BLINDINGS.filter(({ name }) => isChosen(name))
const evasions = EVASIONS.map((group) => group.filter(({ name }) => isChosen(name))).filter(
  ({ length }) => length > 0,
)

if (values.help) console.log(HELP)
else if (values.list)
  console.log(
    [...BLINDINGS, ...EVASIONS.flat()].map(({ name }) => name).join('\n'),
    `\n${STOPPED}\n${FORGERIES}`,
  )
else process.exitCode = await attackAll()

async function attackAll(): Promise<number> {
  const { directory } = values
  if (!existsSync(AGENT)) throw new Error(`Cannot find "${AGENT}": bun run build`)
  const compiled = join(directory, 'attacks')
  const source = join(import.meta.dir, 'attacks.c')
  const compiler = Bun.spawnSync(['cc', '-O1', '-o', compiled, source])
  if (!compiler.success) throw new Error(`Cannot compile ${source}: ${compiler.stderr}`)
  const rows: Row[] = []
  const show = (more: readonly Row[]) => {
    for (const row of more) console.log(line(row))
    rows.push(...more)
  }
  console.log(line({ attack: 'attack', found: 'found', note: 'more', passed: true }, 'blind'))
  for (let round = 0; round < Number(values.repeat); round++) {
    if (blindings.length + evasions.length > 0 || isChosen(STOPPED)) {
      const host = new WatchedHost(directory, round)
      try {
        await host.ready()
        const range: Range = { host, directory, compiled }
        for (const blinding of blindings) show([await blind(range, blinding)])
        for (const group of evasions) show(await evade(range, group))
        if (isChosen(STOPPED)) show([await stopCollector(range)])
      } finally {
        await host.stop()
      }
    }
    if (isChosen(FORGERIES)) show(await forge(directory, round))
  }
  const failed = rows.filter(({ passed }) => !passed).length
  console.log(`\n${rows.length - failed} of ${rows.length} as they should be`)
  return failed === 0 ? 0 : 1
}

function line({ attack, found, blind, passed, note }: Row, blindTitle = '-'): string {
  const share = blind === undefined ? blindTitle : `${(100 * blind).toFixed(1)} %`
  const mark = blindTitle === 'blind' ? '' : passed ? 'ok' : 'FAILED'
  return `${attack.padEnd(66)} ${found.padEnd(12)} ${share.padStart(7)} ${mark.padEnd(7)} ${note}`
}
