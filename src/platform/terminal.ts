/** stdout as data and as a terminal: written to the end, coloured only where a person looks. */

/**
 * Writes data and waits until the reader has taken it; a reader that went away is no error (cli.ts
 * ends the process).
 */
export function writeOut(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(text, () => resolve())
  })
}

export function writeJson(value: unknown): Promise<void> {
  return writeOut(`${JSON.stringify(value)}\n`)
}

/** True where escape sequences are welcome: a terminal, and no NO_COLOR. */
export function coloured(stream: { isTTY?: boolean } = process.stdout): boolean {
  const { NO_COLOR, TERM } = process.env
  return stream.isTTY === true && !NO_COLOR && TERM !== 'dumb'
}

export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  yellow(text: string): string
  green(text: string): string
}

export function paintFor(stream: { isTTY?: boolean } = process.stdout): Paint {
  const on = coloured(stream)
  const code = (open: number, close: number) => (text: string) =>
    on ? `\x1b[${open}m${text}\x1b[${close}m` : text
  return {
    bold: code(1, 22),
    dim: code(2, 22),
    red: code(31, 39),
    yellow: code(33, 39),
    green: code(32, 39),
  }
}
