/**
 * docs/operate-a-fleet.md, followed: its commands are run as they stand, with the built binary against
 * mosquitto and PostgreSQL. Only names are replaced (addresses by loopback, `sudo` and `systemctl` by
 * programs that do what they would for this test), and what serves runs beside the rest.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { until } from '../aggregator/running.ts'
import { agentBinary } from '../support/agent-binary.ts'
import { freePort, mosquitto, startMosquitto } from '../support/brokers.ts'
import { hasOpenssl, makeCertificates } from '../support/certificates.ts'
import { ownLines } from '../support/lines.ts'
import { longMiner } from '../support/long-miner.ts'
import { postgresBin, startPostgres } from '../support/postgres.ts'
import { namedModel } from '../support/pushed-model.ts'
import { sampleAlert } from '../wire/samples.ts'

const tools = ['mosquitto_sub', 'mosquitto_pub', 'curl', 'openssl'].map((name) => Bun.which(name))
const canFollow =
  hasOpenssl && mosquitto !== null && postgresBin !== undefined && !tools.includes(null)

const folder = mkdtempSync(join(tmpdir(), 'operate-'))
const ends: (() => unknown)[] = []
const lasting: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(async () => {
  for (const end of lasting.splice(0).reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
})

/** The `sh` blocks of each section, by its title. */
const sections = new Map(
  readFileSync('docs/operate-a-fleet.md', 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!)
      return [section.split('\n')[0]!, blocks] as const
    }),
)

const bin = join(folder, 'bin')
function prepare(): void {
  for (const name of ['agent.toml', 'aggregate.log', 'agent.log'])
    writeFileSync(join(folder, name), '', { mode: 0o600 })
  if (existsSync(bin)) return
  mkdirSync(bin)
  mkdirSync(join(folder, 'stick'))
  symlinkSync(agentBinary(), join(bin, 'agent'))
  const program = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  // Also of another user: here everything is one's own.
  program('sudo', '[ "$1" = -u ] && shift 2\nexec "$@"')
  program('systemctl', `echo "$@" >>${folder}/systemctl`)
  // Those who serve are given a line of syscalls where they would watch the host.
  const { ca, server } = makeCertificates(folder)
  copyFileSync(ca, join(folder, 'ca.pem'))
  copyFileSync(server.cert, join(folder, 'c.pem'))
  copyFileSync(server.key, join(folder, 'k.pem'))
}

interface Place {
  readonly http: number
  readonly broker: number
  /** Of a server, by the number of its line. */
  url(line?: number): string
}

type Replacements = readonly (readonly [string | RegExp, string])[]

/**
 * Runs the blocks of a section in their order, each as one script; a line that starts a server goes
 * on in the background when it is ready.
 */
