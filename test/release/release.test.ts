/**
 * What scripts/release.ts makes, with a program of two lines in place of the binary: the same
 * twice, signed, described, and right for the tools that will read it. The tools are Debian's; a
 * test whose tool is missing is skipped. Packages are installed, upgraded and purged by
 * packages.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createPublicKey, verify } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as CDX from '@cyclonedx/cyclonedx-library'
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { Namespace } from 'kubernetes-models/v1/Namespace'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import { runProgram } from '../support/agent-binary.ts'
import { isRoot } from '../support/privileges.ts'
import { has, makeRelease } from '../support/release.ts'

let folder = ''
let out = ''
const formats = [
  'tar',
  'recipes',
  ...(has('dpkg-deb') ? ['deb'] : []),
  ...(has('rpmbuild') ? ['rpm'] : []),
]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'release-test-'))
  out = join(folder, 'first')
  await makeRelease({ folder, out, formats })
}, 300_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (pattern: RegExp): string =>
  join(out, readdirSync(out).find((name) => pattern.test(name))!)
const text = (pattern: RegExp): string => readFileSync(file(pattern), 'utf8')

describe('a release', () => {
  test('is the same, byte for byte, when it is made again', async () => {
    const again = join(folder, 'again')
    await makeRelease({ folder, out: again, formats })
    expect(readFileSync(join(again, 'SHA256SUMS'), 'utf8')).toBe(text(/^SHA256SUMS$/))
  }, 300_000)

  test('says in a signed statement which files were built from which commit', () => {
    const { payloadType, payload, signatures } = JSON.parse(text(/intoto/))
    const body = Buffer.from(payload, 'base64')
    const signed = Buffer.concat([
      Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `),
      body,
    ])
    const signature = Buffer.from(signatures[0].sig, 'base64')
    expect(verify(null, signed, createPublicKey(text(/release\.pem/)), signature)).toBe(true)
    const { subject, predicate } = JSON.parse(body.toString())
    const sums = text(/^SHA256SUMS$/)
    for (const { name, digest } of subject) expect(sums).toContain(`${digest.sha256}  ${name}\n`)
    expect(subject.length).toBeGreaterThan(5)
    expect(predicate.buildDefinition.externalParameters.version).toBe('0.1.0')
  })

  test('lists what is in the binary as CycloneDX has it', async () => {
    const bill = text(/sbom/)
    const validator = new CDX.Validation.JsonStrictValidator(CDX.Spec.Version.v1dot6)
    expect(await validator.validate(bill)).toBeNull()
    const names = JSON.parse(bill).components.map(({ name }: { name: string }) => name)
    for (const dependency of ['mqtt', 'onnxruntime-node', 'bun'])
      expect(names).toContain(dependency)
    // What only tests use is not shipped.
    expect(names).not.toContain('typescript')
  })

  test('has manifests that Kubernetes takes', () => {
    const kinds = { DaemonSet, ConfigMap, Namespace, ServiceAccount }
    const documents = Bun.YAML.parse(text(/kubernetes\.yaml/)) as Record<string, unknown>[]
    expect(documents.map(({ kind }) => kind)).toEqual([
      ...['Namespace', 'ServiceAccount', 'ConfigMap', 'DaemonSet'],
    ])
    for (const document of documents) {
      const Kind = kinds[document.kind as keyof typeof kinds]
      expect(() => new Kind(document as never).validate()).not.toThrow()
    }
  })
})

test('the Helm chart bears the version of the release', async () => {
  const { stdout } = await runProgram([
    ...['tar', '-xzOf', file(/^callsign-helm-0\.1\.0\.tgz$/), 'callsign/Chart.yaml'],
  ])
  expect(stdout).toContain('\nversion: 0.1.0\nappVersion: 0.1.0\n')
  const { stdout: names } = await runProgram(['tar', '-tzf', file(/^callsign-helm-0\.1\.0\.tgz$/)])
  for (const name of ['values.yaml', 'values.schema.json', 'templates/callsign.yaml'])
    expect(names).toContain(`callsign/${name}\n`)
})

describe.skipIf(!isRoot || !has('mmdebstrap') || !has('skopeo'))('the image', () => {
  test('is one that others read, with the agent and libraries and nothing of this machine', async () => {
    const images = join(folder, 'images')
    await makeRelease({ folder, out: images, formats: ['oci'] })
    const archive = join(images, 'callsign-0.1.0-oci.tar')
    const inspected = await runProgram([
      ...['skopeo', 'inspect', '--config', '--override-arch', 'amd64', `oci-archive:${archive}`],
    ])
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      architecture: 'amd64',
      config: { Entrypoint: ['/usr/bin/agent'], Cmd: ['watch'] },
    })
    const { stdout } = await runProgram([
      ...['sh', '-c'],
      'mkdir "$1" && tar -xf "$0" -C "$1" && for blob in "$1"/blobs/sha256/*; do tar -tzf "$blob" 2>/dev/null; done',
      ...[archive, join(folder, 'layout')],
    ])
    const names = stdout.split('\n')
    for (const name of ['usr/bin/agent', 'etc/passwd', 'proc/']) expect(names).toContain(name)
    expect(names.some((name) => name.endsWith('/libstdc++.so.6'))).toBe(true)
    expect(names.filter((name) => /etc\/(apt|hostname|resolv)/.test(name))).toEqual([])
  }, 300_000)
})

describe.skipIf(!has('groff'))('the manual page', () => {
  test('has no fault that groff knows', async () => {
    const page = join(folder, 'agent.1')
    await runProgram([
      'sh',
      '-c',
      `tar -xOf "${file(/tar\.gz$/)}" --wildcards '*/agent.1.gz' | gzip -dc >"${page}"`,
    ])
    const { stderr } = await runProgram(['groff', '-man', '-ww', '-Tutf8', '-z', page])
    expect(stderr).toBe('')
    expect(readFileSync(page, 'utf8')).toContain('.SS agent watch\n')
  })
})

