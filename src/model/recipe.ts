/**
 * The recipe of how a second's counts become a row of numbers. It is part of a model's manifest, so
 * training, evaluation and the live host use the same code.
 *
 * `frequency` is the paper's: counts divided by their sum [Paper III-B]. The others add steps that
 * improve the results (measured): equivalent calls are summed first (which one is used depends on
 * libc or runtime), the square root raises rare calls, and a rate may be added to the shares.
 */
import { AgentError } from '../domain/error.ts'

export interface Recipe {
  readonly name: string
  /**
   * Names that share one component, named after the first. Names outside any family have their own
   * component.
   */
  readonly families: readonly (readonly string[])[]
  /** Each share is raised to this power; 0.5 is the square root. */
  readonly power: number
  /**
   * Added to the shares. `log-total`: ln(1 + calls in the second) / 10. `log-counts`: the same of
   * each component. `quiet`: ln(1 + calls) / ln 4 up to 3 calls and 1 above: it distinguishes one
   * timer per second from two, which depends on the program, but not loads, which depend on the
   * host.
   */
  readonly rate: 'none' | 'log-total' | 'log-counts' | 'quiet'
}

/**
 * Equivalent calls of which the C library, the kernel version or the architecture selects one.
 * Deliberately not merged: epoll_wait and epoll_pwait, nanosleep and clock_nanosleep, kill and
 * tgkill. There the language runtime decides, which distinguishes programs on any host: with them
 * merged, accuracy on a Debian 13 host fell from 0.907 to 0.847 (trained on two Debian 12
 * laboratories).
 */
const FAMILIES = `
  open openat openat2 creat
  stat lstat fstat newfstatat statx stat64 lstat64 fstat64 fstatat64
  access faccessat faccessat2
  poll ppoll ppoll_time64
  select pselect6 _newselect pselect6_time64
  epoll_pwait epoll_pwait2
  accept accept4
  fork vfork clone clone3
  dup2 dup3
  pipe pipe2
  unlink unlinkat
  rename renameat renameat2
  mkdir mkdirat
  readlink readlinkat
  chmod fchmodat fchmodat2
  chown lchown fchownat chown32 lchown32
  getdents getdents64
  utime utimes utimensat futimesat utimensat_time64
  eventfd eventfd2
  epoll_create epoll_create1
  inotify_init inotify_init1
  signalfd signalfd4
  clock_nanosleep clock_nanosleep_time64
  preadv preadv2
  pwritev pwritev2
  getrlimit setrlimit prlimit64 ugetrlimit
  recvmmsg recvmmsg_time64
  getuid geteuid getgid getegid getuid32 geteuid32 getgid32 getegid32
  wait4 waitid waitpid
  tkill tgkill
  statfs statfs64
  fstatfs fstatfs64
  mmap mmap2
  lseek _llseek
  futex futex_time64
  fcntl fcntl64
  execve execveat
  exit exit_group`

export const CALL_FAMILIES: readonly (readonly string[])[] = FAMILIES.trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/))

/** Recipes by name, as `agent train --features` takes them. */
export const RECIPES: Readonly<Record<string, Recipe>> = Object.fromEntries(
  (
    [
      ['frequency', [], 1, 'none'],
      ['sqrt', [], 0.5, 'none'],
      ['families', CALL_FAMILIES, 0.5, 'none'],
      ['families-frequency', CALL_FAMILIES, 1, 'none'],
      ['families-rate', CALL_FAMILIES, 0.5, 'log-total'],
      ['families-quiet', CALL_FAMILIES, 0.5, 'quiet'],
      ['frequency-counts', [], 1, 'log-counts'],
    ] as const
  ).map(([name, families, power, rate]) => [name, { name, families, power, rate }]),
)

/** The recipe of that name; an unknown name is a usage error that lists the known ones. */
export function recipeNamed(name: string): Recipe {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : undefined
  if (recipe !== undefined) return recipe
  throw new AgentError('ERR_USAGE', `Cannot use features "${name}": there is no such recipe`, {
    hint: `Use one of: ${Object.keys(RECIPES).join(', ')}`,
  })
}
