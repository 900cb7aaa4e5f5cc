/**
 * A filter of system calls for the agent once it runs: what it never needs is refused to it, and to
 * whoever takes it over. Set in all threads at once (SECCOMP_FILTER_FLAG_TSYNC) and inherited by
 * children; it cannot be taken off. Needs no right, only no_new_privs.
 *
 * ALLOWED was measured with strace on the built binary (Bun 1.4.5, glibc 2.36): watching with the
 * kernel source, broker, webhook, syslog, file, `agent top`, and adapting; 81 calls. Beside them
 * stand their variants, which other versions of the C library and the runtime use for the same.
 * What is not allowed fails with ENOSYS, as on a kernel that has no such call, so that callers fall
 * back: a runtime that learns new calls runs on.
 */
import { type Machine, numberTables } from '../../domain/syscall-numbers.ts'
import { syscallIndexOf } from '../../domain/syscalls.ts'
import { addressOf, ENOSYS, EPERM, nativeBytes, seccompSyscall } from './libc.ts'

/** The most frequent ones first: kernels before 5.11 walk the list at each call. */
const ALLOWED = `
  futex read write statx close openat pread64 pwrite64 madvise epoll_pwait2 epoll_pwait epoll_wait
  clock_gettime getrusage sched_yield readlink getdents64 fcntl mmap munmap mprotect newfstatat
  fstat stat lstat epoll_ctl rt_sigprocmask rt_sigaction rt_sigreturn brk preadv2 pwritev2 preadv
  pwritev readv writev poll ppoll select pselect6 gettid getpid getrandom sendto recvfrom sendmsg
  recvmsg sendmmsg recvmmsg setsockopt getsockopt getsockname getpeername connect bind listen
  accept accept4 shutdown membarrier sched_getaffinity set_robust_list get_robust_list rseq access
  faccessat faccessat2 fsync fdatasync prlimit64 getrlimit setrlimit geteuid getuid getgid getegid
  getresuid getresgid getgroups uname unlink unlinkat sysinfo open mkdir mkdirat rmdir rename
  renameat renameat2 fchown fchmod fchmodat chmod utimensat futimesat utimes exit exit_group
  tgkill tkill kill getcwd chdir lseek ftruncate truncate fallocate fadvise64 flock eventfd2
  eventfd epoll_create1 epoll_create sigaltstack set_tid_address execve arch_prctl pipe2 pipe dup
  dup2 dup3 getppid getpgrp getpgid getsid setsid rt_sigsuspend rt_sigtimedwait rt_sigpending
  rt_sigqueueinfo pause vfork fork wait4 waitid pidfd_open pidfd_send_signal umask close_range
  setpriority getpriority sched_getscheduler sched_getparam sched_get_priority_max
  sched_get_priority_min sched_setscheduler getcpu gettimeofday time clock_getres clock_nanosleep
  nanosleep restart_syscall timerfd_create timerfd_settime timerfd_gettime timer_create
  timer_settime timer_delete setitimer getitimer inotify_init1 inotify_add_watch inotify_rm_watch
  readlinkat getdents statfs fstatfs copy_file_range sendfile splice symlink symlinkat link linkat
  mremap mincore msync mlock munlock prctl capget capset times socketpair memfd_create futex_waitv
  sync_file_range readahead seccomp landlock_create_ruleset landlock_add_rule
  landlock_restrict_self`

/** What starts processes. */
const PROGRAMS = ['execve', 'fork', 'vfork']

/**
 * Allowed with some arguments only. Whatever is not here fails with ENOSYS: clone3, say, whose
 * flags no filter can see.
 */
const CLONE_NEW = 0x7e02_0080
/** CLONE_THREAD */
const OF_A_THREAD = 0x0001_0000
const FAMILIES = [1, 2, 10, 16] // unix, inet, inet6, netlink (routes, for name resolution)
/** Typing on the administrator's terminal. [ioctl_tty(2)] */
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

/** linux/audit.h */
const AUDIT_ARCH: Readonly<Record<Machine, number>> = { x86_64: 0xc000_003e, arm64: 0xc000_00b7 }