async function follow(
  title: string,
  replacements: Replacements = [],
  env: Record<string, string> = {},
): Promise<Place> {
  prepare()
  const [http, broker] = [await freePort(), await freePort()]
  const blocks = sections.get(title)
  if (blocks === undefined || blocks.length === 0) throw new Error(`No commands in "${title}"`)
  const ready = (line: number) => join(folder, `ready-${line}.json`)
  const replace = (text: string) => {
    const all: Replacements = [
      ...replacements,
      ['0.0.0.0:8883', `127.0.0.1:${broker}`],
      ['0.0.0.0:8470', `127.0.0.1:${http}`],
      [/fleet\.example:8470/g, `127.0.0.1:${http}`],
      ['/etc/callsign/agent.toml', join(folder, 'agent.toml')],
      ['/var/lib/callsign', join(folder, 'state')],
      ['/media/stick/', `${folder}/stick/`],
    ]
    return all.reduce((line, [from, to]) => line.replaceAll(from as never, to), text)
  }
  let servers = 0
  const scriptOf = (block: string) =>
    replace(block)
      .split('\n')
      .map((line) => {
        const command = line.replace(/\s+#.*$/, '').replace(/^sudo /, '')
        const isAggregator = /^agent aggregate( --|$)/.test(command)
        const isAgent = /^agent watch /.test(command)
        if (!isAggregator && !isAgent) return line
        const number = servers++
        if (isAgent)
          // It watches a pipe that stays open.
          return `(cat calls; exec sleep 600) | ${command} --source - \\
            2>>agent.log >&2 & echo $! >>pids`
        const own = [
          ...(command.includes('--http ') ? [] : [`--http 127.0.0.1:${http}`]),
          ...(/--listen |--broker /.test(command) ? [] : [`--listen 127.0.0.1:${broker}`]),
        ]
        return [
          `${command} ${own.join(' ')} --ready-file ${ready(number)} 2>>aggregate.log >&2 &`,
          `echo $! >>pids; while [ ! -s ${ready(number)} ]; do kill -0 $! || exit 9; sleep 0.1; done`,
        ].join('\n')
      })
      .join('\n')
  rmSync(join(folder, 'pids'), { force: true })
  ends.push(stopServers)
  // Enough for a summary.
  writeFileSync(join(folder, 'calls'), ownLines(130, Math.floor(Date.now() / 1000) - 135))
  for (const block of blocks) {
    const child = Bun.spawn(['sh', '-euc', scriptOf(block)], {
      cwd: folder,
      env: {
        PATH: `${bin}:${postgresBin}:${process.env.PATH}`,
        HOME: folder,
        AGENT_STATE: join(folder, 'state'),
        AGENT_SITE: 'berlin',
        AGENT_HOST: 'web-1',
        AGENT_CONFIG: join(folder, 'agent.toml'),
        ...env,
      },
      stdout: Bun.file(join(folder, 'out')),
      stderr: Bun.file(join(folder, 'err')),
    })
    const code = await child.exited
    const said = () => ['err', 'aggregate.log'].map((name) => tail(name)).join('\n')
    if (code !== 0) throw new Error(`"${title}" ended with ${code}:\n${block}\n${said()}`)
  }
  const url = (line = 0) => JSON.parse(readFileSync(ready(line), 'utf8')).url as string
  return { http, broker, url }
}

function tail(name: string): string {
  const path = join(folder, name)
  return existsSync(path) ? readFileSync(path, 'utf8').slice(-1_500) : ''
}

async function stopServers(): Promise<void> {
  const path = join(folder, 'pids')
  const pids = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').map(Number) : []
  for (const pid of pids) {
    // The agent is the last of its pipe; its own children and those of the shell end with it.
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      // It has ended.
    }
  }
  for (const pid of pids)
    await until('a server to end', () => !existsSync(`/proc/${pid}`), 30_000).catch(() => {
      process.kill(pid, 'SIGKILL')
    })
  rmSync(path, { force: true })
  for (const name of ['ready-0.json', 'ready-1.json']) rmSync(join(folder, name), { force: true })
}

/** Hosts as the API lists them, asked with curl as a person would. */
async function curl(url: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn(['curl', '-sS', '--max-time', '20', ...args, url], {
    ...{ cwd: folder, stdout: 'pipe', stderr: 'pipe' },
  })
  return `${await new Response(child.stdout).text()}${await new Response(child.stderr).text()}`
}

const secretOf = (file: string, name: string) =>
  readFileSync(join(folder, file), 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))!

