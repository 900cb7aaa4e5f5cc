/** The agent under attack, and programs that run against it as users of their own. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Alert } from '../../src/domain/alert.ts'

export const CHECKOUT = join(import.meta.dir, '../..')
export const AGENT = process.env.AGENT ?? join(CHECKOUT, 'dist/agent')

/** Of the JSON of `agent status`. */
export interface Status {
  readonly dropped: Readonly<Record<string, number>>
  readonly created: number
  readonly queued: number
  readonly acknowledged: number
  readonly sight?: { readonly day: { readonly windows: number; readonly blind: number } }
}

export async function statusOf(state: string): Promise<Status> {
  const child = Bun.spawn([AGENT, 'status', '--state', state, '--json'], {
    stdout: 'pipe',
    stderr: 'ignore',
  })
  return JSON.parse(await new Response(child.stdout).text()) as Status
}

/** Calls that were lost, for whatever reason. */
export function lostIn({ dropped }: Status): number {
  const lost = Object.entries(dropped).filter(([reason]) => reason.startsWith('lost('))
  return lost.reduce((sum, [, calls]) => sum + calls, 0)
}

/** `agent watch` with the kernel source. */
export class WatchedHost {
  readonly state: string
  readonly alerts: Alert[] = []
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  #messages = ''

  constructor(directory: string, round: number) {
    this.state = join(directory, `state-${round}`)
    mkdirSync(this.state, { mode: 0o700 })
    const flags = ['--source', 'kernel', '--host', 'attacked', '--json', '--state', this.state]
    this.#child = Bun.spawn([AGENT, 'watch', ...flags], {
      ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
      env: { PATH: process.env.PATH ?? '', HOME: '/root', NO_COLOR: '1' },
    })
    void this.#read()
  }

  async #read(): Promise<void> {
    void (async () => {
      for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream()))
        this.#messages += text
    })()
    let rest = ''
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('{')) this.alerts.push(JSON.parse(line))
    }
  }

  get messages(): string {
    return this.#messages
  }

  /** Saved twice: it counts, and has judged its first seconds. */
  async ready(): Promise<void> {
    for (let i = 0; i < 120; i++) {
      if (this.#child.exitCode !== null)
        throw new Error(`The agent ended with ${this.#child.exitCode}:\n${this.#messages}`)
      const status = await statusOf(this.state).catch(() => undefined)
      if ((status?.sight?.day.windows ?? 0) > 0) return
      await Bun.sleep(500)
    }
    throw new Error(`The agent judges nothing:\n${this.#messages}`)
  }

  signalCollector(signal: NodeJS.Signals): void {
    const children = readFileSync(
      `/proc/${this.#child.pid}/task/${this.#child.pid}/children`,
      'utf8',
    )
    for (const pid of children.trim().split(' ').map(Number)) {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (words.includes('collect-kernel')) process.kill(pid, signal)
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGINT')
    await this.#child.exited
  }
}

/** Users of the attackers; nobody has these. */
const FIRST_UID = 61_000
let attackers = 0

/** One user with a directory, files that are worth something, and the program `attacks`. */
export class Attacker {
  readonly uid = FIRST_UID + attackers++
  readonly directory: string
  readonly #program: string
  readonly #children: Bun.Subprocess[] = []
  #sinceSeconds = 0

  constructor(directory: string, compiled: string) {
    this.directory = join(directory, `user-${this.uid}`)
    mkdirSync(this.directory)
    this.#program = join(this.directory, 'job')
    copyFileSync(compiled, this.#program)
    chmodSync(this.#program, 0o755)
    chmodSync(this.directory, 0o777)
  }

  /** @returns a directory with so many files of text */
  files(count: number): string {
    const path = join(this.directory, 'files')
    mkdirSync(path)
    chmodSync(path, 0o777)
    const text = 'What is written here was worth a morning of somebody.\n'.repeat(300)
    for (let i = 0; i < count; i++) {
      const file = join(path, `report-${i}.txt`)
      writeFileSync(file, `${i}\n${text}`)
      chmodSync(file, 0o666)
    }
    return path
  }

  /** Runs `attacks NAME SECONDS WHAT …` as the user. */
  attack(name: string, seconds: number, ...what: readonly (string | number)[]): void {
    this.run([this.#program, name, String(seconds), ...what.map(String)])
  }

  run(command: readonly string[]): void {
    if (this.#sinceSeconds === 0) this.#sinceSeconds = Math.floor(Date.now() / 1000)
    const user = ['--reuid', String(this.uid), '--regid', String(this.uid), '--clear-groups']
    const lock = ['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all']
    const child = Bun.spawn(['setpriv', ...user, ...lock, ...command], {
      ...{ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', cwd: this.directory },
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    })
    this.#children.push(child)
  }

  /** Alerts about its processes; observations are none. */
  found(alerts: readonly Alert[]): Alert[] {
    return alerts.filter(
      ({ process, severity, time }) =>
        severity !== 'low' &&
        time >= this.#sinceSeconds &&
        (process.uid === this.uid || process.exe?.startsWith(`${this.directory}/`) === true),
    )
  }

  /** Seconds to the first alert. */
  foundAfter(alerts: readonly Alert[]): number | undefined {
    const [first] = this.found(alerts)
    return first === undefined ? undefined : first.time - this.#sinceSeconds
  }

  /** Ends all processes of the user, whoever their parent is now. */
  end(): void {
    Bun.spawnSync([
      ...['setpriv', '--reuid', String(this.uid), '--regid', String(this.uid), '--clear-groups'],
      ...['sh', '-c', 'kill -9 -1'],
    ])
  }
}
