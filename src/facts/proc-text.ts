/**
 * Understands what /proc says of a process. Pure: the bytes are brought. Everything in them may be
 * chosen by the process itself, so nothing here throws, every length is checked, and no line break
 * forges a field.
 */
import { safeName } from '../domain/process.ts'

/** A tick of /proc, whatever the kernel's own is. */
const TICKS = 100
const PF_KTHREAD = 0x0020_0000

/** −1 as the kernel writes it. */
const NOBODY = 0xffffffff

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

/** Who logged in, from /proc/PID/loginuid; undefined for what a service or the kernel started. */
export function loginUidOf(text: string): number | undefined {
  const uid = /^\d+/.exec(text)?.[0]
  return uid === undefined || Number(uid) === NOBODY ? undefined : Number(uid)
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

const EXECUTABLE = /^[0-9a-f]+-[0-9a-f]+ ..x/
/** What the kernel gives to each process, from the first moment on. */
const OF_THE_KERNEL = /\[(vdso|vsyscall)\]$/

/**
 * Whether a program's file is mapped to be executed. While a process begins to execute it nothing
 * is yet, which is no sign of another program.
 * @param maps text of /proc/PID/maps
 * @param link what /proc/PID/exe shows
 */
export function isMappedIn(maps: string, link: string): boolean {
  const end = ` ${link.replaceAll('\n', '\\012')}`
  const executed = maps
    .split('\n')
    .filter((line) => EXECUTABLE.test(line) && !OF_THE_KERNEL.test(line))
  return executed.length === 0 || executed.some((line) => line.endsWith(end))
}
