/**
 * install.sh and `agent update` with a release served over plain files: what is right goes in
 * whole, what is wrong changes nothing. Runs the script under sh as a stranger would, in folders of
 * its own. What is installed is a program of a few lines that answers --version: the real binary's
 * 150 MB prove nothing more here.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, sign } from 'node:crypto'
import {
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, type RunOptions, runProgram } from '../support/agent-binary.ts'
import { canMount } from '../support/privileges.ts'

const checkout = join(import.meta.dir, '../..')
const arch = process.arch
const packed = `agent-linux-${arch}.gz`
const canVerify = Bun.which('openssl') !== null || Bun.which('node') !== null

let folder = ''
let release = ''
let server: Bun.Server<undefined>
let prefix = ''
let script = ''
let small = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'install-'))
  release = join(folder, 'release')
  small = join(folder, 'agent')
  const padding = Buffer.alloc(1_000_000, '#')
  writeFileSync(small, `#!/bin/sh\necho "agent 9.9.9 (small)"\nexit 0\n${padding}\n`, {
    mode: 0o755,
  })
  await makeRelease(release, '9.9.9')
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => {
      const file = Bun.file(join(folder, new URL(request.url).pathname))
      return file.size > 0 ? new Response(file) : new Response('no', { status: 404 })
    },
  })
  // Away from the checkout, as a stranger has it.
  script = join(folder, 'install.sh')
  copyFileSync(join(release, 'install.sh'), script)
})
afterAll(async () => {
  await server.stop(true)
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => {
  prefix = mkdtempSync(join(folder, 'prefix-'))
})

async function makeRelease(out: string, version: string): Promise<void> {
  const key = join(folder, 'private.pem')
  if (!existsSync(key)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  }
  const { code, stderr } = await runProgram(
    [
      process.execPath,
      'scripts/release.ts',
      ...['--out', out, '--targets', `linux-${arch}`, '--binary', small],
      ...['--version', version],
    ],
    { cwd: checkout, env: { RELEASE_KEY_FILE: key } },
  )
  if (code !== 0) throw new Error(stderr)
}

const install = (args: readonly string[], options: RunOptions = {}) =>
  runProgram(['sh', script, '--prefix', prefix, ...args], { cwd: folder, ...options })
const binary = () => join(prefix, 'bin/agent')
const leftovers = () =>
  existsSync(join(prefix, 'bin'))
    ? [...new Bun.Glob('**/*').scanSync({ cwd: prefix, dot: true })].filter((name) =>
        name.includes('new'),
      )
    : []

/** A copy of the release with one of its files changed. */
function damaged(name: string, change: (bytes: Buffer) => Buffer | undefined): string {
  const copy = mkdtempSync(join(folder, 'damaged-'))
  cpSync(release, copy, { recursive: true })
  const bytes = change(readFileSync(join(copy, name)))
  if (bytes === undefined) rmSync(join(copy, name))
  else writeFileSync(join(copy, name), bytes)
  return copy
}

