/**
 * Operations of io_uring as the system calls that do the same: a program that reads files through a
 * ring behaves like one that reads them by read(2), and is recognised as such. By opcode
 * (uapi/linux/io_uring.h, append-only there); what has no counterpart, or is newer, is `other`.
 */
import { OTHER, syscallIndexOf } from './syscalls.ts'

const OPERATIONS = `
  - readv writev fsync read write poll - sync_file_range sendmsg recvmsg - - accept4 - - connect fallocate openat close
  - statx read write fadvise64 madvise sendto recvfrom openat2 epoll_ctl splice - - tee shutdown renameat2 unlinkat
  mkdirat symlinkat linkat - fsetxattr setxattr fgetxattr getxattr socket ioctl sendto sendmsg read waitid futex futex
  futex_waitv - ftruncate bind listen recvfrom epoll_wait readv writev pipe2`

/** Syscall indexes by opcode, 0…255. */
export const URING_OPERATIONS: Uint16Array = (() => {
  const table = new Uint16Array(256).fill(OTHER)
  for (const [opcode, name] of OPERATIONS.trim().split(/\s+/).entries())
    table[opcode] = syscallIndexOf(name) ?? OTHER
  return table
})()
