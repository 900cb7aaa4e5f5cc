/** A recording of several hosts as one of them had it, at another time. */

/**
 * @param packed frames as NDJSON, packed by zstd; each line begins with `{"t":SECONDS,"host":"NAME"`
 * @param host whose lines are taken
 * @param laterSeconds added to all times
 * @returns frames as NDJSON
 */
export function recordingOf(packed: Uint8Array, host: string, laterSeconds: number): Uint8Array {
  const mine = `,"host":${JSON.stringify(host)},`
  const lines = linesOf(packed).flatMap((line) => {
    const end = line.indexOf(',')
    if (!line.startsWith(mine, end)) return []
    return [`${START}${timeOf(line) + laterSeconds}${line.slice(end)}`]
  })
  return new TextEncoder().encode(`${lines.join('\n')}\n`)
}

/** The last second of a recording, which is in order of time. */
export function endOf(packed: Uint8Array): number {
  return timeOf(linesOf(packed).at(-1) ?? '')
}

const START = '{"t":'

function timeOf(line: string): number {
  return Number.parseInt(line.slice(START.length), 10)
}

function linesOf(packed: Uint8Array): string[] {
  const text = new TextDecoder().decode(Bun.zstdDecompressSync(packed))
  return text.split('\n').filter((line) => line !== '')
}