describe.skipIf(!canVerify)('install.sh --from', () => {
  test('takes a release over http, with the key that is in it, from a pipe', async () => {
    const { code, stdout, stderr } = await runProgram(
      ['sh', '-s', '--', '--prefix', prefix, '--from', `${server.url}release/`],
      { cwd: folder, stdin: readFileSync(script, 'utf8') },
    )
    expect(stderr).toContain(`Installed ${binary()}: agent `)
    expect(code).toBe(0)
    expect(stdout).toBe('')
    const ran = await runProgram([binary(), '--version'])
    expect(ran.code).toBe(0)
    expect(leftovers()).toEqual([])
  })

  test('takes a directory and a tar file', async () => {
    expect((await install(['--from', release])).code).toBe(0)
    const tar = join(folder, 'release.tar.gz')
    await runProgram(['tar', '-czf', tar, '-C', folder, 'release'])
    expect((await install(['--from', tar])).code).toBe(0)
    expect(existsSync(binary())).toBe(true)
  })

  test('refuses an older release, signed as it is, unless told to take it', async () => {
    const old = join(folder, 'older')
    await makeRelease(old, '0.0.1')
    expect((await install(['--from', release])).code).toBe(0)
    const { code, stderr } = await install(['--from', old])
    expect(stderr).toMatch(/error: The release of 2\S+Z is 0\.0\.1, installed is \d/)
    expect(stderr).toContain('--downgrade')
    expect(code).toBe(1)
    expect((await install(['--from', old, '--downgrade'])).code).toBe(0)
  })

  test('refuses signed sums that hold no version: they may be of any age', async () => {
    const undated = mkdtempSync(join(folder, 'undated-'))
    cpSync(release, undated, { recursive: true })
    const sums = readFileSync(join(release, 'SHA256SUMS'), 'utf8').replace(/^#.*\n/, '')
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(join(undated, 'SHA256SUMS'), sums)
    writeFileSync(join(undated, 'SHA256SUMS.sig'), sign(null, Buffer.from(sums), privateKey))
    const pem = join(undated, 'key.pem')
    writeFileSync(pem, publicKey.export({ type: 'spki', format: 'pem' }))
    const { code, stderr } = await install(['--from', undated, '--key', pem])
    expect(stderr).toContain('hold no version')
    expect(code).toBe(9)
  })

  test.each([
    ['a changed binary', packed, 9, 'SHA-256'],
    ['a changed list of sums', 'SHA256SUMS', 9, 'signature'],
    ['a changed signature', 'SHA256SUMS.sig', 9, 'signature'],
  ])('refuses %s and changes nothing', async (_, name, exit, words) => {
    const bad = damaged(name, (bytes) => {
      bytes[bytes.length - 2]! ^= 1
      return bytes
    })
    const { code, stderr } = await install(['--from', bad])
    expect(code).toBe(exit)
    expect(stderr).toContain('error: ')
    expect(stderr).toContain(words)
    expect(stderr).toContain('hint: ')
    expect(existsSync(binary())).toBe(false)
    expect(leftovers()).toEqual([])
  })

  test('refuses a release signed with another key', async () => {
    const other = join(folder, 'other.pem')
    const { publicKey } = generateKeyPairSync('ed25519')
    writeFileSync(other, publicKey.export({ type: 'spki', format: 'pem' }))
    expect((await install(['--from', release, '--key', other])).code).toBe(9)
  })

  test('refuses a release when it holds no key and is given none', async () => {
    const bare = join(folder, 'bare.sh')
    copyFileSync(join(checkout, 'install.sh'), bare)
    const { code, stderr } = await runProgram(['sh', bare, '--prefix', prefix, '--from', release], {
      cwd: folder,
    })
    expect(code).toBe(9)
    expect(stderr).toContain('--key')
  })

  test.each([
    ['the sums are missing', 'SHA256SUMS'],
    ['the binary is missing', packed],
  ])('when %s, says so and keeps what was installed', async (_, name) => {
    expect((await install(['--from', release])).code).toBe(0)
    const before = readFileSync(binary()).length
    const { code, stderr } = await install(['--from', damaged(name, () => undefined)])
    expect(code).toBe(1)
    expect(stderr).toContain(name)
    expect(readFileSync(binary()).length).toBe(before)
  })

  test('when nobody answers, says so', async () => {
    const { code, stderr } = await install(['--from', 'http://127.0.0.1:9/none'])
    expect(code).toBe(1)
    expect(stderr).toContain('hint: ')
    expect(existsSync(binary())).toBe(false)
  }, 60_000)

  test('keeps a program of that name that it did not install', async () => {
    mkdirSync(join(prefix, 'bin'))
    writeFileSync(binary(), 'somebody else')
    const { code, stderr } = await install(['--from', release])
    expect(code).toBe(1)
    expect(stderr).toContain('--force')
    expect(readFileSync(binary(), 'utf8')).toBe('somebody else')
    expect((await install(['--from', release, '--force'])).code).toBe(0)
  })

  test.skipIf(!canMount)('when the disk is full, says so and changes nothing', async () => {
    const script = `mount -t tmpfs -o size=256k tmpfs "${prefix}" && mkdir -p "${prefix}/bin" && exec sh "${folder}/install.sh" --prefix "${prefix}" --from "${release}"`
    const { code, stderr } = await runProgram(['unshare', '--mount', 'sh', '-c', script])
    expect(code).toBe(1)
    expect(stderr).toContain('nothing was changed')
  })

  test('ends with 130 and nothing changed when it is interrupted', async () => {
    // A server that never answers: the script waits in its download until it is told to stop.
    const silent = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Promise<Response>(() => {}),
    })
    const child = Bun.spawn(['sh', script, '--prefix', prefix, '--from', `${silent.url}x`], {
      cwd: folder,
      stdin: 'ignore',
      stderr: 'pipe',
      detached: true,
    })
    const reader = child.stderr.getReader()
    const first = await reader.read()
    expect(new TextDecoder().decode(first.value)).toContain('Fetching')
    process.kill(-child.pid, 'SIGINT')
    expect(await child.exited).toBe(130)
    await silent.stop(true)
    expect(existsSync(binary())).toBe(false)
    expect(leftovers()).toEqual([])
  })

  test('--uninstall removes what it installed and nothing else', async () => {
    expect((await install(['--from', release])).code).toBe(0)
    writeFileSync(join(prefix, 'bin/other'), 'stays')
    expect((await install(['--uninstall', '--dry-run'])).stderr).toContain('Would remove')
    expect(existsSync(binary())).toBe(true)
    expect((await install(['--uninstall'])).code).toBe(0)
    expect(existsSync(binary())).toBe(false)
    expect(existsSync(join(prefix, 'bin/other'))).toBe(true)
    expect((await install(['--uninstall'])).stderr).toContain('Nothing of Callsign')
  })
})

