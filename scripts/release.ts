/**
 * Makes a release, as plain files in one directory:
 *
 *   RELEASE_KEY_FILE=private.pem bun scripts/release.ts --out dist/release [--url https://…] [--targets …] [--formats …]
 *
 * For install.sh and `agent update`: agent-<target>.gz (gzip: a bare host has nothing better), the
 * files of the service, install.sh with the public key filled in, VERSION, SHA256SUMS over all of
 * them with version and date in its first line, SHA256SUMS.sig (Ed25519). For everybody else, by
 * --formats: tar (.tar.gz, .tar.zst), deb, rpm, oci (an image), recipes (Kubernetes manifest,
 * Helm chart, Ansible role, Prometheus rules, Grafana dashboard). With all of them: sbom.cdx.json (CycloneDX) and provenance.intoto.json (SLSA).
 *
 * The same commit gives the same files: times are that of the commit, or SOURCE_DATE_EPOCH.
 * Packages for x86_64 hold the baseline build, which every such processor runs. The private key is
 * read from the file named by the environment and written nowhere; make one with `openssl genpkey
 * -algorithm ed25519 -out private.pem`.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import {
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
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { makeArchives, tarOf } from './release/archive.ts'
import { makeDeb } from './release/deb.ts'
import { fail } from './release/fail.ts'
import { makeImage } from './release/oci.ts'
import { provenance } from './release/provenance.ts'
import { makeRpm } from './release/rpm.ts'
import { billOfMaterials } from './release/sbom.ts'
import { gzip, makeTree } from './release/tree.ts'

const checkout = fileURLToPath(new URL('../', import.meta.url))
const FORMATS = ['tar', 'deb', 'rpm', 'oci', 'recipes'] as const

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'dist/release' },
    targets: { type: 'string', default: 'linux-x64,linux-x64-baseline,linux-arm64' },
    /** What is made beside the files of install.sh; '' for nothing. */
    formats: { type: 'string', default: FORMATS.join(',') },
    /** Where the release will be served: install.sh and "agent update" then need no --from. */
    url: { type: 'string', default: '' },
    /** A binary that is built already, for the first target. */
    binary: { type: 'string' },
    /** For tests of updates. */
    version: { type: 'string', default: manifest.version },
  },
})

const key = privateKey()
const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
const { version } = values
const commit = git('rev-parse', 'HEAD')
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? git('log', '-1', '--format=%ct'))
if (!Number.isSafeInteger(epoch)) fail('no time of the commit is known: set SOURCE_DATE_EPOCH')
const targets = values.targets.split(',')
const formats = values.formats.split(',').filter((format) => format !== '')
for (const format of formats)
  if (!(FORMATS as readonly string[]).includes(format))
    fail(`no format "${format}"; there are ${FORMATS.join(', ')}`)
