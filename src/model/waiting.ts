/**
 * Windows in which a process does nothing but wait. Programs that have nothing to do look alike
 * then: that a model names one of them says little.
 */
import { SYSCALLS, syscallIndexOf } from '../domain/syscalls.ts'

/** By index of the syscall: 1 where it waits for something and does nothing else. */
export const WAITS: Uint8Array = waits(
  'epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 futex nanosleep clock_nanosleep ' +
    'restart_syscall pause rt_sigtimedwait rt_sigsuspend io_getevents io_pgetevents',
)

function waits(names: string): Uint8Array {
  const is = new Uint8Array(SYSCALLS.length)
  for (const name of names.split(' ')) is[syscallIndexOf(name)!] = 1
  return is
}
