/** Text through a parser, whole: what most tests of parsers need. */
import type { SourceFormat } from '../../src/domain/source.ts'
import { createParser, type ParserOptions } from '../../src/parse/create-parser.ts'
import { TallyRecorder } from './tally-recorder.ts'

export function parseAll(
  format: SourceFormat,
  text: string | Uint8Array,
  options: ParserOptions = {},
): TallyRecorder {
  const recorder = new TallyRecorder()
  const parser = createParser(format, recorder, options)
  parser.push(typeof text === 'string' ? new TextEncoder().encode(text) : text)
  parser.end()
  return recorder
}
