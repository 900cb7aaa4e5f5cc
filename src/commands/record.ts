/**
 * `agent record`: a live source to a frames file. No model is needed; `train` and `evaluate` read
 * what it writes.
 */
import { tmpdir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { defineCommand } from 'citty'
import { OwnCost } from '../agent/own-cost.ts'
import { chooseSource, leaderNameOf } from '../agent/sources.ts'
import { defined } from '../domain/defined.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { isHost } from '../domain/source.ts'
import { systemClock } from '../platform/clock.ts'
import { closeSandbox, type OwnFiles } from '../platform/linux/sandbox.ts'
import { log } from '../platform/log.ts'
import { countSource } from '../record/count-source.ts'
import { Recording } from '../record/recording.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, note, settingArgs, shutdownAfter, shutdownSignal } from './common.ts'
import { inputFlags, userInput } from './input-flags.ts'
import {
  inputExitCode,
  inputLine,
  Progress,
  requireCounted,
  requireObserved,
} from './input-report.ts'

export default defineCommand({
  meta: {
    name: 'record',
    description: "Records this host's activity as a frames file",
    examples: [
      'sudo agent record --duration 10m --out normal.frames.ndjson.zst',
      'sudo agent record --source kernel --duration 45s --label nmap --out nmap.frames.ndjson',
      'sysdig | agent record --source - --out host.frames.ndjson.gz',
      'sudo agent record --hosts containers.tsv --tree tree.tsv --out all.frames.ndjson.zst # several hosts of one kernel',
    ],
  },
  args: {
    out: {
      type: 'string',
      description: 'frames file, compressed if it ends in .zst or .gz; default stdout',
      valueHint: 'FILE',
    },
    duration: { type: 'string', description: 'stop after this time (30s, 10m)', valueHint: 'TIME' },
    label: {
      type: 'string',
      description: 'the real program of all processes, written into each line',
      valueHint: 'WORD',
    },
    hosts: {
      type: 'string',
      description: 'file of pid namespaces and host names (number, tab, name): record only these',
      valueHint: 'FILE',
    },
    tree: {
      type: 'string',
      description: 'write the process tree and names to this file',
      valueHint: 'FILE',
    },
    ...settingArgs('source', 'format', 'sysdigMode', 'state', 'host'),
    ...inputFlags,
    ...jsonArg,
  },
  async run({ args }) {
    const { settings } = loadSettings(args)
    const spec = args.hosts === undefined ? settings.source : kernelOnly(settings.source)
    const { source, why } = await chooseSource(spec, {
      signal: shutdownSignal(),
      stateDirectory: settings.state,
      sysdigMode: settings.sysdigMode,
      ...defined({ writesTo: args.out }),
      files: filesOf(args),
    })
    if (source.name === 'kernel') confine()
    const input = userInput({ ...args, format: settings.format })
    const signal = shutdownAfter(args.duration)
    const cost = new OwnCost(systemClock)
    cost.include(() => source.pid, source.name === 'kernel')
    const { out, label, hosts, tree } = args
    const recording = new Recording({ out, label, hosts, tree, host: settings.host })
    log.info('Recording', { source: source.name, why })
    const progress = new Progress(process.stderr)
    const { ledger, format, error } = await countSource(
      source,
      {
        ...input,
        ...(source.live ? { leaderName: leaderNameOf } : {}),
        afterChunk: (bytes) => progress.show(source.name, bytes),
      },
      signal,
      (frames) => recording.write(frames),
    )
    progress.clear()
    const totals = await recording.close()
    const { frames, vectors } = totals
    note(
      args.json
        ? JSON.stringify({ ...ledger, ...totals, cpuSeconds: cost.cpuSeconds() })
        : inputLine(ledger, frames, vectors),
    )
    if (error !== undefined) throw error
    if (ledger.observed === 0 && shutdownSignal().aborted) return EXIT.interrupted
    if (isHost(source)) requireObserved(ledger, source.name)
    else requireCounted(ledger, source.path === undefined ? 'the input' : `"${source.path}"`)
    return inputExitCode(ledger, format, args)
  },
})

/** What a recording uses beside the files of the system: nothing of a state directory. */
function filesOf({
  out,
  tree,
  hosts,
}: Partial<Record<'out' | 'tree' | 'hosts', string | undefined>>): OwnFiles {
  // New files are made, and replaced, in a directory; a device is itself.
  const places = [out, tree].filter((path) => path !== undefined).map((path) => resolve(path))
  const [first = tmpdir(), ...others] = places.map((path) =>
    path.startsWith('/dev/') ? path : dirname(path),
  )
  return { write: [first, ...others], read: hosts === undefined ? [] : [resolve(hosts)] }
}

function confine(): void {
  const unfiltered = closeSandbox()
  if (unfiltered !== undefined) log.warn('Calls are not filtered', { why: unfiltered })
}

/** Only our own records say which pid namespace a process lives in. */
function kernelOnly(spec: string): string {
  if (spec === 'kernel' || spec === 'auto') return 'kernel'
  throw new AgentError(
    'ERR_USAGE',
    `Cannot use --hosts with --source ${spec}: only the kernel source distinguishes hosts`,
    { hint: 'Use --source kernel' },
  )
}
