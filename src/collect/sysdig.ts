/**
 * sysdig as source: capture files through `sysdig -r`, and live, both with our chisel, which counts inside
 * sysdig and prints one line per process and second (a tenth of the cost of a line per call).
 */
import { AgentError } from '../domain/error.ts'
import { findProgram, startChild } from '../platform/child.ts'
import { log } from '../platform/log.ts'
import { placeChisel } from './chisel.ts'
import { readPipe } from './pipe.ts'

const INSTALL_HINT =
  'Install sysdig (apt install sysdig), or use --source kernel, which needs no sysdig'

/** pcapng's section header, which sysdig's captures begin with as well; byte order magic of either kind. */
export function isCapture(head: Uint8Array): boolean {
  if (head.length < 12) return false
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const magic = view.getUint32(8, true)
  return view.getUint32(0, true) === 0x0a0d0d0a && (magic === 0x1a2b3c4d || magic === 0x4d3c2b1a)
}

/** @throws AgentError ERR_COLLECTOR (exit 7) */
export function requireSysdig(): string {
  const sysdig = findProgram('sysdig')
  if (sysdig !== undefined) return sysdig
  throw new AgentError('ERR_COLLECTOR', 'Cannot start sysdig: it is not installed', {
    hint: INSTALL_HINT,
  })
}

/** The chisel's lines of a capture file. A cut capture gives what is in it; one that sysdig cannot read is an error. */
export async function* readCapture(
  path: string,
  stateDirectory: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const child = startChild([requireSysdig(), '-r', path, '-c', placeChisel(stateDirectory)])
  let bytes = 0
  try {
    for await (const chunk of readPipe(child.stdout, signal, 2)) {
      bytes += chunk.length
      yield chunk
    }
  } finally {
    if (signal.aborted) await child.stop()
  }
  const { code, signal: killedBy } = await child.exited
  if (code === 0 || signal.aborted) return
  const said = lastLine(child.stderr())
  if (bytes > 0 && /truncated|expecting \d+ bytes, read \d+/i.test(said)) {
    log.warn('capture is cut: what is in it was used', { path, sysdig: said })
    return
  }
  throw new AgentError(
    'ERR_COLLECTOR',
    killedBy === undefined
      ? `Cannot read "${path}": sysdig ended with ${code}: ${said}`
      : `Cannot read "${path}": sysdig died of ${killedBy}`,
    {
      hint: 'A capture of a newer sysdig may be more than this one can read: read it where it was made, and keep `agent count`’s frames',
    },
  )
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
}
