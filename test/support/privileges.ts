/**
 * What this machine lets a test do; asked once by trying, for being root says little in a container
 * or a chroot.
 */

export const isRoot = process.geteuid?.() === 0

/** A mount namespace of one's own, in which a test may mount what it likes. */
export const canMount: boolean = tried(
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mount -t tmpfs tmpfs /mnt',
)

/** strace can follow a child (containers often forbid ptrace). */
export const canTrace: boolean = tried('strace', '-f', '-qq', '-o', '/dev/null', 'true')

function tried(...command: string[]): boolean {
  if (Bun.which(command[0]!) === null) return false
  return Bun.spawnSync(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' }).success
}
