/**
 * A PostgreSQL of the test's own, from the distribution's packages (scripts/test.sh installs them):
 * a directory in the temporary folder, a free port of loopback, ended with the test. The server
 * refuses to run as root, so that root starts it as the user `postgres`.
 */
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQL } from 'bun'
import { freePort } from './brokers.ts'

const VERSIONS = '/usr/lib/postgresql'

/** Where initdb and postgres are; undefined where they are not installed. */
export const postgresBin = existsSync(VERSIONS)
  ? readdirSync(VERSIONS)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(VERSIONS, version, 'bin'))
      .find((bin) => existsSync(join(bin, 'initdb')))
  : undefined

export interface TestPostgres {
  /** Of a database that nothing has been stored in. */
  database(): Promise<string>
  /** As a crash of the machine's memory does: no process of it gets a word in. */
  kill(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

export async function startPostgres(): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'postgres-'))
  const data = join(directory, 'data')
  const port = await freePort()
  const asRoot = process.geteuid?.() === 0
  if (asRoot) {
    const [uid, gid] = ownerOf('postgres')
    chownSync(directory, uid, gid)
  }
  const command = (...args: string[]): string[] => {
    const [program, ...rest] = args
    const whole = [join(postgresBin!, program!), ...rest]
    return asRoot
      ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', ...whole]
      : whole
  }
  const made = Bun.spawnSync(
    command('initdb', '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8'),
    { cwd: directory },
  )
  if (!made.success) throw new Error(String(made.stderr))
  const url = (name: string) => `postgres://postgres@127.0.0.1:${port}/${name}`
  let child: Bun.Subprocess | undefined
  let databases = 0

  const answers = async (): Promise<boolean> => {
    const sql = new SQL({ url: url('postgres'), max: 1, connectionTimeout: 2 })
    try {
      await sql.unsafe('SELECT 1')
      return true
    } catch {
      return false
    } finally {
      await sql.close({ timeout: 0 }).catch(() => {})
    }
  }
  const start = async (): Promise<void> => {
    const settings = [
      'listen_addresses=127.0.0.1',
      `port=${port}`,
      `unix_socket_directories=${directory}`,
    ]
    child = Bun.spawn(command('postgres', '-D', data, ...settings.flatMap((one) => ['-c', one])), {
      cwd: directory,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    })
    for (let i = 0; !(await answers()); i++) {
      if (i > 400) throw new Error('PostgreSQL does not answer')
      await Bun.sleep(25)
    }
  }
  const kill = async (): Promise<void> => {
    // Its helpers end by themselves when the postmaster is gone; the next start waits for them.
    child?.kill('SIGKILL')
    await child?.exited
    child = undefined
  }
  await start()
  return {
    async database() {
      const name = `test_${++databases}`
      const sql = new SQL({ url: url('postgres'), max: 1 })
      await sql.unsafe(`CREATE DATABASE ${name}`)
      await sql.close()
      return url(name)
    },
    kill,
    start,
    async close() {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function ownerOf(name: string): [uid: number, gid: number] {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  if (gid === undefined) throw new Error(`There is no user "${name}"`)
  return [Number(uid), Number(gid)]
}
