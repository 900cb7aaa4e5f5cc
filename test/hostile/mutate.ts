/**
 * Damage by chance, the same in each run: what a fault on the wire, a bad disk or a person with bad
 * intent does to bytes. HOSTILE_RUNS sets how many inputs each test makes (default 1,000, for the
 * suite; databases a twentieth of it).
 */

export const RUNS = Number(process.env.HOSTILE_RUNS ?? 1_000)

/** Numbers in [0, 1), by mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Values at which programs break. */
const WORDS = [
  ...['0', '-1', '1e999', '-0', '9007199254740993', '18446744073709551616', '99999999999', 'NaN'],
  ...['null', 'true', '""', '{}', '[]', '[[[[[[[[', '{"":', '"\\u0000"', '\\ud800', '__proto__'],
  ...['\n', '\r\n', '\0', '\u001b[2J', '../../etc/passwd', '<NA>', '%s%n', "';--", '\ufeff', '🜏'],
].map((word) => Buffer.from(word))

/** The bytes with one to four changes. */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let out: Uint8Array = bytes.slice()
  const below = (n: number) => Math.floor(random() * n)
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(out.length + 1)
    const length = Math.min(out.length - at, 1 + below(16))
    switch (below(7)) {
      case 0: // a bit
        if (at < out.length) out[at]! ^= 1 << below(8)
        break
      case 1: // any byte
        if (at < out.length) out[at] = below(256)
        break
      case 2: // the end is missing
        out = out.subarray(0, at)
        break
      case 3: // a part is missing
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)])
        break
      case 4: // a part comes twice
        out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)])
        break
      case 5: {
        const word = WORDS[below(WORDS.length)]!
        out = Buffer.concat([out.subarray(0, at), word, out.subarray(at + below(2) * length)])
        break
      }
      default: // a number is another
        for (let i = at; i < at + length; i++)
          if (out[i]! >= 48 && out[i]! <= 57) out[i] = 48 + below(10)
    }
  }
  return out
}

/** CPU time that one input may take: what is quadratic shows, and a busy machine does not. */
export const ONE_INPUT_MS = 2_000

/** CPU time of this process so far, ms. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Runs the check on so many mutants of the seeds. @returns how many inputs were made */
export function attack(
  seeds: readonly Uint8Array[],
  check: (input: Uint8Array) => void,
  runs = RUNS,
  seed = 1,
): number {
  const random = randomOf(seed)
  let slowest = 0
  for (let run = 0; run < runs; run++) {
    const input = mutate(seeds[Math.floor(random() * seeds.length)]!, random)
    const began = cpuMs()
    try {
      check(input)
    } catch (cause) {
      throw new Error(
        `${String(cause)}, input ${run} of seed ${seed}: ${JSON.stringify(Buffer.from(input).toString('latin1').slice(0, 500))}`,
        { cause },
      )
    }
    slowest = Math.max(slowest, cpuMs() - began)
  }
  if (slowest > ONE_INPUT_MS) throw new Error(`one input took ${Math.round(slowest)} ms`)
  return runs
}
