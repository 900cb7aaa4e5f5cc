import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { installRecord, packageCommands, stateFiles } from '../../src/operate/installation.ts'

let root = ''
const put = (path: string, text = '') => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'installation-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('packageCommands()', () => {
  test('names no manager where no package has the binary', () =>
    expect(packageCommands('/usr/bin/agent', root)).toBeUndefined())

  test('names apt for a file of the Debian package, and for no other', () => {
    put('var/lib/dpkg/info/callsign.list', '/.\n/usr/bin\n/usr/bin/agent\n')
    expect(packageCommands('/usr/bin/agent', root)?.remove).toStartWith('apt remove callsign')
    expect(packageCommands('/usr/local/bin/agent', root)).toBeUndefined()
    rmSync(join(root, 'var'), { recursive: true })
  })

  test('names dnf where the RPM lies', () => {
    put('usr/share/licenses/callsign/LICENSE')
    expect(packageCommands('/usr/bin/agent', root)?.upgrade).toStartWith('dnf upgrade')
    expect(packageCommands('/opt/bin/agent', root)).toBeUndefined()
  })
})

test('installRecord() lies where install.sh puts it', () =>
  expect(installRecord('/usr/local/bin/agent')).toBe('/usr/local/share/callsign/installed'))

test('stateFiles() has the key of an enrolled host, and nothing that is not of an agent', () => {
  for (const path of ['a/letter', 'a/local.db-wal', 'a/host.key', 'a/tls/key.pem', 'b/tls/key.pem'])
    put(path)
  put('a/tls/enrolment.json', '{}')
  const at = (...paths: string[]) => paths.map((path) => join(root, path))
  expect(stateFiles(join(root, 'a')).sort()).toEqual(at('a/host.key', 'a/local.db-wal', 'a/tls'))
  expect(stateFiles(join(root, 'b'))).toEqual([])
  expect(stateFiles(join(root, 'c'))).toEqual([])
})
