/**
 * sysdig, live: started by us, watched, started again when it ends.
 *
 * With our chisel it counts inside and prints one line per process and second: a tenth of the cost
 * of a line per call, and nothing lost where text drops a fifth. Line mode is the fallback; then
 * our own processes are filtered out, or their reads would be captured and printed and read again.
 *
 * It reports its losses only at its end, on stderr (`Driver Drops`, by -v), in events: up to 0.40
 * a call has two. While it is not running nothing is counted: each of those seconds is marked as
 * incomplete (one lost call stands for "at least one").
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  CHILD_GRACE_MS,
  COLLECTOR_RESTART_MAX_MS,
  COLLECTOR_RESTART_MIN_MS,
  COLLECTOR_SILENT_MS,
  COLLECTOR_STEADY_MS,
  VANISHED_EVERY_MS,
} from '../domain/limits.ts'
import {
  isPoor,
  SIGHTS,
  type SightName,
  sysdigEventsPerCall,
  sysdigSight,
} from '../domain/sight.ts'
import type { LossReport, Source } from '../domain/source.ts'
import {
  type Child,
  type ChildEnd,
  findProgram,
  runCommand,
  startChild,
} from '../platform/linux/child.ts'
import { log } from '../platform/log.ts'
import { placeChisel } from './chisel.ts'
import { pause, readPipe } from './pipe.ts'
import { VanishedPrograms } from './vanished.ts'

/** The line of line mode (parse/own-line.ts). */
const LINE_FORMAT = '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name'
const NEWLINE = Uint8Array.of(10)
/** How long sysdig may take to say its version, or to show one event. */
const TRIAL_MS = 5_000

export type SysdigMode = 'chisel' | 'lines'

export interface SysdigOptions {
  readonly mode?: SysdigMode
  /** The agent's own directory, for the chisel. */
  readonly stateDirectory?: string
  /** What runs sysdig; default: the one on the PATH. */
  readonly program?: readonly string[]
  /** Processes of ours beside this one. */
  readonly ownPids?: readonly number[]
  readonly restartMinMs?: number
  readonly silentMaxMs?: number
  readonly graceMs?: number
}

/** @throws AgentError ERR_COLLECTOR (exit 7) where sysdig is not installed */
export function requireSysdig(): string {
  const sysdig = findProgram('sysdig')
  if (sysdig !== undefined) return sysdig
  throw new AgentError('ERR_COLLECTOR', 'Cannot start sysdig: it is not installed', {
    hint: 'Install it (apt install sysdig), or use --source kernel, which needs no other program',
  })
}

/**
 * Whether it can capture this host: the trial is one event, and a sysdig that finds no driver says
 * so at once.
 * @returns its version and engine, in words @throws AgentError that says what to do
 */
export async function trySysdig(): Promise<string> {
  const sysdig = requireSysdig()
  const installed = await sysdigVersion(sysdig)
  let refused: AgentError | undefined
  for (const engine of [[], ['--modern-bpf']]) {
    const { code, signal, stderr } = await runCommand([sysdig, ...engine, '-n', '1'], TRIAL_MS)
    if (code === 0) return [`${installed}, captures live`, ...engine].join(' ')
    refused ??= refusal({ code, signal }, stderr)
  }
  throw refused!
}

/** `0.29.3`; "of unknown version" where it does not say. */
export function sysdigVersion(sysdig: string): Promise<string> {
  return versionOf([sysdig])
}

async function versionOf(program: readonly string[]): Promise<string> {
  const { stdout } = await runCommand([...program, '--version'], TRIAL_MS)
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'of unknown version'
}

/**
 * @throws AgentError ERR_COLLECTOR where sysdig is not installed; why it cannot capture shows when
 *   it is read
 */
