/**
 * An image in the OCI layout (a tar that podman, skopeo, nerdctl and docker load), written without
 * a daemon: the C library and what goes with it from Debian (mmdebstrap, not run, so that other
 * architectures work), then the tree. For several architectures in one index. [OCI image-spec 1.1]
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tarOf } from './archive.ts'
import { run } from './fail.ts'
import { gzip, setTimes } from './tree.ts'

export interface ImageOptions {
  readonly version: string
  readonly epoch: number
  readonly out: string
  /** Trees by architecture. */
  readonly trees: Readonly<Partial<Record<'x64' | 'arm64', string>>>
}

const SUITE = 'bookworm'
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6']
/** What comes from the machine that builds, or is of use to dpkg alone. */
const NOT_SHIPPED = [
  ...['dev', 'proc', 'sys', 'run', 'tmp'],
  ...['apt', 'dpkg', 'fstab', 'hostname', 'resolv.conf'].map((name) => `etc/${name}`),
  ...['lib/apt', 'lib/dpkg', 'cache', 'log'].map((name) => `var/${name}`),
]
/** Where a runtime mounts what it brings. */
const MOUNT_POINTS = ['proc', 'sys', 'dev', 'run', 'tmp']
const MEDIA = 'application/vnd.oci.image'
/** Of the image alone; nobody logs in there. */
const UID = 61_184
const PASSWD = `root:x:0:0:root:/root:/usr/sbin/nologin\ncallsign:x:${UID}:${UID}:Callsign agent:/var/lib/callsign:/usr/sbin/nologin\n`
const GROUP = `root:x:0:\ncallsign:x:${UID}:\n`

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly platform?: object
  readonly annotations?: object
}

/** @returns path of the archive */
export function makeImage({ version, epoch, out, trees }: ImageOptions): string {
  const layout = mkdtempSync(join(tmpdir(), 'oci-'))
  const blobs = join(layout, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const created = new Date(epoch * 1000).toISOString()
  const blob = (mediaType: string, content: Uint8Array | object): Descriptor => {
    const bytes =
      content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content))
    const digest = sha256(bytes)
    writeFileSync(join(blobs, digest), bytes)
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length }
  }
  const manifests = Object.entries(trees).map(([arch, tree]) => {
    const architecture = arch === 'x64' ? 'amd64' : 'arm64'
    const layers = [baseLayer(architecture, epoch), agentLayer(tree, epoch)]
    const config = blob(`${MEDIA}.config.v1+json`, {
      created,
      ...{ architecture, os: 'linux' },
      config: {
        Entrypoint: ['/usr/bin/agent'],
        Cmd: ['watch'],
        Env: ['PATH=/usr/bin:/bin'],
        Volumes: { '/var/lib/callsign': {} },
        Labels: {
          'org.opencontainers.image.title': 'callsign',
          'org.opencontainers.image.version': version,
          'org.opencontainers.image.licenses': 'MIT',
        },
      },
      rootfs: { type: 'layers', diff_ids: layers.map((tar) => `sha256:${sha256(tar)}`) },
      history: [
        { created, created_by: `${LIBRARIES.join(' ')} of Debian ${SUITE}` },
        { created, created_by: `callsign ${version}` },
      ],
    })
    const packed = layers.map((tar) => blob(`${MEDIA}.layer.v1.tar+gzip`, gzip(tar)))
    const manifest = blob(`${MEDIA}.manifest.v1+json`, {
      ...{ schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json` },
      ...{ config, layers: packed },
    })
    return { ...manifest, platform: { architecture, os: 'linux' } }
  })
  const index = { schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests }
  const named = { 'org.opencontainers.image.ref.name': version }
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({
      ...index,
      manifests: [{ ...blob(`${MEDIA}.index.v1+json`, index), annotations: named }],
    }),
  )
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const target = join(out, `callsign-${version}-oci.tar`)
  writeFileSync(target, tarOf(layout, epoch))
  rmSync(layout, { recursive: true })
  return target
}

function baseLayer(architecture: string, epoch: number): Uint8Array {
  const root = mkdtempSync(join(tmpdir(), 'base-'))
  try {
    run(
      [
        ...['mmdebstrap', '--quiet', '--variant=extract', '--format=directory', '--mode=root'],
        ...[`--architectures=${architecture}`, `--include=${LIBRARIES.join(',')}`],
        // Links of the merged /usr, which base-files of this release makes elsewhere.
        ...['--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr'],
        ...[
          '--dpkgopt=path-exclude=/usr/share/doc/*',
          '--dpkgopt=path-exclude=/usr/share/locale/*',
        ],
        ...[SUITE, root],
      ],
      { env: { SOURCE_DATE_EPOCH: String(epoch) } },
    )
    for (const path of NOT_SHIPPED) rmSync(join(root, path), { recursive: true, force: true })
    return tarOf(root, epoch)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function agentLayer(tree: string, epoch: number): Uint8Array {
  const layer = mkdtempSync(join(tmpdir(), 'layer-'))
  try {
    cpSync(join(tree, 'usr/bin'), join(layer, 'usr/bin'), { recursive: true })
    mkdirSync(join(layer, 'etc/callsign'), { recursive: true })
    writeFileSync(join(layer, 'etc/passwd'), PASSWD)
    writeFileSync(join(layer, 'etc/group'), GROUP)
    // A volume takes owner and mode over from here.
    mkdirSync(join(layer, 'var/lib/callsign'), { recursive: true, mode: 0o700 })
    for (const point of MOUNT_POINTS) mkdirSync(join(layer, point))
    setTimes(layer, epoch)
    return tarOf(layer, epoch)
  } finally {
    rmSync(layer, { recursive: true })
  }
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
}
