/** The built binary as a stranger meets it: words in, exit code and messages out. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { SHOWN_COMMANDS } from '../../src/commands/table.ts'
import { agentBinary, runAgent, runProgram } from '../support/agent-binary.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.skipIf(process.geteuid?.() !== 0).each([['BUN_OPTIONS'], ['BUN_INSPECT_NOTIFY']])(
  'refuses to run as root with %s set: it loads the code of its caller',
  async (name) => {
    const { code, stderr } = await runAgent(['config', 'show'], { env: { [name]: '--smol' } })
    expect(stderr).toContain(`Cannot run as root with ${name} set`)
    expect(code).toBe(6)
  },
)

describe('agent --version', () => {
  test('says version, commit and platform, in an empty directory and an empty environment', async () => {
    const { code, stdout, stderr } = await runProgram(['env', '-i', agentBinary(), '--version'], {
      cwd: folder,
    })
    expect(code).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^agent \d+\.\d+\.\d+ \(\S+, linux-\S+\)\n$/)
    expect(stdout).toContain(manifest.version)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('agent --help', () => {
  test('is what agent alone prints, and lists every command', async () => {
    const alone = await runAgent([])
    expect(alone.code).toBe(0)
    expect((await runAgent(['--help'])).stdout).toBe(alone.stdout)
    for (const name of Object.keys(SHOWN_COMMANDS)) expect(alone.stdout).toContain(`\n  ${name} `)
  })

  test('has no colours off a terminal', async () => {
    expect((await runAgent([])).stdout).not.toContain('\u001b')
  })

  test.each(Object.keys(SHOWN_COMMANDS))(
    'agent %s --help has a line of usage and an example',
    async (name) => {
      const { code, stdout, stderr } = await runAgent([name, '--help'])
      expect(stderr).toBe('')
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: agent ${name}`)
      expect(stdout).toContain('Examples')
      expect((await runAgent(['help', name])).stdout).toBe(stdout)
    },
  )
})

describe('wrong usage', () => {
  test.each([
    [['agregate'], 'Did you mean "agent aggregate"?'],
    [['config', 'sow'], 'Did you mean "agent config show"?'],
    [['config', 'show', '--jsno'], 'Did you mean "--json"?'],
    [['config', 'show', '--site'], 'agent config show --help'],
    [['config', 'show', 'surplus'], 'agent config show --help'],
    [['__proto__'], 'agent --help'],
  ])('%j ends with 2 and says what to do', async (words, hint) => {
    const { code, stdout, stderr } = await runAgent(words)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^error: .*\nhint: .*\n$/)
    expect(stderr).toContain(hint)
  })

  test('with --json the error is one object on stderr', async () => {
    const { code, stderr } = await runAgent(['config', 'show', '--learn', 'x', '--json'])
    expect(code).toBe(2)
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'ERR_USAGE' })
  })
})

describe('settings', () => {
  test('agent config show tells value and origin of each', async () => {
    const { code, stdout } = await runAgent(['config', 'show', '--json', '--host', 'h'], {
      env: { AGENT_SITE: 'lab', AGENT_BROKER_PASSWORD: 'hidden' },
    })
    expect(code).toBe(0)
    expect(stdout).not.toContain('hidden')
    const shown = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const byName = new Map(shown.map((setting) => [setting.name, setting]))
    expect(byName.get('host')).toMatchObject({ value: 'h', origin: 'flag' })
    expect(byName.get('site')).toMatchObject({ value: 'lab', origin: 'environment' })
    expect(byName.get('false_alarms_per_day')).toMatchObject({ value: 1, origin: 'default' })
  })

  test('a broken settings file ends with 5 and names file and place', async () => {
    const path = join(folder, 'agent.toml')
    writeFileSync(path, 'site = \n')
    const { code, stderr } = await runAgent(['config', 'show'], { env: { AGENT_CONFIG: path } })
    expect(code).toBe(5)
    expect(stderr).toContain(path)
  })
})

describe('agent doctor', () => {
  const findings = async (args: readonly string[], env: Record<string, string> = {}) => {
    const state = join(folder, 'doctor')
    const { code, stdout } = await runAgent(['doctor', '--json', '--state', state, ...args], {
      env,
    })
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return { code, byCheck: new Map(lines.map((finding) => [finding.check, finding])) }
  }

  test('finds that libraries, model, state and clock are right', async () => {
    const { byCheck } = await findings([])
    for (const check of ['memory', 'ONNX Runtime', 'SQLite', 'settings', 'model', 'state', 'clock'])
      expect(byCheck.get(check)).toMatchObject({ state: 'ok' })
  })

  test('a broker that does not answer is wrong, and ends it with 3', async () => {
    const { code, byCheck } = await findings(['--broker', 'mqtt://127.0.0.1:1'])
    expect(code).toBe(3)
    expect(byCheck.get('broker')).toMatchObject({ state: 'wrong' })
    expect(byCheck.get('broker').next).toBeString()
  })

  test('a broken settings file is a finding, not the end of it', async () => {
    const path = join(folder, 'broken.toml')
    writeFileSync(path, 'brokr = "x"\n')
    const { code, byCheck } = await findings([], { AGENT_CONFIG: path })
    expect(code).toBe(3)
    expect(byCheck.get('settings')).toMatchObject({ state: 'wrong' })
    expect(byCheck.get('ONNX Runtime')).toMatchObject({ state: 'ok' })
  })

  test('a model that is none is wrong', async () => {
    const { byCheck } = await findings(['--model', folder])
    expect(byCheck.get('model')).toMatchObject({ state: 'wrong' })
  })
})

test('a reader that went away is no error', async () => {
  const script = `"${agentBinary()}" completion bash | head -n 1; echo "\${PIPESTATUS[0]}"`
  const { stdout, stderr } = await runProgram(['bash', '-c', script])
  expect(stderr).toBe('')
  expect(stdout.trim().split('\n').pop()).toBe('0')
})

describe('agent completion', () => {
  test.skipIf(Bun.which('bash') === null)(
    'bash completes commands, sub-commands and flags',
    async () => {
      const script = `source <("${agentBinary()}" completion bash)
      try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agent; echo "\${COMPREPLY[*]}"; }
      try agent con; try agent config s; try agent config show --false`
      const { stdout, stderr } = await runProgram(['bash', '-c', script], { cwd: folder })
      expect(stderr).toBe('')
      expect(stdout.split('\n').slice(0, 3)).toEqual(['config', 'show', '--false-alarms-per-day'])
    },
  )

  test.each(['zsh', 'fish'])('%s gets a script that names every command', async (shell) => {
    const { code, stdout } = await runAgent(['completion', shell])
    expect(code).toBe(0)
    for (const name of Object.keys(SHOWN_COMMANDS)) expect(stdout).toContain(name)
  })
})
