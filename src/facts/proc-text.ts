/**
 * Understands what /proc says of a process. Pure: the bytes are brought. Everything in them may be
 * chosen by the process itself, so nothing here throws, every length is checked, and no line break
 * forges a field.
 */
import { COMMAND_CHARS_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'

/** A tick of /proc, whatever the kernel's own is. */
const TICKS = 100
const PF_KTHREAD = 0x0020_0000

export interface ProcStat {
  readonly name: string
  readonly ppid: number
  readonly session: number
  readonly isKernelThread: boolean
  readonly cpuMs: number
  /** ms since boot. */
  readonly startMs: number
  readonly memoryBytes: number
}

/** @param text of /proc/PID/stat; undefined where it is none */
export function parseStat(text: string): ProcStat | undefined {
  // A name may hold anything, brackets and line breaks too: fields are counted from the last
  // bracket on.
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  if (open < 0 || close < open) return undefined
  const fields = text
    .slice(close + 2)
    .split(' ')
    .map(Number)
  const [, ppid, , session, , , flags] = fields
  const [user, system] = [fields[11], fields[12]]
  const [start, memory] = [fields[19], fields[20]]
  if ([ppid, session, flags, user, system, start, memory].some((n) => !Number.isFinite(n)))
    return undefined
  return {
    name: safeName(text.slice(open + 1, close)),
    ppid: ppid!,
    session: session!,
    isKernelThread: (flags! & PF_KTHREAD) !== 0,
    cpuMs: ((user! + system!) * 1000) / TICKS,
    startMs: (start! * 1000) / TICKS,
    memoryBytes: memory!,
  }
}

/** Unix ms of the boot, from /proc/stat. */
export function bootMsOf(text: string): number {
  return Number(/^btime (\d+)$/m.exec(text)?.[1] ?? 0) * 1000
}

/** The real user, from /proc/PID/status. */
export function uidOf(text: string): number | undefined {
  const uid = /^Uid:\s+(\d+)/m.exec(text)?.[1]
  return uid === undefined ? undefined : Number(uid)
}

/** The innermost unit of systemd in /proc/PID/cgroup: "nginx.service", "session-3.scope". */
export function unitOf(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const path = /^(?:0:|\d+:name=systemd)[^/]*(\/.*)$/.exec(line)?.[1]
    const units = path?.split('/').filter((part) => /\.(service|scope)$/.test(part))
    const unit = units?.at(-1)
    if (unit !== undefined) return safeName(unit.slice(0, 128))
  }
  return undefined
}

export function parseArguments(text: string): string[] {
  const words = text.split('\0')
  if (words.at(-1) === '') words.pop()
  return words
}

const SECRET_FLAG =
  /^--?[\w-]*(pass(word|wd|phrase)?|secret|token|api-?key|credential|auth|private-?key)[\w-]*$/i
const SECRET_PAIR =
  /((?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|credentials?|auth(?:orization)?|private[-_]?key)[\w-]*\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&;,"']+)/gi
const MASK = '***'

/**
 * The command line as one line for people, secrets masked, cut. '' for a process without arguments.
 */
export function maskedCommand(words: readonly string[]): string {
  const shown: string[] = []
  let hideNext = false
  const program = words[0]?.split('/').pop() ?? ''
  // Bounded before it is looked through: a command line may have two megabytes.
  for (const word of words.slice(0, 64)) {
    const text = word.slice(0, 1024)
    const masked: string = hideNext ? MASK : maskedWord(text, program)
    shown.push(masked)
    hideNext = masked === text && SECRET_FLAG.test(text) && !text.includes('=')
  }
  return safeName(shown.join(' ').slice(0, COMMAND_CHARS_MAX))
}

function maskedWord(word: string, program: string): string {
  // mysql -pSECRET, sshpass -pSECRET
  if (/^(mysql|mariadb|sshpass)/.test(program) && /^-p./.test(word)) return `-p${MASK}`
  return word
    .replace(/(\b[a-z][\w+.-]*:\/\/[^\s/:@]*:)[^\s/@]+@/gi, `$1${MASK}@`)
    .replace(/\b(Bearer|Basic)\s+[\w+/=.~-]+/gi, `$1 ${MASK}`)
    .replace(SECRET_PAIR, (_, key: string) => `${key}${MASK}`)
    .replace(/\bpass:\S+/g, `pass:${MASK}`)
}

/** Options of interpreters that are followed by a word which is no script. */
const TAKES_WORD = /^-(W|X|I|O|r|M|d|B|S|T)$/
const NO_SCRIPT = /^(-c|-e|-m|-E|-n?e|-r|--eval|-)$/

/**
 * The file that an interpreter was told to run, as it was written; undefined where there is none.
 */
export function scriptOf(words: readonly string[]): string | undefined {
  for (let i = 1; i < Math.min(words.length, 16); i++) {
    const word = words[i]!
    if (NO_SCRIPT.test(word)) return undefined
    if (TAKES_WORD.test(word)) i++
    else if (!word.startsWith('-') && word !== '') return word.slice(0, 1024)
  }
  return undefined
}

/** `pipe:[123]`, `socket:[123]`: the number; undefined for another link. */
export function numberOfLink(link: string, kind: 'pipe' | 'socket'): number | undefined {
  const [, found, number] = /^(pipe|socket):\[(\d+)\]$/.exec(link) ?? []
  return found === kind ? Number(number) : undefined
}
