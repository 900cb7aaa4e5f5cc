import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AgentError } from '../../src/domain/error.ts'
import { type Environment, fileKeyOf, settingNames, variableOf } from '../../src/settings/keys.ts'
import { nearest } from '../../src/settings/nearest.ts'
import { brokerLogin, checkSettings, loadSettings } from '../../src/settings/settings.ts'
import { durationMs } from '../../src/settings/values.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function withFile(toml: string, env: Environment = {}): Environment {
  const path = join(folder, `${Bun.hash(toml)}.toml`)
  writeFileSync(path, toml)
  return { AGENT_CONFIG: path, ...env }
}

function failure(body: () => unknown): AgentError {
  try {
    body()
  } catch (error) {
    if (error instanceof AgentError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('loadSettings()', () => {
  test('takes flag over environment over file over default, and says which it was', () => {
    const env = withFile('site = "file"\nhost = "file"\ndelivery = "broker"\n', {
      AGENT_SITE: 'environment',
      AGENT_HOST: 'environment',
    })
    const { settings, origins, file } = loadSettings({ site: 'flag' }, env)
    expect(settings.site).toBe('flag')
    expect(origins.site).toBe('flag')
    expect(settings.host).toBe('environment')
    expect(origins.host).toBe('environment')
    expect(settings.delivery).toBe('broker')
    expect(origins.delivery).toBe('file')
    expect(settings.falseAlarmsPerDay).toBe(1)
    expect(origins.falseAlarmsPerDay).toBe('default')
    expect(file).toBe(env.AGENT_CONFIG)
  })

  test('reads numbers, lengths of time and the [aggregate] table', () => {
    const env = withFile(
      'false_alarms_per_day = 0.5\nlearn = "10m"\n[aggregate]\nhttp = "127.0.0.1:1"\n',
    )
    const { settings } = loadSettings({}, env)
    expect(settings.falseAlarmsPerDay).toBe(0.5)
    expect(settings.learn).toBe(600_000)
    expect(settings.http).toBe('127.0.0.1:1')
  })

  test('an unknown key in the file is an error that names the nearest', () => {
    const error = failure(() => loadSettings({}, withFile('brokr = "mqtt://a"\n')))
    expect(error.code).toBe('ERR_CONFIG')
    expect(error.message).toContain('no setting "brokr"')
    expect(error.hint).toContain('"broker"')
  })

  test('an unknown AGENT_ variable is an error that names the nearest', () => {
    const error = failure(() => loadSettings({}, { AGENT_BROKR: 'mqtt://a' }))
    expect(error.code).toBe('ERR_CONFIG')
    expect(error.hint).toContain('AGENT_BROKER')
  })

  test('an AGENT_ variable of somebody else is none of ours', () => {
    for (const name of ['AGENT_ID', 'AGENT_NAME', 'AGENT_TOOLSDIRECTORY', 'AGENT_HOMEDIRECTORY'])
      expect(loadSettings({}, { [name]: 'x' }).settings.site).toBe('default')
  })

  test('a file that is no TOML, and one that is not there, are errors of configuration', () => {
    expect(failure(() => loadSettings({}, withFile('site = \n'))).code).toBe('ERR_CONFIG')
    expect(failure(() => loadSettings({}, { AGENT_CONFIG: join(folder, 'none') })).code).toBe(
      'ERR_CONFIG',
    )
  })

  test.each([
    ['falseAlarmsPerDay', '0'],
    ['falseAlarmsPerDay', 'many'],
    ['learn', '5 minutes'],
    ['broker', 'http://a'],
    ['broker', 'mqtt://user:secret@a'],
    ['site', 'a/b'],
    ['host', 'a#'],
    ['delivery', 'maybe'],
  ])('refuses --%s %s as wrong usage', (name, value) => {
    expect(failure(() => loadSettings({ [name]: value }, {})).code).toBe('ERR_USAGE')
  })

  test('a wrong value from the environment is an error of configuration, not of usage', () => {
    expect(failure(() => loadSettings({}, { AGENT_DELIVERY: 'maybe' })).code).toBe('ERR_CONFIG')
  })

  test('a password is not taken from a flag', () => {
    expect(loadSettings({ brokerPassword: 'x' }, {}).settings.brokerPassword).toBeUndefined()
    expect(loadSettings({}, { AGENT_BROKER_PASSWORD: 'x' }).settings.brokerPassword).toBe('x')
  })
})

test('every setting has a flag, a variable and a key of its own', () => {
  const names = settingNames()
  expect(new Set(names.map(variableOf)).size).toBe(names.length)
  expect(new Set(names.map(fileKeyOf)).size).toBe(names.length)
  expect(variableOf('falseAlarmsPerDay')).toBe('AGENT_FALSE_ALARMS_PER_DAY')
  expect(fileKeyOf('http')).toBe('aggregate.http')
  expect(variableOf('http')).toBe('AGENT_AGGREGATE_HTTP')
})

test('the state is where the service manager has made a directory for it', () => {
  const env = { STATE_DIRECTORY: '/var/lib/made:/var/lib/made/lib', HOME: '/root' }
  expect(loadSettings({}, env).settings.state).toBe('/var/lib/made')
})

describe('brokerLogin()', () => {
  test('takes the password from the first line of the file, and only what is set', () => {
    const path = join(folder, 'password')
    writeFileSync(path, 'secret\r\nnot this\n')
    chmodSync(path, 0o600)
    const { settings } = loadSettings({ brokerPasswordFile: path }, {})
    expect(brokerLogin(settings)).toEqual({ password: 'secret', tls: {} })
  })

  test('takes what the service manager hands over, where the settings name nothing else', () => {
    writeFileSync(join(folder, 'callsign.broker-password'), 'from-systemd\n', { mode: 0o400 })
    const { settings } = loadSettings({}, { CREDENTIALS_DIRECTORY: folder })
    expect(brokerLogin(settings)).toEqual({ password: 'from-systemd', tls: {} })
    expect(loadSettings({}, {}).settings.brokerPasswordFile).toBeUndefined()
  })

  test('refuses a password that others can change', () => {
    const path = join(folder, 'open-password')
    writeFileSync(path, 'secret\n')
    chmodSync(path, 0o666)
    const { settings } = loadSettings({ brokerPasswordFile: path }, {})
    const error = failure(() => brokerLogin(settings))
    expect(error.code).toBe('ERR_CONFIG')
    expect(error.message).toContain('can be written to by others')
  })

  test('an unreadable file is an error that says which', () => {
    const { settings } = loadSettings({ brokerPasswordFile: join(folder, 'no') }, {})
    expect(failure(() => brokerLogin(settings)).code).toBe('ERR_CONFIG')
  })
})

test.each([
  ['90', 90_000],
  ['30s', 30_000],
  ['10m', 600_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['250ms', 250],
  ['1.5h', 5_400_000],
])('durationMs() reads %s', (text, ms) => {
  expect(durationMs(text)).toBe(ms)
})

test.each([
  ['wacth', 'watch'],
  ['--brokr', '--broker'],
  ['xyzzyplugh', undefined],
])('nearest() of %s is %s', (word, expected) => {
  expect(nearest(word, ['watch', 'replay', '--broker', 'alerts'])).toBe(expected)
})

describe('checkSettings()', () => {
  test('names everything that is wrong, and gives what can be used', () => {
    const path = join(folder, 'wrong.toml')
    writeFileSync(path, 'site = "a/b"\nbrokr = "x"\ncpu_max = "lots"\nhost = "h"\n')
    const { problems, resolved } = checkSettings({
      AGENT_CONFIG: path,
      AGENT_LEARN: 'long',
      AGENT_SITES: 'x',
    })
    const said = problems.map(({ message }) => message).join('\n')
    for (const name of ['"brokr"', '"AGENT_SITES"', '"site"', 'AGENT_LEARN', '"cpu_max"'])
      expect(said).toContain(name)
    expect(problems).toHaveLength(5)
    expect(resolved.settings.host).toBe('h')
  })
})
