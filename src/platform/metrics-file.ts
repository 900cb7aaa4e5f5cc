/**
 * Metrics as a file for node_exporter's textfile collector: written aside and renamed, so that it is
 * never read half; removed at the end, so that an agent that ended does not look alive.
 */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export class MetricsFile {
  readonly #path: string
  /** No name that the collector would take up: it reads *.prom. */
  readonly #aside: string

  constructor(path: string) {
    this.#path = path
    this.#aside = join(dirname(path), `.${basename(path)}.new`)
  }

  /** @returns why it could not be written, where it could not */
  write(text: string): string | undefined {
    try {
      rmSync(this.#aside, { force: true })
      // Not through a link that somebody else put there.
      writeFileSync(this.#aside, text, { flag: 'wx' })
      // Readable for node_exporter's user, whatever the umask.
      chmodSync(this.#aside, 0o644)
      renameSync(this.#aside, this.#path)
      return undefined
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error)
    }
  }

  /** As far as the directory allows it. */
  remove(): void {
    try {
      rmSync(this.#aside, { force: true })
      rmSync(this.#path, { force: true })
    } catch {}
  }
}
