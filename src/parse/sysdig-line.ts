/**
 * sysdig's text in an unspecified format: our own line, else its default line or that of `-pc` and
 * `-pk` (the same with a container before the name). Each line is tried separately, so that a
 * stream with a truncated start, or with notices in between, loses nothing else.
 */
import type { Parser } from '../domain/source.ts'
import type { TallySink } from '../domain/tally.ts'
import { Births } from './births.ts'
import {
  CONTAINER_FORMAT,
  DEFAULT_FORMAT,
  FormatLineParser,
  OLD_OWN_FORMAT,
  OWN_FORMAT,
  parseFormatString,
} from './format-line.ts'
import { byLine, type LineParser, Lines } from './lines.ts'
import { OwnLineParser } from './own-line.ts'
import { sampleOf } from './sample.ts'
import type { ParserOptions } from './time.ts'

/** @throws AgentError ERR_USAGE for a format without time, pid or type */
export function createSysdigLineParser(sink: TallySink, options: ParserOptions = {}): Parser {
  if (options.format !== undefined && !isOwn(options.format)) {
    const given = new FormatLineParser(sink, parseFormatString(options.format), options)
    return new Lines(byLine(given, sink), sink)
  }
  const births = new Births()
  const shapes = [DEFAULT_FORMAT, OWN_FORMAT, OLD_OWN_FORMAT, CONTAINER_FORMAT].map(
    (format) => new FormatLineParser(sink, parseFormatString(format), options, births),
  )
  const other: LineParser = {
    line(bytes, from, to) {
      if (shapes.some((shape) => shape.tryLine(bytes, from, to))) return
      sink.drop('malformed', 1, sampleOf(bytes, from, to))
    },
  }
  return new Lines(new OwnLineParser(sink, other, births), sink)
}

function isOwn(format: string): boolean {
  return [OWN_FORMAT, OLD_OWN_FORMAT].includes(`*${format.replace(/^\*/, '')}`)
}