/** linux/bpf_common.h, linux/seccomp.h; offsets in struct seccomp_data. */
const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06
const AT_NUMBER = 0
const AT_MACHINE = 4
const AT_FIRST_ARGUMENT = 16
const AT_SECOND_ARGUMENT = 24
const RET_ALLOW = 0x7fff_0000
const RET_ERRNO = 0x0005_0000
const SET_MODE_FILTER = 1
const TSYNC = 1

export interface FilterOptions {
  /** Whether processes may be started; threads may always. */
  readonly programs: boolean
}

/** @returns undefined if it is in force in all threads; else the reason */
export function filterCalls(options: FilterOptions): string | undefined {
  const program = callFilter(process.arch === 'arm64' ? 'arm64' : 'x86_64', options)
  // struct sock_fprog: length in instructions, then their address.
  const described = nativeBytes(16)
  const view = new DataView(described.buffer)
  view.setUint16(0, program.length / 8, true)
  view.setBigUint64(8, BigInt(addressOf(program)), true)
  const result = seccompSyscall(SET_MODE_FILTER, TSYNC, addressOf(described))
  if (result === 0) return undefined
  return result > 0 ? `thread ${result} has a filter of its own` : `errno ${-result}`
}

/** Classic BPF over struct seccomp_data. */
export function callFilter(
  machine: Machine,
  { programs }: FilterOptions = { programs: true },
): Uint8Array<ArrayBuffer> {
  const number = (name: string) => {
    const index = syscallIndexOf(name)
    return index === undefined ? -1 : numberTables(machine).native.indexOf(index)
  }
  const clone = number('clone')
  const socket = number('socket')
  const names = new Set(ALLOWED.trim().split(/\s+/))
  if (!programs) for (const name of PROGRAMS) names.delete(name)
  const allowed = [...names].map(number).filter((at) => at >= 0)
  const lines: Instruction[] = [
    [LOAD, 0, 0, AT_MACHINE],
    [JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]],
    // Calls of another kind of program: no part of ours makes them.
    [RETURN, 0, 0, RET_ERRNO | ENOSYS],
    [LOAD, 0, 0, AT_NUMBER],
    // clone: threads and children, but no namespaces.
    [JUMP_EQUAL, 0, 5, clone],
    [LOAD, 0, 0, AT_FIRST_ARGUMENT],
    [JUMP_ANY_BIT, 1, 0, CLONE_NEW],
    // Where no processes may be started: threads alone.
    [JUMP_ANY_BIT, 1, programs ? 1 : 0, OF_A_THREAD],
    [RETURN, 0, 0, RET_ERRNO | EPERM],
    [RETURN, 0, 0, RET_ALLOW],
    [JUMP_EQUAL, 0, FAMILIES.length + 3, socket],
    [LOAD, 0, 0, AT_FIRST_ARGUMENT],
    ...FAMILIES.map((family, i): Instruction => [JUMP_EQUAL, FAMILIES.length - i, 0, family]),
    [RETURN, 0, 0, RET_ERRNO | EPERM],
    [RETURN, 0, 0, RET_ALLOW],
    [JUMP_EQUAL, 0, 5, number('ioctl')],
    [LOAD, 0, 0, AT_SECOND_ARGUMENT],
    [JUMP_EQUAL, 1, 0, TIOCSTI],
    [JUMP_EQUAL, 0, 1, TIOCLINUX],
    [RETURN, 0, 0, RET_ERRNO | EPERM],
    [RETURN, 0, 0, RET_ALLOW],
    ...allowed.map((at, i): Instruction => [JUMP_EQUAL, allowed.length - i, 0, at]),
    [RETURN, 0, 0, RET_ERRNO | ENOSYS],
    [RETURN, 0, 0, RET_ALLOW],
  ]
  const program = nativeBytes(8 * lines.length)
  const view = new DataView(program.buffer)
  lines.forEach(([code, ifTrue, ifFalse, value], i) => {
    // A jump is a byte: the filter cannot have more lines than that.
    if (ifTrue > 255 || ifFalse > 255) throw new RangeError('filter of calls is too long')
    view.setUint16(8 * i, code, true)
    view.setUint8(8 * i + 2, ifTrue)
    view.setUint8(8 * i + 3, ifFalse)
    view.setUint32(8 * i + 4, value, true)
  })
  return program
}

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]