const out = resolve(values.out)
if (existsSync(out)) rmSync(out, { recursive: true })
mkdirSync(out, { recursive: true })
const work = mkdtempSync(join(tmpdir(), 'release-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

const binaries = new Map(
  targets.map((target, i) => [
    target,
    i === 0 && values.binary !== undefined ? resolve(values.binary) : build(target),
  ]),
)
for (const [target, binary] of binaries)
  writeFileSync(join(out, `agent-${target}.gz`), gzip(readFileSync(binary)))
for (const service of ['callsign.service', 'callsign.openrc'])
  copyFileSync(join(checkout, 'packaging', service), join(out, service))
writeFileSync(join(out, 'VERSION'), `${version}\n`)
writeFileSync(join(out, 'install.sh'), filledIn(readFileSync(join(checkout, 'install.sh'), 'utf8')))
const trees = await makePackages()
if (formats.includes('oci')) makeImage({ version, epoch, out, trees })
if (formats.includes('recipes')) makeRecipes()
if (formats.length > 0) {
  writeFileSync(join(out, 'sbom.cdx.json'), billOfMaterials(checkout, version, epoch))
  const built = { version, commit, bun: Bun.version, targets, epoch }
  writeFileSync(
    join(out, 'provenance.intoto.json'),
    provenance({ ...built, subjects: sumsOf(out) }, key),
  )
}
// sha256sum passes over the first line. It is signed with the sums, so nobody can offer an old
// release as a new one.
const date = `${new Date(epoch * 1000).toISOString().slice(0, 19)}Z`
const lines = [...sumsOf(out)].map(([name, sum]) => `${sum}  ${name}\n`)
const sums = `# callsign ${version} ${date}\n${lines.join('')}`
writeFileSync(join(out, 'SHA256SUMS'), sums)
writeFileSync(join(out, 'SHA256SUMS.sig'), sign(null, Buffer.from(sums), key))
writeFileSync(join(out, 'release.pem'), publicPem)
process.stdout.write(`${out}\n${sums}`)

/** @returns the trees that an image is made of */
async function makePackages(): Promise<Partial<Record<'x64' | 'arm64', string>>> {
  const trees: Partial<Record<'x64' | 'arm64', string>> = {}
  for (const [target, binary] of binaries) {
    const tree = join(work, `tree-${target}`)
    const options = { checkout, binary, version, epoch }
    if (formats.includes('tar')) {
      await makeTree(tree, options)
      makeArchives(tree, `callsign-${version}-${target}`, epoch, out)
    }
    const arch = target === 'linux-arm64' ? 'arm64' : 'x64'
    // Where both builds for x86_64 are made, the packages hold the baseline.
    if (target === 'linux-x64' && binaries.has('linux-x64-baseline')) continue
    for (const [format, make] of [
      ['rpm', makeRpm],
      ['deb', makeDeb],
    ] as const) {
      if (!formats.includes(format)) continue
      await makeTree(tree, options)
      make({ checkout, tree, version, arch, epoch, out })
    }
    await makeTree(tree, options)
    trees[arch] = tree
  }
  return trees
}

/** Recipes for clusters and fleets. */
function makeRecipes(): void {
  const folder = join(checkout, 'packaging')
  copyFileSync(join(folder, 'kubernetes/callsign.yaml'), join(out, 'callsign-kubernetes.yaml'))
  const mixin = join(folder, 'mixin')
  copyFileSync(join(mixin, 'rules.yaml'), join(out, 'callsign-prometheus-rules.yaml'))
  copyFileSync(join(mixin, 'dashboard.json'), join(out, 'callsign-grafana-dashboard.json'))
  const role = tarOf(join(folder, 'ansible'), epoch, 'callsign-ansible/')
  writeFileSync(join(out, `callsign-ansible-${version}.tgz`), gzip(role))
  const chart = join(work, 'chart')
  cpSync(join(folder, 'helm'), chart, { recursive: true })
  const about = join(chart, 'Chart.yaml')
  writeFileSync(about, readFileSync(about, 'utf8').replaceAll('0.0.0', version))
  writeFileSync(join(out, `callsign-helm-${version}.tgz`), gzip(tarOf(chart, epoch, 'callsign/')))
}

function privateKey(): KeyObject {
  const path = process.env.RELEASE_KEY_FILE
  if (path === undefined) fail('RELEASE_KEY_FILE names no private key')
  const loaded = createPrivateKey(readFileSync(path))
  if (loaded.asymmetricKeyType !== 'ed25519') fail(`${path} is no Ed25519 key`)
  return loaded
}

function build(target: string): string {
  const keyFile = join(work, 'key.pem')
  writeFileSync(keyFile, publicPem)
  const binary = join(work, `agent-${target}`)
  const script = join(checkout, 'scripts/build.ts')
  const address = values.url === '' ? [] : ['--url', values.url]
  const built = Bun.spawnSync(
    [
      ...[process.execPath, script, '--target', target, '--out', binary, '--key', keyFile],
      ...['--version', version, ...address],
    ],
    { stdout: 'ignore', stderr: 'inherit' },
  )
  if (!built.success) fail(`cannot build ${target}`)
  return binary
}

/** install.sh with the key that it shall trust and the address that it shall use. */
function filledIn(script: string): string {
  const body = publicPem.split('\n').slice(1, -2).join('')
  return script
    .replace("RELEASE_KEY=''", `RELEASE_KEY='${body}'`)
    .replace("RELEASE_URL=''", `RELEASE_URL='${values.url}'`)
}

function sumsOf(directory: string): Map<string, string> {
  return new Map(
    readdirSync(directory)
      .sort()
      .map((name) => [name, sha256(join(directory, name))]),
  )
}

function sha256(path: string): string {
  return new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex')
}

/** '' in a source archive without git. */
function git(...words: string[]): string {
  return Bun.spawnSync(['git', '-C', checkout, ...words], { stderr: 'ignore' })
    .stdout.toString()
    .trim()
}