export function sysdigSource(options: SysdigOptions = {}): Source {
  const program = options.program ?? [requireSysdig()]
  const mode = options.mode ?? 'chisel'
  let live: LiveSysdig | undefined
  return {
    name: 'sysdig',
    format: mode === 'chisel' ? 'chisel' : 'sysdig-text',
    live: true,
    get pid() {
      return live?.pid
    },
    get sight() {
      return live?.sight
    },
    read(signal, report) {
      live = new LiveSysdig(program, mode, options)
      return live.read(signal, report)
    },
  }
}

class LiveSysdig {
  readonly #program: readonly string[]
  readonly #mode: SysdigMode
  readonly #options: SysdigOptions
  #gave = false
  /** Of the sysdig that runs now. */
  pid: number | undefined
  sight: SightName | undefined

  constructor(program: readonly string[], mode: SysdigMode, options: SysdigOptions) {
    this.#program = program
    this.#mode = mode
    this.#options = options
  }

  async *read(signal: AbortSignal, report?: LossReport): AsyncGenerator<Uint8Array> {
    const version = await versionOf(this.#program)
    this.sight = sysdigSight(version)
    tellSight(this.sight, version)
    const engines = await this.#engines()
    const restartMinMs = this.#options.restartMinMs ?? COLLECTOR_RESTART_MIN_MS
    let waitMs = restartMinMs
    while (!signal.aborted) {
      const startedAt = performance.now()
      const child = startChild([...this.#program, ...engines[0]!, ...this.#arguments()], {
        graceMs: this.#options.graceMs ?? CHILD_GRACE_MS,
      })
      this.pid = child.pid
      yield* this.#readChild(child, signal)
      const end = await child.exited
      this.pid = undefined
      const stderr = child.stderr()
      reportDrops(stderr, sysdigEventsPerCall(version), report)
      if (signal.aborted) return
      if (!this.#gave) {
        if (engines.length === 1) throw refusal(end, stderr)
        engines.shift()
        continue
      }
      // A line that was cut off must not run into the next one's first.
      yield NEWLINE
      if (performance.now() - startedAt > COLLECTOR_STEADY_MS) waitMs = restartMinMs
      log.warn('sysdig ended; restarting it', { in: `${waitMs} ms`, ...ended(end, stderr) })
      await away(waitMs, signal, report)
      waitMs = Math.min(2 * waitMs, COLLECTOR_RESTART_MAX_MS)
    }
  }

  /**
   * Its output to the end; asked to stop, it still gives what it has. One that says nothing for
   * long hangs.
   */
  async *#readChild(child: Child, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const silentMaxMs = this.#options.silentMaxMs ?? COLLECTOR_SILENT_MS
    const over = new AbortController()
    const stop = () => {
      // Whatever still holds the pipe after its writer is gone is none of ours.
      child.stop().finally(() => setTimeout(() => over.abort(), 100))
    }
    let heardAt = performance.now()
    let ended = false
    const vanished = this.#mode === 'chisel' ? this.#vanished(child) : undefined
    const look = setInterval(() => tellVanished(vanished?.look() ?? []), VANISHED_EVERY_MS)
    const watchdog = setInterval(() => {
      if (performance.now() - heardAt < silentMaxMs) return
      log.warn('sysdig sends no output; stopping it', { for: `${silentMaxMs} ms` })
      heardAt = Number.POSITIVE_INFINITY
      stop()
    }, silentMaxMs / 4)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    try {
      for await (const chunk of readPipe(child.stdout, over.signal)) {
        heardAt = performance.now()
        this.#gave = true
        vanished?.push(chunk)
        yield chunk
      }
      ended = true
    } finally {
      clearInterval(watchdog)
      clearInterval(look)
      signal.removeEventListener('abort', stop)
      // Whoever leaves the loop early leaves no sysdig behind.
      await (ended ? child.finish() : child.stop())
    }
  }

