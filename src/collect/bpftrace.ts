/**
 * bpftrace as source, for kernels that refuse our own counter, and as an independent witness in
 * tests.
 *
 * Two maps, chosen in the kernel by the parity of the second; the one that is not being written is
 * printed and cleared. Printing and clearing one live map silently loses half a percent (measured).
 * A tick that fires while its CPU runs a program is silently lost by the kernel, so there are four
 * a second, and those that find nothing new print an empty second that the parser passes over. What
 * it prints is in parse/bpftrace-map.ts.
 */
import { AgentError } from '../domain/error.ts'
import { BPFTRACE_KEYS_MAX, BPFTRACE_START_MS } from '../domain/limits.ts'
import type { Source } from '../domain/source.ts'
import { type Child, findProgram, runCommand, startChild } from '../platform/linux/child.ts'
import { CLOCK_MONOTONIC, readClock } from '../platform/linux/libc.ts'
import { readPipe } from './pipe.ts'

export interface BpftraceSource extends Source {
  readonly name: 'bpftrace'
  /** Tries it, then starts it. @throws AgentError that says what to install or run */
  start(): Promise<void>
}

const INSTALL_HINT = 'Install it (apt install bpftrace), or use another --source'

export function bpftraceSource(): BpftraceSource {
  let starting: Promise<Child> | undefined
  let running: Child | undefined
  const started = async () => {
    starting ??= begin()
    running = await starting
    return running
  }
  return {
    name: 'bpftrace',
    format: 'bpftrace-json',
    live: true,
    get pid() {
      return running?.pid
    },
    start: async () => {
      await started()
    },
    async *read(signal) {
      const child = await started()
      const stop = () => void child.stop()
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true })
      try {
        yield* readPipe(child.stdout, signal)
      } finally {
        signal.removeEventListener('abort', stop)
      }
      if (signal.aborted) return
      const { code, signal: killedBy } = await child.finish()
      throw new AgentError(
        'ERR_COLLECTOR_DIED',
        `Lost bpftrace: it ended unexpectedly (${killedBy ?? `exit ${code}`}): ${lastLine(child.stderr())}`,
        { hint: 'Run "agent doctor"' },
      )
    },
  }
}

/**
 * Whether it can trace here. @returns its path @throws AgentError that says what to install or run
 */
export async function tryBpftrace(): Promise<string> {
  const bpftrace = findProgram('bpftrace')
  if (bpftrace === undefined) {
    throw new AgentError('ERR_COLLECTOR', 'Cannot start bpftrace: it is not installed', {
      hint: INSTALL_HINT,
    })
  }
  const probe = await runCommand([bpftrace, '-e', 'BEGIN { exit(); }'], BPFTRACE_START_MS)
  if (probe.code !== 0) {
    const said = lastLine(`${probe.stdout}\n${probe.stderr}`)
    const denied = /root|permission|not permitted/i.test(said)
    throw new AgentError(
      denied ? 'ERR_PERMISSION' : 'ERR_COLLECTOR',
      `Cannot start bpftrace: ${said || `exit ${probe.code ?? probe.signal}`}`,
      { hint: denied ? 'Run the agent as root' : INSTALL_HINT },
    )
  }
  return bpftrace
}

async function begin(): Promise<Child> {
  const bpftrace = await tryBpftrace()
  // `nsecs` is the monotonic clock; Bun's hrtime counts from the start of the process.
  const offset = Math.round((Date.now() - readClock(CLOCK_MONOTONIC)) / 1000)
  // The shell becomes bpftrace, so $$ is the pid that the script has to leave out.
  return startChild([
    'env',
    `BPFTRACE_MAP_KEYS_MAX=${BPFTRACE_KEYS_MAX}`,
    'sh',
    '-c',
    'exec "$0" -f json -e "$1" $$',
    bpftrace,
    scriptOf(offset, process.pid),
  ])
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
}

/**
 * $1 is bpftrace's own pid.
 * @param offsetSeconds Unix time minus the kernel's monotonic clock
 */
function scriptOf(offsetSeconds: number, ownPid: number): string {
  const count = (map: number) => `
    @n${map}[pid] = ((struct task_struct *)curtask)->group_leader->comm;
    @c${map}[pid, args->id] = count();`
  const flush = (map: number) => `
      printf("T %llu\\n", $second - 1 + ${offsetSeconds});
      print(@n${map}); print(@c${map}); clear(@n${map}); clear(@c${map});
      printf("E\\n");`
  return `
BEGIN { printf("M ${process.arch === 'arm64' ? 'arm64' : 'x86_64'}\\n"); }
tracepoint:raw_syscalls:sys_enter /pid != ${ownPid} && pid != $1/ {
  if ((nsecs / 1000000000) % 2 == 0) {${count(0)}
  } else {${count(1)}
  }
}
tracepoint:sched:sched_process_exit /pid == tid/ { printf("X %d\\n", pid); }
interval:ms:250 {
  $now = nsecs;
  $second = $now / 1000000000;
  $part = $now % 1000000000;
  // Early in the second, so that a late reader still finds the map at rest.
  if ($part > 10000000 && $part < 600000000) {
    if ($second % 2 == 1) {${flush(0)}
    } else {${flush(1)}
    }
  }
}
END { clear(@n0); clear(@c0); clear(@n1); clear(@c1); }
`
}
