/**
 * What becomes of files while a process rewrites many: from states of the same files, seen one
 * after the other, to how many were turned into something unreadable. Pure; the looking is
 * file-watch.ts.
 *
 * A file counts as encrypted where something readable, or of a known format, stood under its name
 * (or under its name without the new ending) and now something even stands there. What was even
 * before proves nothing (backups, caches, random test data, keys), unless the file's own ending says
 * that it is readable or of a known format: who works fast has been there before us. What is
 * compressed has a format, and is ordinary.
 */
import { defined } from '../domain/defined.ts'
import type { FileChanges } from '../domain/process-facts.ts'
import { isSecretPath } from '../domain/secrets.ts'
import type { Texture } from './written-files.ts'

export interface FileState extends Texture {
  /** Differs where it was written to, or is another file. */
  readonly version: string
}

interface Known {
  state: FileState
  changed: boolean
  encrypted: boolean
  /** It was there before the process was. */
  readonly isOld: boolean
  isGone: boolean
}

/** Endings that tools give to what they made of a file, or until they have. */
const ORDINARY_ENDING =
  /\.(gz|xz|zst|bz2|lz4|lzma|br|zip|7z|gpg|pgp|asc|age|sig|part|partial|tmp|temp|crdownload|download|bak|backup|old|orig|new|swp|lock|log|\d+)$|~$/i
/** Of a file that is in use, before another ending was added. */
const WORK_ENDING =
  /\.(docx?|xlsx?|pptx?|odt|ods|odp|pdf|rtf|txt|csv|tsv|json|xml|html?|md|sql|db|sqlite|jpe?g|png|gif|tiff?|bmp|svg|psd|mp3|mp4|avi|mov|mkv|wav|zip|tar|c|h|cpp|py|js|ts|java|go|rs|rb|php|sh|ya?ml|ini|conf|cfg|log|eml|pst|vmdk|qcow2|vhdx?|bak|key|pem|crt)$/i

/** What is named so is text, or begins as its format does. */
const RECOGNISABLE =
  /\.(docx?|xlsx?|pptx?|odt|ods|odp|pdf|rtf|txt|csv|tsv|json|xml|html?|md|sql|sqlite|jpe?g|png|gif|tiff?|zip|c|h|cpp|py|js|ts|java|go|rs|rb|php|ya?ml|ini|conf|cfg|eml)$/i
/** And of these the middle is text, too. */
const TEXT = /\.(doc|rtf|txt|csv|tsv|json|xml|md|sql|c|h|cpp|java|go|rs|ya?ml|ini|conf|cfg)$/i

export class FileLedger {
  readonly #files = new Map<string, Known>()
  /**
   * Of the process, with a slash at its end; undefined where it is the root, which says nothing.
   */
  workingDirectory: string | undefined
  /** Unreadable newcomers in the place of another file, by their ending. */
  readonly #replaced = new Map<string, Set<string>>()
  /** All unreadable newcomers, whatever their ending. */
  readonly #ciphers = new Set<string>()

  get size(): number {
    return this.#files.size
  }

  knows(path: string): boolean {
    return this.#files.has(path)
  }

  /** Of the files that are known, those in this directory. */
  pathsIn(directory: string): string[] {
    return [...this.#files.keys()].filter(
      (path) => path.lastIndexOf('/') === directory.length && path.startsWith(directory),
    )
  }

  versionOf(path: string): string | undefined {
    return this.#files.get(path)?.state.version
  }

  /** The state of a file at a look; the first is what it was. */
  see(path: string, state: FileState, isOld = false): void {
    const known = this.#files.get(path)
    if (known === undefined) {
      this.#files.set(path, { state, changed: false, encrypted: false, isOld, isGone: false })
      return
    }
    known.isGone = false
    if (known.state.version === state.version) return
    known.changed = true
    known.encrypted ||= isEncryption(known.state, state) || isMislabelled(path, state)
    known.state = state
  }

  /** A file is gone, and this one has come in its place under a longer name. */
  seeSuccessor(path: string, state: FileState): void {
    this.see(path, { ...state, version: `successor ${state.version}` })
  }

  /** A file is gone, and none has come in its place. */
  seeGone(path: string): void {
    const known = this.#files.get(path)
    if (known !== undefined) known.isGone = true
  }

  /**
   * A file that came in these seconds; `isAlone` where the name without its last ending is no file
   * any more.
   */
  seeNew(path: string, state: FileState, isAlone: boolean): void {
    if (state.head === 'cipher') this.#ciphers.add(path)
    if (!isAlone || state.head !== 'cipher') return
    const ending = replacementEnding(path)
    if (ending === undefined) return
    const files = this.#replaced.get(ending) ?? new Set()
    files.add(path)
    this.#replaced.set(ending, files)
  }

  result(): Omit<FileChanges, 'written' | 'unreadable'> {
    const changed = [...this.#files].filter(([, { changed }]) => changed)
    const encrypted = changed.filter(([, { encrypted }]) => encrypted)
    // One tool gives one ending.
    const replaced = [...this.#replaced.values()].sort((a, b) => b.size - a.size)[0] ?? new Set()
    const archives = replaced.size > 0 ? replaced : this.#ciphers
    const shown = encrypted.length > 0 ? encrypted.map(([path]) => path) : [...archives]
    const gone = [...this.#files.values()].filter(
      ({ isOld, isGone, state: { head } }) =>
        isOld && isGone && (head === 'plain' || head === 'format'),
    )
    const directory = shown[0]?.slice(0, shown[0].lastIndexOf('/'))
    return {
      sampled: changed.length,
      encrypted: encrypted.length,
      replaced: replaced.size,
      ciphers: this.#ciphers.size,
      gone: gone.length,
      isWithin:
        directory !== undefined &&
        this.workingDirectory !== undefined &&
        `${directory}/`.startsWith(this.workingDirectory),
      examples: shown.slice(0, 3).map((path) => path.slice(path.lastIndexOf('/') + 1)),
      ...defined({ directory }),
    }
  }
}

/** ".locked" of "report.doc.locked"; undefined where the name tells of no replaced file. */
export function replacementEnding(path: string): string | undefined {
  if (ORDINARY_ENDING.test(path)) return undefined
  const at = path.lastIndexOf('.')
  return at > 0 && WORK_ENDING.test(path.slice(0, at)) ? path.slice(at) : undefined
}

/**
 * A file that is known as a secret is not looked into, unless its name says that it came in the
 * place of a work file: an encryptor must not hide by an ending such as ".shadow".
 */
export function isPrivate(path: string): boolean {
  return isSecretPath(path) && replacementEnding(path) === undefined
}

/** Written anew, and not what its ending says. */
function isMislabelled(path: string, { head, isMiddleEven }: FileState): boolean {
  if (head === 'cipher') return RECOGNISABLE.test(path)
  return head === 'plain' && isMiddleEven && TEXT.test(path)
}

function isEncryption(before: FileState, after: FileState): boolean {
  const wasReadable = before.head === 'plain' || before.head === 'format'
  if (wasReadable && after.head === 'cipher') return true
  return (
    after.head === before.head &&
    !before.isMiddleEven &&
    after.isMiddleEven &&
    before.head === 'plain'
  )
}