  /** sysdig leaves itself out, and us because we ask for it. */
  #vanished(child: Child): VanishedPrograms {
    return new VanishedPrograms([child.pid, process.pid, ...(this.#options.ownPids ?? [])])
  }

  /** Ways to capture, the best first: modern eBPF needs no driver, where this sysdig has it. */
  async #engines(): Promise<(readonly string[])[]> {
    const { stdout, stderr } = await runCommand([...this.#program, '--help'], 10_000)
    const hasModern = `${stdout}${stderr}`.includes('--modern-bpf')
    return hasModern ? [['--modern-bpf'], []] : [[]]
  }

  #arguments(): string[] {
    const own = [process.pid, ...(this.#options.ownPids ?? [])]
    const others = own.map((pid) => `not proc.pid=${pid}`).join(' and ')
    if (this.#mode === 'lines')
      return ['-v', '-p', LINE_FORMAT, `(evt.dir=< or evt.type=procexit) and ${others}`]
    return ['-v', '-c', placeChisel(this.#options.stateDirectory), others]
  }
}

/** Waits; each second that passes meanwhile is marked. */
async function away(ms: number, signal: AbortSignal, report?: LossReport): Promise<void> {
  const until = performance.now() + ms
  do {
    report?.lost('lost(sysdig)', 1, Date.now())
    await pause(Math.min(1_000, Math.max(1, until - performance.now())), signal)
  } while (performance.now() < until && !signal.aborted)
}

/** `Driver Drops:85090`, once, at its end: when they were lost it does not say. */
function reportDrops(stderr: string, eventsPerCall: number, report?: LossReport): void {
  const drops = Number(/Driver Drops:\s*(\d+)/.exec(stderr)?.[1] ?? 0)
  if (drops === 0) return
  const calls = Math.ceil(drops / eventsPerCall)
  log.warn('sysdig lost calls', { calls, drops })
  report?.lost('lost(sysdig)', calls, Date.now())
}

/** Not an alert: nothing is known of them but that they run. */
function tellVanished(programs: readonly string[]): void {
  if (programs.length === 0) return
  log.warn('sysdig shows no call of programs that run: they are not judged', {
    programs: programs.join(', '),
  })
}

/** Says where this sysdig cannot see enough for what it is used for. */
function tellSight(name: SightName, version: string): void {
  if (!isPoor(name)) return
  const { recognition, unseen } = SIGHTS[name]
  log.warn('This sysdig cannot see all calls: programs are recognised less well', {
    version,
    unseen: unseen.length,
    recall: recognition.recall,
    'with the kernel source': SIGHTS.kernel.recognition.recall,
  })
}

function ended(end: ChildEnd, stderr: string): { code?: number; signal?: string; said: string } {
  return {
    ...defined({ code: end.code, signal: end.signal }),
    said: lastLine(stderr),
  }
}

/** Why it never began, and what to do. */
function refusal(end: ChildEnd, stderr: string): AgentError {
  const said = lastLine(stderr)
  const isRoot = process.geteuid?.() === 0
  if (/operation not permitted|permission denied|root credentials/i.test(stderr) && !isRoot) {
    return new AgentError('ERR_PERMISSION', `Cannot capture with sysdig: ${said}`, {
      hint: 'Run as root (sudo agent watch)',
    })
  }
  if (/unable to load the driver|\/dev\/scap|not supported in this build/i.test(stderr)) {
    return new AgentError('ERR_COLLECTOR', `Cannot capture with sysdig: ${said}`, {
      hint: 'This sysdig has no driver for this kernel: use --source kernel, or install a sysdig with modern eBPF',
    })
  }
  const how = end.signal === undefined ? `code ${end.code}` : `signal ${end.signal}`
  return new AgentError(
    'ERR_COLLECTOR',
    `Cannot capture with sysdig: it ended with ${how}: ${said}`,
    {
      hint: 'Run "sysdig" manually to see whether it works, or use --source kernel',
    },
  )
}

/** The last thing said that is no statistics. */
export function lastLine(stderr: string): string {
  const lines = stderr.trim().split('\n')
  const said = lines.filter((line) => !/^(Driver |Suppressed|Elapsed|$)/.test(line))
  return said.at(-1)?.slice(0, 300) ?? ''
}
