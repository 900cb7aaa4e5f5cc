/**
 * What was read about one process beside its calls: plain answers of the facts reader (`facts/`),
 * from which `detect/findings.ts` draws its findings. Numbers, paths and names only: no content of
 * any file or memory is ever in here.
 */
import type { ProcessContext } from './alert.ts'

/**
 * What can be asked about a process. `look` is cheap; the others cost milliseconds to seconds and
 * are asked with a reason.
 */
export const FACT_QUESTIONS = [
  'look',
  'program',
  'streams',
  'files',
  'network',
  'pool',
  'refusal',
] as const
export type FactQuestion = (typeof FACT_QUESTIONS)[number]

/** Where an executable lies, as far as that says something. */
export type Place = 'system' | 'temporary' | 'web' | 'hidden' | 'other'

export interface Executable {
  /** As its own root shows it. */
  readonly path: string
  readonly deleted: boolean
  /** It was executed from memory (memfd), no file. */
  readonly inMemory: boolean
  /** It was deleted, and nothing else has come in its place, as at an upgrade or a new build. */
  readonly isGone?: true
  readonly place: Place
}

export type StreamKind = 'tcp' | 'unix' | 'pipe' | 'pty' | 'file' | 'null' | 'closed' | 'other'

/** What one of the descriptors 0, 1, 2 is. */
export interface Stream {
  readonly kind: StreamKind
  /**
   * Number of the pipe, socket or terminal: two streams with one number are one thing. 0 for the
   * others.
   */
  readonly id: number
}

export interface Look {
  /** Its comm. */
  readonly name: string
  readonly executable?: Executable
  /** Really a thread of the kernel (PF_KTHREAD). */
  readonly isKernelThread: boolean
  /** It has memory of its own: no thread of the kernel has. */
  readonly hasMemory: boolean
  /** Of descriptors 0, 1, 2. */
  readonly streams: readonly Stream[]
  /** What an interpreter runs, where its command line names a file. */
  readonly script?: string
  readonly session: number
  readonly context: ProcessContext
}

/**
 * `verified`: the unmodified file of an installed package. `owned`: a package owns the path, its
 * content is not known. `unknown`: there is no trusted package database.
 */
export type PackageState = 'verified' | 'owned' | 'modified' | 'unowned' | 'unknown'

export interface Program {
  readonly state: PackageState
  readonly package?: string
  /** Another file of a package that has exactly this content: the program is a copy of it. */
  readonly copyOf?: string
  /** Its comm is only another name of this executable: a symbolic link that leads to it. */
  readonly isAlias: boolean
  /** Root owns the file, and no other user can write to it. */
  readonly isRoots?: boolean
  /** A different program of this host whose file name equals its comm. */
  readonly namesake?: string
  /** The same question about the file that an interpreter runs. */
  readonly script?: PackageState
}

export interface Connection {
  /** "address:port" */
  readonly remote: string
  readonly isLoopback: boolean
  /** No socket listens on its local port: it is an outgoing connection. */
  readonly isOutgoing: boolean
  /**
   * Its ports look as if it had come from outside, and who listened for it is gone: then that is no
   * proof.
   */
  readonly isDoubtful?: true
  /** A connected UDP socket. */
  readonly isDatagram?: true
}

/** A process at the other end of a shell's standard streams. */
export interface Relay {
  readonly pid: number
  readonly name: string
  readonly executable?: Executable
  readonly state: PackageState
  /**
   * `terminal`: it holds the master of the terminal. `pipes`: its own standard streams are the
   * other ends of both pipes; `half`: of one of them. `parent`: it is the parent, and holds the
   * other ends elsewhere.
   */
  readonly holds: 'terminal' | 'pipes' | 'half' | 'parent'
  readonly isListening: boolean
  /** Its TCP connections, a few. */
  readonly connections: readonly Connection[]
  /** The one that is its standard input or output. */
  readonly standard?: Connection
}

export interface Streams {
  /** The TCP connection, or UDP socket, that is both standard input and output. */
  readonly connection?: Connection
  readonly relays: readonly Relay[]
  /** Remote ends of the connections of the process itself. */
  readonly peers: readonly string[]
}

/** What became of files where a process writes, renames and removes many. */
export interface FileChanges {
  /** Files changed in these seconds that were looked into. */
  readonly sampled: number
  /** Of them: what was readable or had a known format is now without either. */
  readonly encrypted: number
  /**
   * Unreadable files that came under the name of one that is gone, with an ending of their own, and
   * whose previous content is unknown.
   */
  readonly replaced: number
  /** Unreadable files that came, whatever they are called. */
  readonly ciphers: number
  /** Readable files, older than the process, that went and have no successor. */
  readonly gone: number
  /** Files there that it was seen to write, and of them those that it left unreadable. */
  readonly written: number
  readonly unreadable: number
  /** They lie in its working directory, or below. */
  readonly isWithin: boolean
  /** Names of a few of those, without their directory. */
  readonly examples: readonly string[]
  readonly directory?: string
}

/** Whom a process is connected to. */
export interface Network {
  /** Of TCP, a few. */
  readonly connections: readonly Connection[]
  readonly isListening: boolean
}

/** Calls of some ten seconds by which a process turned to others. */
export interface Contacts {
  readonly connects: number
  readonly sends: number
  /** Reads from files and sockets, without those of a program's start. */
  readonly heard: number
  /** Different remote ends, estimated; undefined where the source does not tell. */
  readonly ends?: number
  /** Likewise, DNS queries. */
  readonly dnsQueries?: number
}

/** Connections to one end, one after the other. */
export interface Repeats {
  /** In some ten seconds. */
  readonly contacts: number
  readonly peer: string
}

/** All that is known of one process; each part replaces an older one. */
export interface ProcessFacts {
  readonly look?: Look
  /**
   * Where it came from, by its parent: for a process that was gone before it could be looked at.
   */
  readonly origin?: ProcessContext
  readonly program?: Program
  readonly streams?: Streams
  readonly files?: FileChanges
  readonly network?: Network
  /** A phrase of the protocol of mining pools in its memory; '' where there is none. */
  readonly pool?: string
  /** How servers refused it a login, by answers in its memory; '' where there is none. */
  readonly refusal?: string
  /** It connected to one end again and again, when that was noticed. */
  readonly repeats?: Repeats
  /** It is the child of a process of the same executable, which has these connections. */
  readonly parentNetwork?: Network
  /** Kinds of questions about this host that it asked of late (detect/commands.ts). */
  readonly asked?: readonly string[]
  /** The one remote end that it turned to now and then meanwhile, by connections of moments. */
  readonly contacted?: string
  /** Kinds of secrets that it opened of late (detect/credentials.ts). */
  readonly secrets?: readonly string[]
  /**
   * It computes and asks the kernel for next to nothing: share of a core, when that was noticed.
   */
  readonly cores?: number
  /** Files that it removed of late, by its calls, when its files were looked at. */
  readonly unlinked?: number
  /** And those that it renamed with them. */
  readonly removed?: number
}
