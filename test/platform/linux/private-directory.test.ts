import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  isNoexecIn,
  isOurFile,
  privateDirectory,
  requireOwnFile,
  troubleWithOwner,
} from '../../../src/platform/linux/private-directory.ts'

const root = process.geteuid?.() === 0
let base = ''
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'private-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const modeOf = (path: string) => statSync(path).mode & 0o777

describe('troubleWithOwner()', () => {
  const file = () => {
    const path = join(base, 'agent.toml')
    writeFileSync(path, '', { mode: 0o644 })
    return path
  }

  test('trusts what only we and root can change, also through a link', () => {
    const path = file()
    symlinkSync(path, join(base, 'link'))
    expect(troubleWithOwner(path)).toBeUndefined()
    expect(troubleWithOwner(join(base, 'link'))).toBeUndefined()
    expect(troubleWithOwner('/etc/passwd')).toBeUndefined()
  })

  test('names what others can write to, itself or above it', () => {
    const path = file()
    chmodSync(path, 0o666)
    expect(troubleWithOwner(path)).toBe('can be written to by others')
    chmodSync(path, 0o644)
    chmodSync(base, 0o777)
    expect(troubleWithOwner(path)).toBe(`can be replaced by others, through "${base}"`)
  })

  test.skipIf(!root)(
    'names what belongs to another user, but for the one who became root by sudo',
    () => {
      const path = file()
      chownSync(path, 65_534, 65_534)
      expect(troubleWithOwner(path)).toBe('belongs to another user')
      process.env.SUDO_UID = '65534'
      expect(troubleWithOwner(path)).toBeUndefined()
      delete process.env.SUDO_UID
    },
  )
})

describe('privateDirectory()', () => {
  test('makes a missing one, for us alone', () => {
    const path = join(base, 'a/lib')
    expect(privateDirectory(path)).toBeUndefined()
    expect(modeOf(path)).toBe(0o700)
  })

  test('keeps what we put there', () => {
    const path = join(base, 'lib')
    privateDirectory(path)
    writeFileSync(join(path, 'x.so'), 'ours', { mode: 0o600 })
    expect(privateDirectory(path)).toBeUndefined()
    expect(existsSync(join(path, 'x.so'))).toBe(true)
  })

  test('refuses one that others can write to, and leaves it as it is', () => {
    const path = join(base, 'open')
    mkdirSync(path)
    writeFileSync(join(path, 'theirs'), '')
    for (const mode of [0o777, 0o775, 0o1777]) {
      chmodSync(path, mode)
      expect(privateDirectory(path)).toBe('can be written to by others')
      expect(statSync(path).mode & 0o7777).toBe(mode)
    }
    expect(existsSync(join(path, 'theirs'))).toBe(true)
  })

  test('refuses a symbolic link in its own place', () => {
    mkdirSync(join(base, 'elsewhere'))
    symlinkSync(join(base, 'elsewhere'), join(base, 'lib'))
    expect(privateDirectory(join(base, 'lib'))).toMatch(/is no directory|cannot be used/)
  })

  test.skipIf(!root)('refuses one that is reached by a link of somebody else', () => {
    mkdirSync(join(base, 'ours'))
    mkdirSync(join(base, 'theirs'))
    symlinkSync(join(base, 'ours'), join(base, 'theirs/link'))
    chownSync(join(base, 'theirs'), 65_534, 65_534)
    expect(privateDirectory(join(base, 'theirs/link/state'))).toContain('can be replaced by others')
  })

  test('takes one that is reached by a link of ours', () => {
    mkdirSync(join(base, 'ours'))
    symlinkSync(join(base, 'ours'), join(base, 'link'))
    expect(privateDirectory(join(base, 'link/state'))).toBeUndefined()
  })

  test('refuses one below a folder that anybody can change', () => {
    const open = join(base, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    expect(privateDirectory(join(open, 'lib'))).toContain('replaced by others')
  })

  test.skipIf(!root)('refuses one that belongs to another user (as root)', () => {
    const path = join(base, 'lib')
    mkdirSync(path)
    chownSync(path, 65534, 65534)
    expect(privateDirectory(path)).toBe('belongs to another user')
  })
})

describe('isOurFile()', () => {
  test('is true for a file that we wrote and only we can write', () => {
    const path = join(base, 'x.so')
    expect(isOurFile(path)).toBe(false)
    writeFileSync(path, '', { mode: 0o600 })
    expect(isOurFile(path)).toBe(true)
    chmodSync(path, 0o666)
    expect(isOurFile(path)).toBe(false)
  })

  test('is false for a symbolic link, and for a directory', () => {
    symlinkSync('/etc/passwd', join(base, 'link.so'))
    expect(isOurFile(join(base, 'link.so'))).toBe(false)
    expect(isOurFile(base)).toBe(false)
  })

  test.skipIf(!root)('is false for the file of another user (as root)', () => {
    const path = join(base, 'theirs.so')
    writeFileSync(path, '')
    chownSync(path, 65534, 65534)
    expect(isOurFile(path)).toBe(false)
  })
})

describe('isNoexecIn()', () => {
  const mounts = [
    '21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
    '22 21 0:2 / /tmp rw,nosuid,noexec - tmpfs tmp rw',
    '23 22 0:3 / /tmp/open rw - tmpfs tmp rw',
    '24 21 0:4 / /a\\040b rw,noexec - tmpfs tmp rw',
    '25 21 0:5 / /twice rw,noexec - tmpfs tmp rw',
    '26 25 0:6 / /twice rw - tmpfs tmp rw',
  ].join('\n')
  test.each([
    ['/var/lib/callsign', false],
    ['/tmp', true],
    ['/tmp/x', true],
    ['/tmpfile', false],
    ['/tmp/open/x', false],
    ['/a b/c', true],
    ['/twice/x', false],
  ])('finds the mount that holds %s', (path, noexec) => {
    expect(isNoexecIn(path, mounts)).toBe(noexec)
  })
})

test('requireOwnFile() refuses what others can change, and leaves what is missing to its reader', () => {
  const path = join(base, 'ca.pem')
  expect(() => requireOwnFile(path, '--ca')).not.toThrow()
  writeFileSync(path, '')
  chmodSync(path, 0o600)
  expect(() => requireOwnFile(path, '--ca')).not.toThrow()
  chmodSync(path, 0o606)
  expect(() => requireOwnFile(path, '--ca')).toThrow(
    `Cannot use --ca "${path}": it can be written to by others`,
  )
})
