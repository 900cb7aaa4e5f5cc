/** `agent count FILE…`: captures to frames (docs/reference/formats.md), at maximum speed. */
import { defineCommand } from 'citty'
import { openFiles } from '../agent/sources.ts'
import { EXIT } from '../domain/error.ts'
import type { InputLedger } from '../domain/ledger.ts'
import type { SourceFormat } from '../domain/source.ts'
import { countSource } from '../record/count-source.ts'
import { openFramesFile } from '../record/frames-writer.ts'
import { jsonArg, note, shutdownSignal } from './common.ts'
import { inputFlags, userInput } from './input-flags.ts'
import {
  filesInWords,
  inputExitCode,
  inputLine,
  mergeLedgers,
  Progress,
  requireCounted,
} from './input-report.ts'

export default defineCommand({
  meta: {
    name: 'count',
    description: 'Counts the calls of each process and second in captures, as frames',
    examples: [
      'agent count busy.scap # frames on stdout',
      'agent count sysdig.txt.gz --out frames.ndjson.zst',
      "agent count own.txt --format '%evt.datetime %proc.pid %evt.dir %evt.type %proc.name'",
      'strace -f -ttt -o make.strace make; agent count make.strace',
      'strace -p 812 -tt 2> web.strace; agent count web.strace --pid 812 --name nginx',
    ],
  },
  args: {
    files: {
      type: 'positional',
      description:
        'captures: .scap, sysdig text or JSON, strace, frames; .gz, .zst and .xz as well; - for stdin',
      valueHint: 'FILE…',
      required: true,
    },
    out: {
      type: 'string',
      description: 'frames file; compressed if it ends in .zst or .gz',
      valueHint: 'FILE',
    },
    format: {
      type: 'string',
      description: 'the -p string that sysdig was started with',
      valueHint: 'STRING',
    },
    host: { type: 'string', description: 'host name in the frames', valueHint: 'NAME' },
    ...inputFlags,
    ...jsonArg,
  },
  async run({ args }) {
    const signal = shutdownSignal()
    const input = userInput(args)
    const sources = openFiles(args._, {})
    const out = openFramesFile(args.out, args.host === undefined ? {} : { host: args.host })
    const progress = new Progress(process.stderr)
    const ledgers: InputLedger[] = []
    let format: SourceFormat | undefined
    let error: unknown
    try {
      for (const source of sources) {
        const counted = await countSource(
          source,
          {
            ...input,
            afterChunk: (bytes) => progress.show(source.path ?? 'stdin', bytes),
          },
          signal,
          (frames) => out.write(frames),
        )
        ledgers.push(counted.ledger)
        format = counted.format ?? format
        error ??= counted.error
        if (error !== undefined || signal.aborted) break
      }
    } finally {
      progress.clear()
      await out.close()
    }
    const ledger = mergeLedgers(ledgers)
    note(args.json ? JSON.stringify(ledger) : inputLine(ledger, out.frameCount, out.vectorCount))
    if (error !== undefined) throw error
    if (signal.aborted) return EXIT.interrupted
    requireCounted(ledger, filesInWords(args._))
    return inputExitCode(ledger, format, args)
  },
})