describe('install.sh', () => {
  test('--dry-run says what it would do and does nothing', async () => {
    const { code, stderr } = await install(['--from', release, '--dry-run', '--demo'])
    expect(code).toBe(0)
    expect(stderr).toContain('Would install')
    expect(existsSync(join(prefix, 'bin'))).toBe(false)
  })

  test.each([
    [['--frm', 'x'], 'Unknown flag'],
    [['--from'], 'needs a value'],
    [['--purge'], '--uninstall'],
  ])('%j is wrong usage', async (args, words) => {
    const { code, stderr } = await install(args)
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })

  test('does nothing when its download was cut anywhere', async () => {
    const text = readFileSync(script, 'utf8')
    for (const share of [0.2, 0.5, 0.9, 0.999]) {
      const { stdout } = await runProgram(
        ['sh', '-s', '--', '--prefix', prefix, '--from', release],
        {
          cwd: folder,
          stdin: text.slice(0, Math.floor(text.length * share)),
        },
      )
      expect(stdout).toBe('')
      expect(existsSync(join(prefix, 'bin'))).toBe(false)
    }
  })

  test('without a checkout around it and without --from says what to give', async () => {
    const bare = join(folder, 'alone.sh')
    copyFileSync(join(checkout, 'install.sh'), bare)
    const { code, stderr } = await runProgram(['sh', bare, '--prefix', prefix], { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toContain('--from')
  })
})

describe('agent update', () => {
  /** A binary of its own, with the record that install.sh leaves. */
  function installed(): string {
    mkdirSync(join(prefix, 'bin'), { recursive: true })
    mkdirSync(join(prefix, 'share/callsign'), { recursive: true })
    copyFileSync(agentBinary(), binary(), constants.COPYFILE_FICLONE)
    writeFileSync(join(prefix, 'share/callsign/installed'), `${binary()}\n`)
    return binary()
  }
  const key = () => join(release, 'release.pem')

  test('takes a newer signed release over http', async () => {
    const agent = installed()
    const { code, stdout } = await runProgram([
      agent,
      'update',
      '--from',
      `${server.url}release`,
      '--key',
      key(),
      '--json',
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ updated: true, to: '9.9.9' })
    expect((await runProgram([agent, '--version'])).code).toBe(0)
    expect(leftovers()).toEqual([])
  })

  test('refuses what is changed or signed by another, with 9, and stays as it is', async () => {
    const agent = installed()
    const bad = damaged(packed, (bytes) => {
      bytes[100]! ^= 1
      return bytes
    })
    const changed = await runProgram([agent, 'update', '--from', bad, '--key', key()])
    expect(changed.code).toBe(9)
    const list = damaged('SHA256SUMS', (bytes) => Buffer.concat([bytes, Buffer.from('\n')]))
    expect((await runProgram([agent, 'update', '--from', list, '--key', key()])).code).toBe(9)
    expect((await runProgram([agent, '--version'])).code).toBe(0)
  })

  test('without --from takes the address it was built with, or says that there is none', async () => {
    const { code, stderr } = await runProgram([installed(), 'update', '--key', key()])
    expect(stderr).toContain('was not told where its releases are')
    expect(code).toBe(2)
  })

  test('does not go back to an older release unless told to', async () => {
    const agent = installed()
    const old = join(folder, 'old')
    await makeRelease(old, '0.0.1')
    const { code, stderr } = await runProgram([agent, 'update', '--from', old, '--key', key()])
    expect(code).toBe(0)
    expect(stderr).toContain('up to date')
    const down = await runProgram([agent, 'update', '--from', old, '--key', key(), '--downgrade'])
    expect(down.stderr).toContain('Updated')
  })

  test('agent uninstall removes itself, and says beforehand what', async () => {
    const agent = installed()
    expect((await runProgram([agent, 'uninstall', '--dry-run'])).stderr).toContain(agent)
    expect(existsSync(agent)).toBe(true)
    expect((await runProgram([agent, 'uninstall'])).code).toBe(0)
    expect(existsSync(agent)).toBe(false)
    expect(existsSync(join(prefix, 'share/callsign'))).toBe(false)
  })

  test('agent uninstall --purge takes what is of an agent and leaves the rest', async () => {
    const agent = installed()
    const home = mkdtempSync(join(folder, 'home-'))
    writeFileSync(join(home, 'letter'), 'dear')
    writeFileSync(join(home, 'outbox.db'), '')
    for (const name of ['lib', 'adapted']) mkdirSync(join(home, name))
    for (const name of ['host.key', 'alert-ids.secret', 'live.sock', 'local.db-wal'])
      writeFileSync(join(home, name), '')
    const { code } = await runProgram([agent, 'uninstall', '--purge', '--state', home])
    expect(code).toBe(0)
    expect(readdirSync(home)).toEqual(['letter'])
  })
})

/**
 * State and user of the service are one, however many binaries there are. In mounts of its own, for
 * the places are the host's.
 */
describe.skipIf(!canVerify || !canMount)('beside the service of a package', () => {
  const PLACES = `
    set -e
    mkdir -p /usr/lib/systemd/system /var/lib/callsign /run/stubs
    mount -t tmpfs tmpfs /usr/lib/systemd/system
    mount -t tmpfs tmpfs /var/lib/callsign
    mount -t tmpfs tmpfs /run/stubs
    touch /usr/lib/systemd/system/callsign.service /var/lib/callsign/outbox.db
    printf '#!/bin/sh\necho "$0 $*" >>/run/stubs/called\n' >/run/stubs/userdel
    cp /run/stubs/userdel /run/stubs/deluser
    printf '#!/bin/sh\n[ "$1" != callsign ] || exit 0\nexec /usr/bin/id "$@"\n' >/run/stubs/id
    chmod 755 /run/stubs/*
    export PATH=/run/stubs:$PATH
    `
  const there = 'ls /var/lib/callsign; cat /run/stubs/called 2>/dev/null || true'
  const inMounts = (commands: string) =>
    runProgram(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', PLACES + commands])

  test('install.sh --uninstall --purge of another prefix leaves state and user', async () => {
    expect((await install(['--from', release])).code).toBe(0)
    const uninstall = `sh ${script} --prefix ${prefix} --uninstall --purge`
    const { stdout, stderr, code } = await inMounts(`${uninstall}\n${there}`)
    expect(stderr).toContain('Another installation uses /var/lib/callsign and its user: they stay')
    expect(stderr).toContain(`Removed: ${binary()}`)
    expect({ stdout, code }).toEqual({ stdout: 'outbox.db\n', code: 0 })
  })

  test('alone, it removes both', async () => {
    expect((await install(['--from', release])).code).toBe(0)
    const uninstall = `sh ${script} --prefix ${prefix} --uninstall --purge`
    const { stdout } = await inMounts(`
      rm /usr/lib/systemd/system/callsign.service
      umount /var/lib/callsign
      mount --bind $(mktemp -d) /var/lib
      mkdir /var/lib/callsign
      ${uninstall}
      ls /var/lib; cat /run/stubs/called`)
    expect(stdout).toBe('/run/stubs/userdel callsign\n')
  })

  test('agent uninstall --purge, too', async () => {
    const own = join(prefix, 'bin/agent')
    mkdirSync(join(prefix, 'bin'), { recursive: true })
    mkdirSync(join(prefix, 'share/callsign'), { recursive: true })
    copyFileSync(agentBinary(), own, constants.COPYFILE_FICLONE)
    writeFileSync(join(prefix, 'share/callsign/installed'), `${own}\n`)
    const { stdout, stderr, code } = await inMounts(`
      ${own} uninstall --purge
      ${there}`)
    expect(stderr).toContain('uses /var/lib/callsign and its user: they stay')
    expect(stdout).toContain('outbox.db\n')
    expect(stdout).not.toContain('userdel')
    expect(code).toBe(0)
    expect(existsSync(own)).toBe(false)
  })
})
