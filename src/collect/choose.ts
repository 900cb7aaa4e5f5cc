/**
 * Selects the source for --source, with the reason.
 *
 * `auto` takes the first that works: our counter in the kernel, bpftrace, sysdig. If none works,
 * the error has the reason of each.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { Source } from '../domain/source.ts'
import type { Needs, User } from '../platform/linux/owner.ts'
import type { OwnFiles } from '../platform/linux/sandbox.ts'
import { bpftraceSource } from './bpftrace.ts'
import { fileSource } from './file.ts'
import { kernelSource, shedPrivileges } from './kernel/source.ts'
import { pipeSource } from './pipe.ts'
import { type SysdigMode, sysdigSource, trySysdig } from './sysdig.ts'

export interface ChooseOptions {
  readonly stateDirectory?: string
  readonly sysdigMode?: SysdigMode
  /**
   * Where the command will write, if not below the state directory: decides whose process it
   * becomes.
   */
  readonly writesTo?: string
  /**
   * All files that the command uses: where it sheds its privileges, it can reach no others then.
   */
  readonly files?: OwnFiles
  /** What the user who takes over from root must be able to use beside the state directory. */
  readonly succession?: Omit<Needs, 'program'>
  /**
   * Leave the process its capabilities where the kernel counts (tests; it drops them by
   * re-executing itself).
   */
  readonly keepPrivileges?: boolean
  /** Signals a request to stop; it would be lost in a re-execution. */
  readonly signal?: AbortSignal
  /**
   * Called while the capabilities are still here, where they are dropped after it; gets whose
   * process the next image will be.
   * @returns pid of a part of ours that is not to be counted
   */
  readonly beforeShedding?: (user: User | undefined) => number | undefined
}

export interface Chosen {
  readonly source: Source
  /** For the log and for `agent status`: one clause, no full stop. */
  readonly why: string
}

/**
 * @throws AgentError that says what to install or run: exit 7 or 6, or 1 for a file that is not
 *   there
 */
export async function chooseSource(spec: string, options: ChooseOptions = {}): Promise<Chosen> {
  switch (spec) {
    case 'auto':
      return chooseBest(options)
    case 'kernel':
      return { source: await startKernel(options), why: 'selected' }
    case 'bpftrace':
      return { source: await startBpftrace(), why: 'selected' }
    case 'sysdig':
      return { source: startSysdig(options), why: 'selected' }
    case '-':
      return { source: pipeSource(), why: 'selected' }
    default:
      return { source: fileSource(spec, options), why: 'selected' }
  }
}

async function chooseBest(options: ChooseOptions): Promise<Chosen> {
  const refusals: { name: string; error: AgentError }[] = []
  const ways = [
    { name: 'kernel', start: () => startKernel(options) },
    { name: 'bpftrace', start: startBpftrace },
    { name: 'sysdig', start: () => startTriedSysdig(options) },
  ]
  for (const { name, start } of ways) {
    try {
      const source = await start()
      const why = refusals.map(({ name, error }) => `${name}: ${error.message}`).join('; ')
      return { source, why: why === '' ? 'auto-selected' : `auto-selected; ${why}` }
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      refusals.push({ name, error })
    }
  }
  const first = refusals[0]!.error
  throw new AgentError(
    first.code,
    `Cannot watch this host: ${refusals.map(({ name, error }) => `${name}: ${error.message}`).join('; ')}`,
    { hint: first.hint ?? 'Run "agent doctor"', cause: first },
  )
}

async function startKernel(options: ChooseOptions): Promise<Source> {
  if (options.keepPrivileges !== true)
    await shedPrivileges(
      options.writesTo ?? options.stateDirectory,
      defined({ signal: options.signal, files: options.files, succession: options.succession }),
      options.beforeShedding,
    )
  const source = kernelSource()
  await source.start()
  return source
}

async function startBpftrace(): Promise<Source> {
  const source = bpftraceSource()
  await source.start()
  return source
}

/** As one of several it must work; asked for, it says itself why it does not. */
async function startTriedSysdig(options: ChooseOptions): Promise<Source> {
  await trySysdig()
  return startSysdig(options)
}

function startSysdig(options: ChooseOptions): Source {
  return sysdigSource({
    ...defined({ mode: options.sysdigMode, stateDirectory: options.stateDirectory }),
  })
}
