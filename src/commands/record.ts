/** `agent record`: a live source to a frames file. No model is needed; `train` and `evaluate` read what it writes. */
import { defineCommand } from 'citty'
import { countSource } from '../agent/count-source.ts'
import { openFramesFile } from '../agent/frames-writer.ts'
import { loadSettings } from '../agent/settings.ts'
import { chooseSource, leaderNameOf } from '../agent/sources.ts'
import { log } from '../platform/log.ts'
import { jsonArg, note, settingArgs, shutdownAfter } from './common.ts'
import { inputLine, Progress } from './input-report.ts'

export default defineCommand({
  meta: {
    name: 'record',
    description: "This host's activity as frames, to train on or to keep",
    examples: [
      'sudo agent record --duration 10m --out normal.frames.ndjson.zst',
      'sudo agent record --source kernel --duration 45s --label nmap --out nmap.frames.ndjson',
      'sysdig | agent record --source - --out host.frames.ndjson.gz',
    ],
  },
  args: {
    out: {
      type: 'string',
      description: 'frames file, .zst and .gz by name; default stdout',
      valueHint: 'FILE',
    },
    duration: { type: 'string', description: 'stop after so long (30s, 10m)', valueHint: 'TIME' },
    label: {
      type: 'string',
      description: 'what the processes really are, written into each line',
      valueHint: 'WORD',
    },
    ...settingArgs('source', 'format', 'sysdigMode', 'state', 'host'),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings } = loadSettings(args)
    const { source, why } = await chooseSource(settings.source, {
      stateDirectory: settings.state,
      sysdigMode: settings.sysdigMode,
      ...(args.out === undefined ? {} : { writesTo: args.out }),
    })
    const out = openFramesFile(args.out, {
      host: settings.host,
      ...(args.label === undefined ? {} : { label: args.label }),
    })
    log.info('Recording', { source: source.name, why })
    const progress = new Progress(process.stderr)
    const { ledger, error } = await countSource(
      source,
      {
        ...(settings.format === undefined ? {} : { format: settings.format }),
        ...(source.live ? { leaderName: leaderNameOf } : {}),
        afterChunk: (bytes) => progress.show(source.name, bytes),
      },
      shutdownAfter(args.duration),
      (frames) => out.write(frames),
    )
    progress.clear()
    await out.close()
    note(args.json ? JSON.stringify(ledger) : inputLine(ledger, out.frameCount, out.vectorCount))
    if (error !== undefined) throw error
  },
})
