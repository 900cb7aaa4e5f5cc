/**
 * Maps processes to hosts that share a kernel: containers have their own pid namespaces, and a file
 * names them. Containers start while a recording runs, so the file is read again when an unknown
 * namespace appears, at most once per second of the recording.
 *
 *   pid namespace (its inode, as /proc/PID/ns/pid shows) <TAB> host; the host `-` is not recorded
 *
 * Namespaces that are never named are not recorded either: the machine's own is one. What cannot be
 * read later on leaves what was known.
 */
import { readFileSync } from 'node:fs'
import { AgentError } from '../domain/error.ts'
import { HOSTS_FILE_LINES_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'

const LINE = /^(\d{1,10})\t(\S{1,64})$/
const NOT_RECORDED = '-'

export class HostsFile {
  readonly #path: string
  #hosts: ReadonlyMap<number, string>
  #readFor = Number.NaN

  /** @throws AgentError ERR_INPUT where the file is not there, or holds another line */
  constructor(path: string) {
    this.#path = path
    this.#hosts = parse(read(path), path)
  }

  /** @param second of the recording @returns undefined where it is not to be recorded */
  hostOf({ pidNamespace }: Process, second: number): string | undefined {
    if (pidNamespace === undefined) return undefined
    if (!this.#hosts.has(pidNamespace) && this.#readFor !== second) {
      this.#readFor = second
      this.#readAnew()
    }
    const host = this.#hosts.get(pidNamespace)
    return host === NOT_RECORDED ? undefined : host
  }

  #readAnew(): void {
    try {
      this.#hosts = parse(read(this.#path), this.#path)
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
    }
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AgentError(
      'ERR_INPUT',
      `Cannot read "${path}": ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      {
        hint: 'It may be empty at first: hosts can be added while recording',
        cause,
      },
    )
  }
}

function parse(text: string, path: string): Map<number, string> {
  const hosts = new Map<number, string>()
  for (const [i, line] of text.split('\n').slice(0, HOSTS_FILE_LINES_MAX).entries()) {
    if (line === '') continue
    const [, namespace, host] = LINE.exec(line) ?? []
    if (namespace === undefined || host === undefined)
      throw new AgentError(
        'ERR_INPUT',
        `Cannot read "${path}": line ${i + 1} is not a pid namespace, a tab and a host`,
        {
          hint: 'The number is that of "readlink /proc/PID/ns/pid", for any process of the container',
        },
      )
    hosts.set(Number(namespace), host)
  }
  return hosts
}