describe.skipIf(!canFollow)('docs/operate-a-fleet.md', () => {
  let database = ''
  let shared = ''
  const others = async (): Promise<Replacements> => {
    if (database === '') {
      const server = await startPostgres()
      lasting.push(() => server.close())
      database = (await server.database()).replace(/[^/]*$/, 'callsign')
      const broker = await startMosquitto(folder)
      lasting.push(() => broker.close())
      shared = broker.url
    }
    return [
      ['postgres://callsign@db.example/callsign', database],
      ['mqtts://mq.example', shared],
    ]
  }
  const pg = () => {
    const { hostname, port, username } = new URL(database)
    return { PGHOST: hostname, PGPORT: port, PGUSER: username }
  }

  test('every section with commands is followed here', () => {
    const withCommands = [...sections].flatMap(([title, blocks]) =>
      blocks.length === 0 ? [] : [title],
    )
    expect(withCommands.sort()).toEqual([
      'Absence',
      'From an alert to a better model',
      'From nothing to mTLS',
      'Hosts without a model',
      'Hosts without a network',
      'Models for a fleet',
      'One aggregator',
      'People',
      'Policy of a fleet',
      'Several aggregators',
    ])
  })

  test('From nothing to mTLS', async () => {
    const { url } = await follow('From nothing to mTLS')
    expect(readFileSync(join(folder, 'systemctl'), 'utf8')).toBe('restart callsign\n')
    expect(readFileSync(join(folder, 'agent.toml'), 'utf8')).toContain(
      'broker = "mqtts://127.0.0.1:',
    )
    // What systemd does then.
    const child = Bun.spawn([agentBinary(), 'watch', '--source', '-'], {
      env: {
        ...{ PATH: '/usr/bin', HOME: folder, AGENT_CONFIG: join(folder, 'agent.toml') },
        AGENT_STATE: join(folder, 'state'),
      },
      ...{ stdin: 'pipe', stdout: 'ignore', stderr: 'ignore' },
    })
    ends.push(() => child.kill('SIGKILL'))
    const hosts = () =>
      curl(
        `${url()}/api/v1/hosts?state=online`,
        ...['-u', secretOf('people', 'anna'), '--cacert', 'state/tls/ca.pem'],
      )
    await until('the host', async () => (await hosts()).includes('"host":"web-1"'), 90_000)
    child.kill('SIGTERM')
    await child.exited
  }, 180_000)

  test('One aggregator', async () => {
    const subscribes = join(folder, 'heard')
    rmSync(join(folder, 'agents'), { force: true })
    // A store of its own: in that of the section before the key of web-1 is known.
    const { broker } = await follow(
      'One aggregator',
      [
        ['-h aggregator.example -p 8883', '-h 127.0.0.1 -p "$BROKER_PORT"'],
        // It listens for ever: it is started beside the rest below.
        [
          /^mosquitto_sub .*$/gm,
          (line: string) => `cat >subscribe <<'END'\nexec ${line}\nEND`,
        ] as never,
      ],
      { AGENT_STATE: join(folder, 'state-one') },
    )
    const env = {
      PATH: process.env.PATH!,
      BROKER_PORT: String(broker),
      SECRET: secretOf('agents', '@reader').split(':')[1]!,
    }
    const reader = Bun.spawn(['sh', 'subscribe'], {
      ...{ cwd: folder, env, stdout: Bun.file(subscribes), stderr: Bun.file(join(folder, 'sub')) },
    })
    ends.push(() => reader.kill())
    const payload = encodeAlert(sampleAlert, { site: 'berlin', host: 'web-1', boot: 1, seq: 1 })
    writeFileSync(join(folder, 'payload'), payload)
    await until(
      'the reader to hear the alert',
      async () => {
        await Bun.spawn(
          [
            ...['mosquitto_pub', '-h', '127.0.0.1', '-p', String(broker), '--cafile', 'ca.pem'],
            ...['-u', 'web-1', '-P', secretOf('agents', 'web-1').split(':')[1]!, '-q', '1'],
            ...['-t', 'callsign/v1/berlin/web-1/alert', '-f', 'payload', '-V', '5'],
          ],
          { cwd: folder, stdout: 'ignore', stderr: Bun.file(join(folder, 'pub')) },
        ).exited
        return readFileSync(subscribes, 'utf8').includes(sampleAlert.id)
      },
      60_000,
    )
  }, 120_000)

  test('People', async () => {
    const { url } = await follow('People')
    const me = (name: string) =>
      curl(`${url()}/api/v1/me`, '-u', secretOf('people', name), '--cacert', 'ca.pem')
    expect(JSON.parse(await me('anna'))).toEqual({ name: 'anna', mayAct: true })
    expect(JSON.parse(await me('@screen'))).toEqual({ name: '@screen', mayAct: false })
  }, 60_000)

  test('Several aggregators', async () => {
    const { url } = await follow('Several aggregators', await others(), pg())
    // The file of the sections before, with its host, is in the database now.
    expect(await curl(`${url()}/api/v1/hosts`)).toContain('"host":"web-1"')
  }, 120_000)

  test('Hosts without a model', async () => {
    const { url } = await follow('Hosts without a model', await others(), {
      ...pg(),
      AGENT_HOST: 'small',
    })
    await until(
      'vectors to be classified',
      async () =>
        /callsign_classify_messages_total\{result="classified"\} [1-9]/.test(
          await curl(`${url()}/metrics`),
        ),
      90_000,
    ).catch((error) => {
      throw new Error(`${error}\n${tail('agent.log')}\n${tail('aggregate.log')}`)
    })
  }, 180_000)

  test('Hosts without a network', async () => {
    const state = join(folder, 'state-alone')
    const http = await freePort()
    const port = await freePort()
    const child = Bun.spawn(
      [
        ...[agentBinary(), 'aggregate', '--state', join(folder, 'state-import')],
        ...['--http', `127.0.0.1:${http}`, '--listen', `127.0.0.1:${port}`],
      ],
      { env: { HOME: folder, PATH: '/usr/bin' }, stdout: 'ignore', stderr: 'ignore' },
    )
    ends.push(async () => {
      child.kill('SIGTERM')
      await child.exited
    })
    await until(
      'it',
      async () => (await curl(`http://127.0.0.1:${http}/healthz`)).includes('ok'),
      60_000,
    )
    const pause =
      'i=0; until agent status --json 2>/dev/null | grep -q \'"queued":[1-9]\' || [ $i -gt 200 ]; do i=$((i+1)); sleep 0.2; done'
    await follow(
      'Hosts without a network',
      [
        ['mqtt://127.0.0.1', `mqtt://127.0.0.1:${port}`],
        // The stick is carried, and the agent stopped.
        [/^sudo agent export \/media\/stick\/web-1.callsign/gm, `${pause}\n$&`],
        [
          'agent import web-1.callsign',
          `mv ${folder}/stick/web-1.callsign .; agent import web-1.callsign`,
        ],
        [
          /^sudo agent export --receipts \/media\/stick\/web-1.receipts/gm,
          `kill $(cat pids); sleep 3; mv web-1.receipts ${folder}/stick/\n$&`,
        ],
      ],
      { AGENT_STATE: state },
    )
    expect(tail('err')).toMatch(/\n[1-9]\d* messages are stored by an aggregator: removed/)
    expect(await curl(`http://127.0.0.1:${http}/api/v1/hosts`)).toContain('"host":"web-1"')
  }, 180_000)

  test('Policy of a fleet', async () => {
    await follow('Policy of a fleet')
    expect(tail('err')).toMatch(/Pushed policy \d+ to site berlin: for 100 % of the/)
  }, 60_000)

  test('Models for a fleet', async () => {
    prepare()
    if (!existsSync(join(folder, 'model'))) namedModel(folder, 'model')
    await follow('Models for a fleet')
    expect(tail('err')).toMatch(/Pushed model \d+ to site berlin: for 100 % of the/)
    expect(tail('err')).not.toContain('no signature')
  }, 120_000)

  test('From an alert to a better model', async () => {
    prepare()
    const state = join(folder, 'state-learning')
    const http = await freePort()
    const port = await freePort()
    const spawn = (args: string[], stdin: 'ignore' | 'pipe' = 'ignore') => {
      const child = Bun.spawn([agentBinary(), ...args, '--site', 'berlin'], {
        ...{ env: { HOME: folder, PATH: '/usr/bin' }, stdin, stdout: 'ignore', stderr: 'ignore' },
      })
      ends.push(async () => {
        child.kill('SIGTERM')
        await child.exited
      })
      return child
    }
    spawn([
      ...['aggregate', '--state', state, '--http', `127.0.0.1:${http}`],
      ...['--listen', `127.0.0.1:${port}`],
    ])
    const web = spawn(
      [
        ...['watch', '--source', '-', '--state', join(folder, 'state-accused'), '--host', 'web-1'],
        ...['--broker', `mqtt://127.0.0.1:${port}`, '--accept-fleet', 'windows'],
      ],
      'pipe',
    )
    const stdin = web.stdin as Exclude<typeof web.stdin, number | undefined>
    stdin.write(longMiner().text)
    stdin.flush()
    const alert = await until(
      'an alert that goes on',
      async () => {
        const text = await curl(`http://127.0.0.1:${http}/api/v1/alerts`)
        const { items } = text.startsWith('{') ? JSON.parse(text) : { items: [] }
        return items.find((one: { first: number; last: number }) => one.last - one.first > 100)
          ?.id as string | undefined
      },
      90_000,
    )
    const train = '--base default --out ./better'
    await follow('From an alert to a better model', [[train, `${train} --epochs 1`]], {
      ...{ AGENT_STATE: state, ALERT: alert },
    })
    expect(tail('err')).toMatch(/Pushed model \d+ to site berlin: for 10 % of the/)
  }, 400_000)

  test('Absence', async () => {
    const { url } = await follow('Absence', [['https://ntfy.example', 'http://127.0.0.1:9']])
    expect(await curl(`${url()}/metrics`)).toContain('# TYPE callsign_absences gauge')
  }, 60_000)
})
