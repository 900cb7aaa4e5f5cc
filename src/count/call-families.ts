/**
 * Recognises a capture that was made with a filter on system calls: whole families of calls are
 * missing from it.
 *
 * Any host with six or more different programs uses nearly all families within seconds: over
 * 367,000 host-seconds of our recordings, each start cumulative, at most three of twelve were
 * missing once 300 calls had been seen. A capture limited to a few kinds of calls misses eight. Of
 * fewer programs nothing can be said: one program may do nothing but read.
 */
import type { Frame } from '../domain/frame.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'

const FAMILIES = Object.entries({
  open: 'open openat openat2 creat',
  close: 'close close_range',
  read: 'read pread64 readv preadv preadv2',
  write: 'write pwrite64 writev pwritev pwritev2',
  stat: 'stat lstat fstat newfstatat statx',
  poll: 'poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2',
  wait: 'futex nanosleep clock_nanosleep futex_wait futex_waitv',
  signal: 'rt_sigaction rt_sigprocmask rt_sigreturn',
  network: `socket connect sendto recvfrom recvmsg sendmsg accept accept4 getsockname setsockopt
    getsockopt bind listen`,
  identity: 'getpid getppid gettid getuid geteuid getgid getegid',
  control: 'fcntl ioctl',
  seek: 'lseek',
})

/**
 * Calls and different names that have to be seen before absence means anything, and families that
 * must be missing then.
 */
const ENOUGH_CALLS = 500
const ENOUGH_NAMES = 6
const MANY_MISSING = 5

const familyOf = new Map<number, string>()
for (const [family, calls] of FAMILIES)
  for (const call of calls.split(/\s+/)) {
    const index = syscallIndexOf(call)
    if (index !== undefined) familyOf.set(index, family)
  }

export class CallFamilies {
  readonly #missing = new Set(FAMILIES.map(([family]) => family))
  readonly #names = new Set<string>()
  #calls = 0

  /** Families of which no call has been seen so far. */
  get missing(): string[] {
    return [...this.#missing]
  }

  /**
   * Takes the frames of a capture in order. @returns whether, as far as is seen, calls were
   * filtered out of it
   */
  isFiltered(frame: Frame): boolean {
    if (this.#missing.size < MANY_MISSING) return false
    for (const syscall of frame.syscalls) {
      const family = familyOf.get(syscall)
      if (family !== undefined) this.#missing.delete(family)
    }
    for (const count of frame.counts) this.#calls += count
    if (this.#names.size < ENOUGH_NAMES)
      for (const { name } of frame.processes) this.#names.add(name)
    return (
      this.#missing.size >= MANY_MISSING &&
      this.#calls >= ENOUGH_CALLS &&
      this.#names.size >= ENOUGH_NAMES
    )
  }
}