describe.skipIf(!has('lintian'))('lintian', () => {
  test('finds no error in the Debian package', async () => {
    const { code, stdout } = await runProgram(
      ['lintian', '--allow-root', '--fail-on', 'error', '--no-cfg', file(/\.deb$/)],
      { limitMs: 280_000 },
    )
    expect(stdout.split('\n').filter((line) => line.startsWith('E:'))).toEqual([])
    expect(code).toBe(0)
  }, 300_000)
})

describe.skipIf(!has('rpm') || !has('rpmbuild'))('rpm', () => {
  test('takes the digests of the package, and lists what it should hold', async () => {
    const home = join(folder, 'rpm-home')
    mkdirSync(home)
    const checked = await runProgram(['rpm', '--checksig', '--nosignature', file(/\.rpm$/)], {
      env: { HOME: home },
    })
    expect(checked.stdout).toContain('digests OK')
    const { stdout } = await runProgram(['rpm', '-qp', '--nosignature', '-lv', file(/\.rpm$/)], {
      env: { HOME: home },
    })
    expect(stdout).toMatch(/^-rwxr-x---\s+1 root\s+callsign\s.* \/usr\/bin\/agent$/m)
    expect(stdout).toMatch(/^drwx------\s+\d+ callsign\s+callsign\s.* \/var\/lib\/callsign$/m)
  })
})

describe.skipIf(!has('ansible-lint'))('ansible-lint', () => {
  test('finds nothing in the role', async () => {
    const settings = join(folder, 'ansible-lint.yml')
    writeFileSync(settings, '{}\n')
    const { code, stdout, stderr } = await runProgram(
      ['ansible-lint', '--offline', '-q', '-c', settings, 'packaging/ansible'],
      { cwd: join(import.meta.dir, '../..'), env: { HOME: folder }, limitMs: 280_000 },
    )
    expect(`${stdout}${stderr}`.trim()).toBe('')
    expect(code).toBe(0)
  }, 300_000)
})

describe.skipIf(!has('systemd-analyze'))('systemd-analyze security', () => {
  test('gives the unit at most 2.0', async () => {
    const { stdout } = await runProgram([
      ...['systemd-analyze', 'security', '--offline=yes', '--no-pager'],
      join(import.meta.dir, '../../packaging/callsign.service'),
    ])
    const exposure = Number(/exposure level for callsign.service: ([\d.]+)/.exec(stdout)?.[1])
    expect(exposure).toBeLessThanOrEqual(2)
  })
})
