/** The parser of each format; all turn bytes, cut anywhere, into the same tallies. */
import { BPFTRACE_LINE_BYTES_MAX, LINE_BYTES_MAX } from '../domain/limits.ts'
import type { Parser, SourceFormat } from '../domain/source.ts'
import type { TallySink } from '../domain/tally.ts'
import { BpftraceMapParser } from './bpftrace-map.ts'
import { ChiselLineParser } from './chisel-line.ts'
import { FramesLineParser } from './frames-line.ts'
import { KernelRecordsParser } from './kernel-records.ts'
import { byLine, type LineParser, Lines } from './lines.ts'
import { StraceLineParser } from './strace-line.ts'
import { SysdigJsonParser } from './sysdig-json.ts'
import { createSysdigLineParser } from './sysdig-line.ts'
import type { ParserOptions } from './time.ts'

export type { ParserOptions } from './time.ts'

/** @throws AgentError ERR_USAGE for a `format` option without time, pid or type */
export function createParser(
  format: SourceFormat,
  sink: TallySink,
  options: ParserOptions = {},
): Parser {
  switch (format) {
    case 'sysdig-text':
      return createSysdigLineParser(sink, options)
    case 'chisel':
      return lines(new ChiselLineParser(sink), sink)
    case 'sysdig-json':
      return lines(new SysdigJsonParser(sink, options), sink)
    case 'frames':
      return lines(new FramesLineParser(sink, options), sink)
    case 'strace-text':
      return lines(new StraceLineParser(sink, options), sink)
    case 'kernel-records':
      return new KernelRecordsParser(sink)
    case 'bpftrace-json':
      // A map of many processes is one line.
      return lines(new BpftraceMapParser(sink), sink, BPFTRACE_LINE_BYTES_MAX)
  }
}

function lines(parser: LineParser, sink: TallySink, lineBytesMax = LINE_BYTES_MAX): Parser {
  return new Lines(byLine(parser, sink, lineBytesMax), sink, lineBytesMax)
}
