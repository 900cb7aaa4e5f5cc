/**
 * Packages installed, upgraded, rolled back, removed and purged by dpkg and rpm, in a copy of this
 * system that is gone afterwards: what each step leaves, and that nothing is left at the end.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../support/agent-binary.ts'
import { canMount, isRoot } from '../support/privileges.ts'
import { has, makeRelease } from '../support/release.ts'

const canInstall = isRoot && canMount && has('dpkg-deb') && has('adduser')
const SCRATCH = join(import.meta.dir, '../support/scratch-root.sh')

let folder = ''
beforeAll(async () => {
  if (!canInstall) return
  folder = mkdtempSync(join(tmpdir(), 'packages-'))
  const formats = ['deb', ...(has('rpmbuild') ? ['rpm'] : [])]
  for (const version of ['0.1.0', '0.2.0'])
    await makeRelease({ folder, out: join(folder, version), formats, version })
}, 300_000)
afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
})

/**
 * What differs from this system: files that are there or are gone (a device in the upper layer). Not
 * the package managers' own records, and not accounts, which are compared by their content.
 */
const LISTING = `
record() {
  (cd /mnt/upper && find . \\( -path ./mnt -o -path ./var/lib/dpkg -o -path ./var/lib/rpm \\
    -o -path ./var/cache -o -path ./var/log -o -path ./tmp -o -path ./run \\) -prune -o ! -type d -print) |
    grep -Ev '^./etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^./etc/.pwd.lock$' | sort >"/mnt/shared/$1.list" || :
  cat /etc/passwd /etc/group >>"/mnt/shared/$1.list"
}
`

async function inScratchRoot(script: string): Promise<string> {
  writeFileSync(join(folder, 'script.sh'), `set -eu\n${LISTING}${script}`)
  const { code, stdout, stderr } = await runProgram(
    ['unshare', '--mount', '--pid', '--fork', 'sh', SCRATCH, folder, 'script.sh'],
    { env: { DEBIAN_FRONTEND: 'noninteractive' }, limitMs: 280_000 },
  )
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}${stdout}`)
  return stdout
}

const lines = async (name: string) =>
  (await Bun.file(join(folder, `${name}.list`)).text()).split('\n')

/** What the second list has and the first has not. */
async function added(before: string, after: string): Promise<string[]> {
  const known = new Set(await lines(before))
  return (await lines(after)).filter((line) => !known.has(line))
}

describe.skipIf(!canInstall)('the Debian package', () => {
  test('is installed, upgraded, rolled back, removed and purged, and nothing is left', async () => {
    const stdout = await inScratchRoot(`
      deb() { echo "/mnt/shared/$1/callsign_$1_amd64.deb"; }
      rm -rf /var/lib/callsign /etc/callsign
      record before
      # As an agent leaves it that somebody ran as root before.
      install -d -m 0700 /var/lib/callsign; : >/var/lib/callsign/lock.db
      dpkg --install --force-depends "$(deb 0.1.0)" >/dev/null 2>&1
      record installed
      stat -c '%a %U:%G' /usr/bin/agent /var/lib/callsign
      stat -c %U /var/lib/callsign/lock.db
      agent --version
      echo kept >/var/lib/callsign/state; echo 'site = "kept"' >>/etc/callsign/agent.toml
      dpkg --install --force-depends "$(deb 0.2.0)" >/dev/null 2>&1
      agent --version; cat /var/lib/callsign/state; tail -n 1 /etc/callsign/agent.toml
      dpkg --install --force-depends "$(deb 0.1.0)" >/dev/null 2>&1
      agent --version; cat /var/lib/callsign/state; tail -n 1 /etc/callsign/agent.toml
      dpkg --remove callsign >/dev/null 2>&1
      ls /usr/bin/agent 2>/dev/null || echo gone; cat /var/lib/callsign/state
      dpkg --purge callsign >/dev/null 2>&1
      record after
    `)
    expect(stdout.trim().split('\n')).toEqual([
      '750 root:callsign',
      ...['700 callsign:callsign', 'callsign'],
      'agent 0.1.0 (small)',
      ...['agent 0.2.0 (small)', 'kept', 'site = "kept"'],
      ...['agent 0.1.0 (small)', 'kept', 'site = "kept"'],
      ...['gone', 'kept'],
    ])
    const installed = await added('before', 'installed')
    for (const path of ['./usr/bin/agent', './etc/callsign/agent.toml'])
      expect(installed).toContain(path)
    expect(await lines('after')).toEqual(await lines('before'))
  }, 300_000)
})

describe.skipIf(!canInstall || !has('rpm') || !has('rpmbuild'))('the RPM package', () => {
  test('is installed, upgraded and removed; settings and state of its user stay', async () => {
    const rpm = readdirSync(join(folder, '0.1.0')).find((name) => name.endsWith('.rpm'))!
    const stdout = await inScratchRoot(`
      rpm() { command rpm --dbpath /var/lib/rpm --force-debian --nodeps --nosignature "$@" 2>&1; }
      rm -rf /var/lib/callsign /etc/callsign
      record rpm-before
      rpm --install /mnt/shared/0.1.0/${rpm}
      stat -c '%a %U:%G' /usr/bin/agent /var/lib/callsign
      echo kept >/var/lib/callsign/state; echo 'site = "kept"' >>/etc/callsign/agent.toml
      rpm --upgrade /mnt/shared/0.2.0/${rpm.replace('0.1.0', '0.2.0')}
      agent --version; cat /var/lib/callsign/state; tail -n 1 /etc/callsign/agent.toml
      rpm --upgrade --oldpackage /mnt/shared/0.1.0/${rpm}
      agent --version; cat /var/lib/callsign/state
      rpm --erase callsign >/dev/null
      cat /var/lib/callsign/state
      # What docs/install.md says to do for the rest.
      rm -rf /var/lib/callsign /etc/callsign; userdel callsign
      record rpm-after
    `)
    expect(stdout.trim().split('\n')).toEqual([
      '750 root:callsign',
      '700 callsign:callsign',
      ...['agent 0.2.0 (small)', 'kept', 'site = "kept"'],
      ...['agent 0.1.0 (small)', 'kept'],
      'kept',
    ])
    expect(await lines('rpm-after')).toEqual(await lines('rpm-before'))
  }, 300_000)
})
