/**
 * How often a call was made in each second, in one character a second: what an alert can carry of
 * the sequence that raised it, in 10 bytes a call instead of some 50.
 *
 * "0" is no call, "1" one, each further digit of base 36 is larger by a factor of √2: a heat map
 * needs no more. "z" is 131,072 and above.
 */
const MOST = 35

export function callLevels(counts: readonly number[]): string {
  return counts.map((count) => levelOf(count).toString(36)).join('')
}

/** 0…35. */
export function levelOf(count: number): number {
  return count < 1 ? 0 : Math.min(MOST, 1 + Math.floor(2 * Math.log2(count)))
}

/** Levels of each second; undefined where the text holds anything else. */
export function readCallLevels(text: string): number[] | undefined {
  return CALL_LEVELS.test(text) ? [...text].map((digit) => Number.parseInt(digit, 36)) : undefined
}

export const CALL_LEVELS = /^[0-9a-z]{1,60}$/

/** The fewest calls that a level stands for. */
export function fewestOf(level: number): number {
  return level === 0 ? 0 : Math.ceil(2 ** ((level - 1) / 2) - 1e-9)
}
