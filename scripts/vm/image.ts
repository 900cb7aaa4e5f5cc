/**
 * Makes a machine's disk, kernel and initial file system from Debian's archive alone, once:
 * DIR/root.ext4, DIR/vmlinuz, DIR/initrd. Needs root, mmdebstrap, e2fsprogs, cpio and busybox in the
 * guest; for another architecture qemu-user-static.
 *
 * The initial file system is our own: it loads the few modules between kernel and disk. Debian's
 * would take most of a boot under emulation to unpack.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { BASE_PACKAGES, type Machine } from './machines.ts'
import { output, run } from './programs.ts'

export interface Image {
  readonly disk: string
  readonly kernel: string
  readonly initrd: string
}

const GUEST = join(import.meta.dir, 'guest')
/** What the kernel needs to reach its disk; what they depend on is looked up. */
const MODULES = ['virtio_pci', 'virtio_blk', 'ext4']

/** The root file system of a container, made where it is not there yet. */
export async function rootOf(machine: Machine, directory: string): Promise<string> {
  const root = join(directory, 'root')
  if (existsSync(root)) return root
  const unfinished = `${root}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  await unpackDebian(machine, unfinished)
  furnish(machine, unfinished)
  await run(['mv', unfinished, root])
  return root
}

/** The machine's image, made where it is not there yet. */
export async function imageOf(machine: Machine, directory: string): Promise<Image> {
  const image = {
    disk: join(directory, 'root.ext4'),
    kernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd'),
  }
  // The disk comes last: where it is, all is.
  if (existsSync(image.disk)) return image
  const root = join(directory, 'root')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  await unpackDebian(machine, root)
  const [kernel] = readdirSync(join(root, 'boot')).filter((name) => name.startsWith('vmlinuz-'))
  if (kernel === undefined) throw new Error(`No kernel in ${root}/boot`)
  copyFileSync(join(root, 'boot', kernel), image.kernel)
  await makeInitrd(root, kernel.slice('vmlinuz-'.length), image.initrd)
  furnish(machine, root)
  const unfinished = `${image.disk}.new`
  await run(['truncate', '--size', `${machine.diskGigabytes}G`, unfinished])
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', root, unfinished])
  await run(['mv', unfinished, image.disk])
  rmSync(root, { recursive: true })
  return image
}

async function unpackDebian(machine: Machine, root: string): Promise<void> {
  const { suite, architecture } = machine
  if (architecture !== debianArchitecture()) await emulatePrograms(architecture)
  const kernel = machine.here === true ? [] : ['busybox-static', `linux-image-${architecture}`]
  const packages = [...BASE_PACKAGES, ...machine.packages, ...kernel]
  const mirror = process.env.VM_MIRROR ?? 'http://deb.debian.org/debian'
  const security = process.env.VM_SECURITY ?? 'http://deb.debian.org/debian-security'
  const lines = [`deb ${mirror} ${suite} main`, `deb ${security} ${suite}-security main`]
  await run(
    [
      'mmdebstrap',
      '--variant=minbase',
      `--architectures=${architecture}`,
      `--include=${packages.join(',')}`,
      '--dpkgopt=force-unsafe-io',
      suite,
      root,
      ...lines,
    ],
    // The initial file system is made below.
    { INITRD: 'No' },
  )
}

function debianArchitecture(): string {
  return process.arch === 'arm64' ? 'arm64' : 'amd64'
}

/** Lets this kernel run the other architecture's programs, by qemu-user-static's own rule. */
async function emulatePrograms(architecture: Machine['architecture']): Promise<void> {
  const machine = architecture === 'arm64' ? 'aarch64' : 'x86_64'
  const directory = '/proc/sys/fs/binfmt_misc'
  if (!existsSync(`${directory}/register`))
    await run(['mount', '-t', 'binfmt_misc', 'binfmt_misc', directory])
  if (existsSync(`${directory}/qemu-${machine}`)) return
  const rule = readFileSync(`/usr/lib/binfmt.d/qemu-${machine}.conf`)
  writeFileSync(`${directory}/register`, rule)
}

/** Files of the kernel's modules, what they depend on first. */
function modulesInOrder(root: string, release: string): string[] {
  const directory = join(root, 'lib/modules', release)
  const table = new Map(
    readFileSync(join(directory, 'modules.dep'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(':') as [string, string]),
  )
  const wanted = MODULES.flatMap((name) => {
    // What is built in has no file.
    const file = [...table.keys()].find((path) => new RegExp(`/${name}\\.ko`).test(path))
    return file === undefined ? [] : [...table.get(file)!.trim().split(' ').reverse(), file]
  })
  return [...new Set(wanted.filter((path) => path !== ''))].map((path) => join(directory, path))
}

/** ext4 finds its checksums by name, which modules.dep does not tell. */
function checksumModules(root: string, release: string): string[] {
  const directory = join(root, 'lib/modules', release)
  return readFileSync(join(directory, 'modules.dep'), 'utf8')
    .split('\n')
    .map((line) => line.split(':')[0]!)
    .filter((path) => /\/(libcrc32c|crc32c_generic)\.ko/.test(path))
    .map((path) => join(directory, path))
}

async function makeInitrd(root: string, release: string, to: string): Promise<void> {
  const work = `${to}.files`
  mkdirSync(join(work, 'bin'), { recursive: true })
  for (const name of ['dev', 'proc', 'root']) mkdirSync(join(work, name))
  copyFileSync(join(root, 'bin/busybox'), join(work, 'bin/busybox'))
  symlinkSync('busybox', join(work, 'bin/sh'))
  copyFileSync(join(GUEST, 'initrd-init'), join(work, 'init'))
  chmodSync(join(work, 'init'), 0o755)
  const modules = [...checksumModules(root, release), ...modulesInOrder(root, release)]
  for (const [i, path] of modules.entries()) {
    const place = join(work, `module-${String(i).padStart(2, '0')}`)
    copyFileSync(path, place)
    // busybox loads what is not compressed.
    if (path.endsWith('.xz')) writeFileSync(place, await output(['xz', '-dc', path]))
    if (path.endsWith('.zst')) writeFileSync(place, await output(['zstd', '-qdc', path]))
  }
  await run(['sh', '-c', `cd "${work}" && find . | cpio -o -H newc --quiet >"${to}"`])
  rmSync(work, { recursive: true })
}

/** The guest's own way to start: a script from the host, as first process or as a unit. */
function furnish(machine: Machine, root: string): void {
  writeFileSync(join(root, 'etc/hostname'), `${machine.name}\n`)
  if (machine.here !== true) writeFileSync(join(root, 'etc/fstab'), '/dev/vda / ext4 rw 0 1\n')
  // Else systemd takes each boot for the first one, and asks.
  const id = createHash('md5').update(machine.name).digest('hex')
  writeFileSync(join(root, 'etc/machine-id'), `${id}\n`)
  const place = (name: string, path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    copyFileSync(join(GUEST, name), join(root, path))
    chmodSync(join(root, path), 0o755)
  }
  place('init', 'usr/local/sbin/vm-init')
  place('start', 'usr/local/sbin/vm-start')
  place('vm.service', 'etc/systemd/system/vm.service')
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
  mkdirSync(wants, { recursive: true })
  symlinkSync('../vm.service', join(wants, 'vm.service'))
  // Time-outs of devices that emulation is too slow for.
  const timers = [
    'apt-daily.timer',
    'apt-daily-upgrade.timer',
    'systemd-networkd-wait-online.service',
  ]
  for (const unit of timers) {
    rmSync(join(root, 'etc/systemd/system', unit), { force: true })
    symlinkSync('/dev/null', join(root, 'etc/systemd/system', unit))
  }
}
