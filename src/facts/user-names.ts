/**
 * Names of users, from the /etc/passwd of a root, read again when it has changed. No look-up leaves
 * the host. A container calls its users as its own file says.
 */
import { PROC_TEXT_BYTES_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import { readAt, statOf, withFile } from './proc-files.ts'

const LOOK_EVERY_MS = 10_000

export class UserNames {
  readonly #names = new Map<number, string>()
  readonly #passwd: string
  #changedMs = -1
  #lookedMs = Number.NEGATIVE_INFINITY

  /** @param passwd as this process can reach it; its last part is no link */
  constructor(passwd = '/etc/passwd') {
    this.#passwd = passwd
  }

  nameOf(uid: number, nowMs: number = performance.now()): string | undefined {
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = nowMs
      this.#renew()
    }
    return this.#names.get(uid)
  }

  #renew(): void {
    const changedMs = statOf(this.#passwd)?.mtimeMs ?? -1
    if (changedMs === this.#changedMs) return
    this.#changedMs = changedMs
    this.#names.clear()
    const text = withFile(this.#passwd, (file) =>
      new TextDecoder().decode(readAt(file, 0, 4 * PROC_TEXT_BYTES_MAX)),
    )
    for (const line of (text ?? '').split('\n')) {
      const [name, , uid] = line.split(':')
      // The first entry of a number is the one that the system shows.
      if (name !== undefined && /^\d+$/.test(uid ?? '') && !this.#names.has(Number(uid)))
        this.#names.set(Number(uid), safeName(name.slice(0, 32)))
    }
  }
}
