/**
 * sysdig's text without being told which: our own line, else its default line. Each line is tried by
 * itself, so that a stream cut at its start, or with notices in between, loses nothing else.
 */
import type { Parser } from '../domain/source.ts'
import type { TallySink } from '../domain/tally.ts'
import { DEFAULT_FORMAT, FormatLineParser, OWN_FORMAT, parseFormatString } from './format-line.ts'
import { byLine, type LineParser, Lines } from './lines.ts'
import { OwnLineParser } from './own-line.ts'
import { sampleOf } from './sample.ts'
import type { ParserOptions } from './time.ts'

/** @throws AgentError ERR_USAGE for a format without time, pid or type */
export function createSysdigLineParser(sink: TallySink, options: ParserOptions = {}): Parser {
  const own = new FormatLineParser(sink, parseFormatString(OWN_FORMAT), options)
  if (options.format !== undefined && !isOwn(options.format)) {
    const given = new FormatLineParser(sink, parseFormatString(options.format), options)
    return new Lines(byLine(given, sink), sink)
  }
  const usual = new FormatLineParser(sink, parseFormatString(DEFAULT_FORMAT), options)
  const other: LineParser = {
    line(bytes, from, to) {
      if (usual.tryLine(bytes, from, to) || own.tryLine(bytes, from, to)) return
      sink.drop('malformed', 1, sampleOf(bytes, from, to))
    },
  }
  return new Lines(new OwnLineParser(sink, other), sink)
}

function isOwn(format: string): boolean {
  return format.replace(/^\*/, '') === OWN_FORMAT.slice(1)
}
