/**
 * One boot of a machine under emulation: it runs one script, with a directory shared, and ends.
 *
 * With one CPU the guest's time is that of its instructions (`-icount`), and idle time is skipped:
 * a guest that sleeps a minute takes no time, and a busy host does not make its clock outrun its
 * CPU. Counts and orders of events mean what they say; CPU shares do not. Several CPUs run in the
 * host's time.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Image } from './image.ts'
import type { Machine } from './machines.ts'
import { NICE } from './programs.ts'

export interface Boot {
  /** False: the first process is our own, which is up in a quarter of the time. */
  readonly systemd?: boolean
  readonly parameters?: readonly string[]
  readonly memoryMegabytes?: number
  readonly cpus?: number
  /** CPUs that can be added while it runs. */
  readonly cpusMax?: number
}

export interface Ended {
  /** The script's exit code; undefined where it did not get that far. */
  readonly code: number | undefined
  /** From power on to the script, in the guest's time and in ours. */
  readonly upSeconds: number | undefined
  readonly upHostSeconds: number | undefined
  readonly seconds: number
  readonly why: string | undefined
}

const LOOK_EVERY_MS = 250
/** Without what is quick in hardware and slow here: copies byte by byte, a guard around each of them. */
const X86_CPU = 'max,-erms,-fsrm,-smap'

/**
 * @param share the guest's /host
 * @param script Bash, run as root in the guest
 * @param seconds a limit of this host's time
 */
export async function boot(
  machine: Machine,
  image: Image,
  disk: string,
  share: string,
  script: string,
  seconds: number,
  options: Boot,
): Promise<Ended> {
  const files = ['up', 'code', 'monitor'].map((name) => join(share, name))
  for (const file of files) rmSync(file, { force: true })
  writeFileSync(join(share, 'script'), script)
  const runtime = join(share, '..')
  mkdirSync(runtime, { recursive: true })
  const monitor = join(runtime, 'monitor.sock')
  rmSync(monitor, { force: true })
  const began = performance.now()
  const emulator = Bun.spawn(
    ['nice', '-n', NICE, ...command(machine, image, disk, share, monitor, options)],
    { stdout: 'ignore', stderr: Bun.file(join(runtime, 'emulator.log')) },
  )
  const end = () => emulator.kill('SIGKILL')
  process.on('exit', end)
  const since = () => (performance.now() - began) / 1000
  let upHostSeconds: number | undefined
  let why: string | undefined
  while (emulator.exitCode === null && emulator.signalCode === null) {
    await Promise.race([emulator.exited, Bun.sleep(LOOK_EVERY_MS)])
    if (upHostSeconds === undefined && existsSync(join(share, 'up'))) upHostSeconds = since()
    await passOn(join(share, 'monitor'), monitor)
    why = troubleIn(join(runtime, 'console.log'), since(), seconds)
    if (why !== undefined) end()
  }
  process.off('exit', end)
  const number = (name: string) => {
    const path = join(share, name)
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined
  }
  return { code: number('code'), upSeconds: number('up'), upHostSeconds, seconds: since(), why }
}

function troubleIn(console: string, seconds: number, limit: number): string | undefined {
  if (seconds > limit) return `it took longer than ${limit} s`
  const text = existsSync(console) ? readFileSync(console, 'utf8') : ''
  return /Kernel panic.*/.exec(text)?.[0]
}

/** What the guest asks of its machine (a CPU more), by a file: one line for QEMU's monitor. */
async function passOn(request: string, monitor: string): Promise<void> {
  if (!existsSync(request)) return
  const words = readFileSync(request, 'utf8')
  if (!words.endsWith('\n')) return
  rmSync(request)
  await new Promise<void>((resolve) => {
    const socket = connect(monitor, () => socket.write(words))
    socket.once('error', () => resolve())
    setTimeout(() => {
      socket.destroy()
      resolve()
    }, 500)
  })
}

function command(
  machine: Machine,
  image: Image,
  disk: string,
  share: string,
  monitor: string,
  { systemd = false, parameters = [], memoryMegabytes = 1024, cpus = 1, cpusMax = cpus }: Boot,
): string[] {
  const arm = machine.architecture === 'arm64'
  const console = join(share, '../console.log')
  rmSync(console, { force: true })
  const append = [
    `root=/dev/vda rw console=${arm ? 'ttyAMA0' : 'ttyS0'} panic=-1 net.ifnames=0 quiet`,
    // Tests of the kernel's ciphers, and guards against a real CPU's faults, cost an emulated one time.
    'cryptomgr.notests mitigations=off',
    // A starved emulator fails the kernel's test of its timer.
    ...(arm ? [] : ['no_timer_check']),
    ...(systemd ? ['systemd.show_status=0'] : ['init=/usr/local/sbin/vm-init']),
    ...parameters,
  ]
  return [
    ...(arm
      ? ['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'cortex-a72']
      : ['qemu-system-x86_64', '-machine', 'q35', '-cpu', X86_CPU]),
    ...['-accel', 'tcg', '-smp', processors(cpus, cpusMax)],
    ...(cpusMax === 1 ? ['-icount', 'shift=1,sleep=off'] : []),
    ...['-m', `${memoryMegabytes}`, '-display', 'none', '-no-reboot', '-nic', 'none'],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', append.join(' ')],
    ...['-drive', `file=${disk},format=qcow2,if=virtio,cache=unsafe`],
    '-virtfs',
    `local,path=${share},mount_tag=host,security_model=none,multidevs=remap`,
    ...['-object', 'rng-random,filename=/dev/urandom,id=rng'],
    ...['-device', 'virtio-rng-pci,rng=rng'],
    ...['-serial', `file:${console}`, '-monitor', `unix:${monitor},server,nowait`],
  ]
}

/** Each in a socket of its own: by these guest/hotplug.sh adds them. */
function processors(cpus: number, most: number): string {
  return cpus === most ? `${cpus}` : `${cpus},maxcpus=${most},sockets=${most},cores=1,threads=1`
}
