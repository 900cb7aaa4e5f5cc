/**
 * Detects the format of a stream from its first whole lines. The first line may be truncated and
 * notices may be mixed in, so the lines vote.
 */
import type { SourceFormat } from '../domain/source.ts'

const VOTING_LINES = 64

const SHAPES: readonly (readonly [SourceFormat, RegExp])[] = [
  ['chisel', /^@\d{1,11} (\d+ [LTX]|[.!] \d)/],
  ['sysdig-text', /^\d{19} (-?\d+|<NA>) (-?\d+|<NA>) \S+( |$)/],
  // Times of the clock, of Unix, or since something (which the parser refuses); with -pc and -pk a
  // virtual id beside the id.
  [
    'sysdig-text',
    /^\d+ (\d\d:\d\d:\d\d|\d{1,11})\.\d{9} \d+ .*\((-?\d+|<NA>)(:(-?\d+|<NA>))?\) [<>] /,
  ],
  ['frames', /^\{(?=.*"t":\s*\d)(?=.*"(counts|loss)":)/],
  ['sysdig-json', /^[[,]?\s*\{.*"(evt|proc|thread|syscall)\.[a-z.]+":/],
  [
    'bpftrace-json',
    /^\{\s*"type":\s*"(map|attached_probes|printf|time|hist|stats|value|lost_events)"/,
  ],
  // `[pid 2747] `, `2747 ` or neither, a name within with -Y; a time of Unix, of the clock, since
  // something, or none.
  [
    'strace-text',
    /^ *(\[pid +\d+(<.{0,60}>)?\] |\d{1,7}(<.{0,60}>)? )? *(\d+(\.\d{3,9})? |\d\d:\d\d:\d\d(\.\d{1,9})? )([a-z_0-9?]{2,40}\(|--- |\+\+\+ |<\.\.\. )/,
  ],
  [
    'strace-text',
    /^(\[pid +\d+(<.{0,60}>)?\] |\d{1,7}(<.{0,60}>)? +)?[a-z_0-9]{2,40}\(.*( = (-?\d|0x|\?)|<unfinished \.\.\.>)/,
  ],
]

/** Undefined if no line of the head matches a format. */
export function recogniseFormat(head: Uint8Array): SourceFormat | undefined {
  const text = new TextDecoder('latin1').decode(head.subarray(0, 65_536))
  const votes = new Map<SourceFormat, number>()
  for (const line of text.split('\n', VOTING_LINES)) {
    const shape = SHAPES.find(([, pattern]) => pattern.test(line.slice(0, 4_096)))
    if (shape !== undefined) votes.set(shape[0], (votes.get(shape[0]) ?? 0) + 1)
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0]
}
