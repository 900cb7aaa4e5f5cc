/**
 * The simulated attacks that need a program of their own: parts of this one, started by attack.ts.
 * Each ends after SIMULATION_SECONDS_MAX, whatever becomes of who started it.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { SIMULATED_FILES, SIMULATION_SECONDS_MAX } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import { connectQuietly } from '../platform/loopback.ts'

const LINE = 'Minutes of a meeting, generated for this simulation.\n'
const PORTS = 20_000

/** @param argument the directory to work in, or the port to connect to */
export async function runPart(part: string, argument: string, clock: Clock): Promise<void> {
  const endMs = clock.monotonic() + SIMULATION_SECONDS_MAX * 1000
  const goesOn = () => clock.monotonic() < endMs
  if (part === 'file-encryption') return await replaceFiles(argument, goesOn)
  if (part === 'network-scan') return await scan(goesOn)
  if (part === 'crypto-miner') return await compute(Number(argument), goesOn)
  throw new AgentError('ERR_USAGE', `Cannot simulate part "${part}": there is none`)
}

/**
 * Makes files, then replaces each by one that cannot be read, as an encryptor does; starts over
 * when all are.
 */
async function replaceFiles(directory: string, goesOn: () => boolean): Promise<void> {
  while (goesOn()) {
    for (let i = 0; i < SIMULATED_FILES; i++)
      writeFileSync(join(directory, `report-${i}.txt`), LINE.repeat(40 + (i % 200)))
    for (const name of readdirSync(directory)) {
      if (!goesOn()) return
      const path = join(directory, name)
      const plain = readFileSync(path)
      const key = randomBytes(plain.length)
      writeFileSync(
        `${path}.locked`,
        plain.map((byte, i) => byte ^ key[i]!),
      )
      unlinkSync(path)
      renameSync(`${path}.locked`, path)
      await Bun.sleep(3)
    }
  }
}

async function scan(goesOn: () => boolean): Promise<void> {
  for (let port = 1; goesOn(); port = (port % PORTS) + 1) {
    await connectQuietly(port)
    if (port % 20 === 0) await Bun.sleep(20)
  }
}

async function compute(port: number, goesOn: () => boolean): Promise<void> {
  const connection = await connectQuietly(port, { keep: true })
  const message = Buffer.from(poolMessage('submit'))
  let state = 1
  while (goesOn()) {
    for (let i = 0; i < 200_000_000; i++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    connection?.write(message)
    await Bun.sleep(1)
  }
  connection?.end()
}

/**
 * A line of the protocol of mining pools. Put together here: a phrase in the program's text would
 * stand in the memory of every agent.
 */
export function poolMessage(method: 'notify' | 'submit'): string {
  return `{"id":1,"method":"${['mining', method].join('.')}","params":["simulated"]}\n`
}
