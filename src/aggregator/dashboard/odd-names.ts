/**
 * Names that deceive the eye: letters of several scripts in one word (a Cyrillic "а" in "аpache"),
 * and characters that are not seen at all (tags, joiners, fillers). No DOM here.
 */

/** A stretch of a name: shown as it is, or a hidden character by its number. */
export interface Piece {
  readonly text: string
  readonly hidden: boolean
}

/** Code points that are not seen: soft hyphen, joiners, fillers, marks of direction, selectors, tags. */
const HIDDEN: readonly (readonly [from: number, to: number])[] = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
]

function isHidden(char: string): boolean {
  const point = char.codePointAt(0)!
  return point > 0x7f && HIDDEN.some(([from, to]) => point >= from && point <= to)
}

/** Scripts with letters that look like Latin ones. */
const SCRIPTS = {
  Latin: /\p{Script=Latin}/u,
  Cyrillic: /\p{Script=Cyrillic}/u,
  Greek: /\p{Script=Greek}/u,
  Armenian: /\p{Script=Armenian}/u,
  Cherokee: /\p{Script=Cherokee}/u,
  Coptic: /\p{Script=Coptic}/u,
  Lisu: /\p{Script=Lisu}/u,
  Georgian: /\p{Script=Georgian}/u,
} as const

export function piecesOf(name: string): Piece[] {
  const pieces: { text: string; hidden: boolean }[] = []
  for (const char of name) {
    const hidden = isHidden(char)
    const text = hidden ? `U+${char.codePointAt(0)!.toString(16).toUpperCase()}` : char
    const last = pieces.at(-1)
    if (last !== undefined && !last.hidden && !hidden) last.text += text
    else pieces.push({ text, hidden })
  }
  return pieces
}

/** What is odd about a name, in words; empty where nothing is. */
export function oddities(name: string): string[] {
  const found: string[] = []
  if ([...name].some(isHidden)) found.push('hidden characters')
  const scripts = Object.entries(SCRIPTS).flatMap(([script, letter]) =>
    letter.test(name) ? [script] : [],
  )
  if (scripts.length > 1) found.push(`${scripts.join(' and ')} letters`)
  else if (scripts[0] !== undefined && scripts[0] !== 'Latin') found.push(`${scripts[0]} letters`)
  // Full-width and mathematical letters look like plain ones as well.
  if (name.normalize('NFKC') !== name && /[\uff01-\uff5e\u{1d400}-\u{1d7ff}]/u.test(name))
    found.push('look-alike letters')
  return found
}
