/**
 * Makes a release that install.sh and `agent update` take, as plain files in one directory:
 *
 *   RELEASE_KEY_FILE=private.pem bun scripts/release.ts --out dist/release [--url https://…]
 *   [--targets …]
 *
 * agent-<target>.gz (gzip: a bare host has nothing better), the service's files, VERSION,
 * install.sh with the public key filled in, SHA256SUMS over all of them with version and date in
 * its first line, SHA256SUMS.sig (Ed25519). The private key is read from the file named by the
 * environment and written nowhere; make one with `openssl genpkey -algorithm ed25519 -out
 * private.pem`.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import {
  copyFileSync,
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

const checkout = fileURLToPath(new URL('../', import.meta.url))

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'dist/release' },
    targets: { type: 'string', default: 'linux-x64,linux-arm64' },
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
const out = resolve(values.out)
if (existsSync(out)) rmSync(out, { recursive: true })
mkdirSync(out, { recursive: true })

values.targets.split(',').forEach((target, i) => {
  const binary = i === 0 && values.binary !== undefined ? values.binary : build(target)
  const packed = Bun.gzipSync(readFileSync(binary), { level: 6 })
  writeFileSync(join(out, `agent-${target}.gz`), packed)
})
for (const service of ['callsign.service', 'callsign.openrc'])
  copyFileSync(join(checkout, 'packaging', service), join(out, service))
writeFileSync(join(out, 'VERSION'), `${values.version}\n`)
writeFileSync(join(out, 'install.sh'), filledIn(readFileSync(join(checkout, 'install.sh'), 'utf8')))
// sha256sum passes over the first line. It is signed with the sums, so nobody can offer an old
// release as a new one.
const head = `# callsign ${values.version} ${new Date().toISOString().slice(0, 19)}Z\n`
const lines = readdirSync(out)
  .sort()
  .map((name) => `${sha256(join(out, name))}  ${name}\n`)
const sums = head + lines.join('')
writeFileSync(join(out, 'SHA256SUMS'), sums)
writeFileSync(join(out, 'SHA256SUMS.sig'), sign(null, Buffer.from(sums), key))
writeFileSync(join(out, 'release.pem'), publicPem)
process.stdout.write(`${out}\n${sums}`)

function privateKey(): KeyObject {
  const path = process.env.RELEASE_KEY_FILE
  if (path === undefined) fail('RELEASE_KEY_FILE names no private key')
  const loaded = createPrivateKey(readFileSync(path))
  if (loaded.asymmetricKeyType !== 'ed25519') fail(`${path} is no Ed25519 key`)
  return loaded
}

function build(target: string): string {
  const work = mkdtempSync(join(tmpdir(), 'release-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  const keyFile = join(work, 'key.pem')
  writeFileSync(keyFile, publicPem)
  const binary = join(work, 'agent')
  const script = join(checkout, 'scripts/build.ts')
  const address = values.url === '' ? [] : ['--url', values.url]
  const run = Bun.spawnSync(
    [process.execPath, script, '--target', target, '--out', binary, '--key', keyFile, ...address],
    { stdout: 'ignore', stderr: 'inherit' },
  )
  if (!run.success) fail(`cannot build ${target}`)
  return binary
}

/** install.sh with the key that it shall trust and the address that it shall use. */
function filledIn(script: string): string {
  const body = publicPem.split('\n').slice(1, -2).join('')
  return script
    .replace("RELEASE_KEY=''", `RELEASE_KEY='${body}'`)
    .replace("RELEASE_URL=''", `RELEASE_URL='${values.url}'`)
}

function sha256(path: string): string {
  return new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex')
}

function fail(message: string): never {
  process.stderr.write(`error: ${message}\n`)
  process.exit(1)
}
