/**
 * The newcomer's tour: what the documents say, done in clean systems with the real binary.
 *
 *   bun scripts/tour/tour.ts [--roots bookworm,trixie] [--tours newcomer,deb,rpm,openrc,service] [--work DIR]
 *
 * Needs root, debootstrap, the tools of a release (dpkg-deb, rpmbuild), systemd-nspawn for `service`.
 * A root is made once by debootstrap from the archive that this machine uses, and kept in the work
 * directory; each tour runs in an overlay of it that is thrown away. Two releases are built, 0.1.0
 * and 0.2.0, and served on 127.0.0.1. Each tour is a shell script in inside/; what it printed is
 * kept as transcript. `service` boots the root; the others share the processes of this machine, so
 * that the agent sees them as on a host.
 */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const HERE = import.meta.dir
const CHECKOUT = join(HERE, '../..')
const PORT = 8490
const URL_SERVED = `http://127.0.0.1:${PORT}`
const VERSIONS = ['0.1.0', '0.2.0'] as const
/** What a tour needs beside a plain system; installed into its overlay before it begins. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  newcomer: [],
  deb: [],
  rpm: ['rpm', 'dnf', 'createrepo-c'],
  // Not together with systemd-sysv on Debian 13.
  openrc: ['openrc'],
  service: [],
}
/** A Debian server has these beside the required and important packages. */
const BASE = ['ca-certificates', 'curl', 'dbus', 'procps', 'systemd-sysv', 'libpam-systemd']

const { values } = parseArgs({
  options: {
    roots: { type: 'string', default: 'bookworm,trixie' },
    tours: { type: 'string', default: 'newcomer,deb,rpm,openrc,service' },
    work: { type: 'string', default: '/var/tmp/callsign-tour' },
    /** Uses the releases that the work directory has. */
    'no-build': { type: 'boolean', default: false },
  },
})
const work = resolve(values.work)
const releases = join(work, 'releases')
for (const name of ['roots', 'run', 'transcripts']) mkdirSync(join(work, name), { recursive: true })

if (!values['no-build'] || !existsSync(join(releases, '0.2.0'))) await makeReleases()
/** The packages that these tours install. */
function formats(): string[] {
  const tours = values.tours.split(',')
  const deb = tours.includes('deb') || tours.includes('service') ? ['deb'] : []
  return [...deb, ...(tours.includes('rpm') ? ['rpm'] : [])]
}

/** The first release until `agent update` may have the second: each tour begins with the first. */
let served: (typeof VERSIONS)[number] = '0.1.0'
const server = serve()
const outcome: [tour: string, failed: string[], times: string[]][] = []
try {
  for (const root of values.roots.split(',')) {
    await makeRoot(root)
    for (const tour of values.tours.split(',')) outcome.push(await take(root, tour))
  }
} finally {
  await server.stop(true)
}
for (const [tour, failed, times] of outcome) {
  console.log(`${failed.length === 0 ? 'ok  ' : 'FAIL'} ${tour}`)
  for (const line of [...failed, ...times]) console.log(`     ${line}`)
}
process.exitCode = outcome.every(([, failed]) => failed.length === 0) ? 0 : 1

async function makeReleases(): Promise<void> {
  const key = join(work, 'key.pem')
  if (!existsSync(key))
    writeFileSync(
      key,
      generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
      { mode: 0o600 },
    )
  for (const version of VERSIONS)
    await run(
      [
        ...[process.execPath, 'scripts/release.ts', '--out', join(releases, version)],
        ...['--version', version, '--targets', 'linux-x64', '--formats', formats().join(',')],
        ...['--url', `${URL_SERVED}/callsign`],
      ],
      { cwd: CHECKOUT, env: { ...process.env, RELEASE_KEY_FILE: key } },
    )
}

function serve() {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: PORT,
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/newer') {
        served = '0.2.0'
        return new Response()
      }
      const name = /^\/callsign\/([\w.-]+)$/.exec(pathname)?.[1]
      const file = name === undefined ? undefined : Bun.file(join(releases, served, name))
      return file === undefined || file.size === 0
        ? new Response('none', { status: 404 })
        : new Response(file)
    },
  })
}

async function makeRoot(suite: string): Promise<void> {
  const root = join(work, 'roots', suite)
  if (existsSync(root)) return
  const aside = `${root}.new`
  rmSync(aside, { recursive: true, force: true })
  const mirror = await archive('Debian')
  console.log(`${suite}: debootstrap from ${mirror}`)
  await run(['debootstrap', `--include=${BASE.join(',')}`, suite, aside, mirror])
  writeFileSync(join(aside, 'etc/apt/sources.list'), `deb ${mirror} ${suite} main\n`)
  writeFileSync(join(aside, 'etc/dpkg/dpkg.cfg.d/tour'), 'force-unsafe-io\n')
  for (const file of ['etc/resolv.conf', 'etc/hosts'])
    writeFileSync(join(aside, file), readFileSync(`/${file}`))
  await run(['chroot', aside, 'apt-get', '-qq', 'update'])
  await run(['chroot', aside, 'apt-get', 'clean'])
  renameSync(aside, root)
}

/** The archive of this label that this machine itself uses. */
async function archive(label: string): Promise<string> {
  const said = await run([
    ...['apt-get', 'indextargets', '--format', '$(LABEL)|$(ORIGIN)|$(REPO_URI)'],
    'Created-By: Packages',
  ])
  const line = said.split('\n').find((line) => line.startsWith(`${label}|Debian|`))
  if (line === undefined) throw new Error(`This machine has no archive "${label}"`)
  return line.split('|')[2]!
}

async function take(root: string, tour: string): Promise<(typeof outcome)[number]> {
  served = '0.1.0'
  const name = `${root}-${tour}`
  const shared = join(work, 'run', name)
  rmSync(shared, { recursive: true, force: true })
  mkdirSync(join(shared, 'tour'), { recursive: true })
  console.log(`${name} …`)
  const child = Bun.spawn(
    [
      ...['unshare', '--mount', '--propagation', 'private', 'sh', join(HERE, 'enter.sh')],
      ...[join(work, 'roots', root), shared, releases, join(HERE, 'inside'), tour, URL_SERVED],
      ...(PACKAGES[tour] ?? []),
    ],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  )
  const [said, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  writeFileSync(join(work, 'transcripts', `${name}.txt`), said + errors)
  const lines = said.split('\n')
  const failed = lines.filter((line) => line.startsWith('FAIL'))
  if (code !== 0 && failed.length === 0) failed.push(`exit ${code}: ${errors.slice(-400)}`)
  rmSync(shared, { recursive: true, force: true })
  return [name, failed, lines.filter((line) => line.startsWith('time'))]
}

async function run(command: string[], options: object = {}): Promise<string> {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', ...options })
  const [said, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}\n${said}${errors}`)
  return said
}
