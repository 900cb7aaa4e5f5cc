/**
 * A cheap look at one process: what it executes, what its standard streams are, who it is and where
 * it comes from. Some twenty reads of /proc, a fraction of a millisecond.
 */
import { basename } from 'node:path'
import type { ParentProcess, ProcessContext } from '../domain/alert.ts'
import { maskedCommand, parseArguments } from '../domain/command-line.ts'
import { defined } from '../domain/defined.ts'
import { MAPS_BYTES_MAX, MOUNT_TABLES_MAX, PARENTS_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { Executable, Look, Place, Stream } from '../domain/process-facts.ts'
import { isLocalPath, localPathIn, procLink, procStat, procText, statOf } from './proc-files.ts'
import {
  bootMsOf,
  isMappedIn,
  loginUidOf,
  numberOfLink,
  type ProcStat,
  scriptOf,
  uidOf,
  unitOf,
} from './proc-text.ts'
import { Recent } from './recent.ts'
import { UserNames } from './user-names.ts'

/** Sources round a start to whole seconds, and the clock may have been set since. */
const START_APART_MS = 3_000
const DELETED = ' (deleted)'
/** A line of /proc/PID/maps. */

const users = new UserNames()
/** Of containers, by mount namespace and root: read anew every few seconds. */
const usersElsewhere = new Recent<UserNames>(10_000, MOUNT_TABLES_MAX)
/** It moves with the clock; reading it adds up every interrupt of every processor. */
const bootTime = new Recent<number>(1_000)

/**
 * The process that was meant, if it still lives: pids are used again. @param start Unix seconds; 0
 * if not known
 */
export function findProcess(pid: number, start: number): ProcStat | undefined {
  const stat = procStat(pid)
  if (stat === undefined || start === 0) return stat
  const bootMs = bootTime.get('', () => bootMsOf(procText('self', '../stat') ?? ''))
  const apart = Math.abs(bootMs + stat.startMs - start * 1000)
  return apart <= START_APART_MS ? stat : undefined
}

export function look(pid: number, first: ProcStat): Look {
  const executable = runningOf(pid)
  // An exec between the two reads would show the old name beside the new program.
  const stat = procStat(pid) ?? first
  return stat.name === first.name
    ? lookAt(pid, stat, executable)
    : lookAt(pid, stat, runningOf(pid))
}

/**
 * What it executes, if it does execute it: in a user namespace of its own anybody may let
 * /proc/PID/exe show another program [prctl(2), PR_SET_MM_MAP], once nothing of his own is mapped.
 * Whose file is not mapped to be executed runs from memory.
 */
function runningOf(pid: number): Executable | undefined {
  const executable = executableOf(pid)
  if (executable === undefined || isMapped(pid)) return executable
  return { ...executable, inMemory: true, place: 'other' }
}

/** True also where it cannot be told, as while another program takes its place. */
function isMapped(pid: number): boolean {
  const link = procLink(pid, 'exe')
  const maps = procText(pid, 'maps', MAPS_BYTES_MAX) ?? ''
  if (link === undefined || link !== procLink(pid, 'exe')) return true
  return maps.length >= MAPS_BYTES_MAX || isMappedIn(maps, link)
}

function lookAt(pid: number, stat: ProcStat, executable: Executable | undefined): Look {
  const words = parseArguments(procText(pid, 'cmdline', 16_384) ?? '')
  const uid = uidOf(procText(pid, 'status', 4096) ?? '')
  const loginUid = loginUidOf(procText(pid, 'loginuid', 16) ?? '')
  const command = maskedCommand(words)
  const cwd = procLink(pid, 'cwd')
  const context: ProcessContext = defined({
    uid,
    user: uid === undefined ? undefined : userName(pid, uid),
    loginUid,
    // People log in to the host, also where they enter a container.
    loginUser: loginUid === undefined ? undefined : users.nameOf(loginUid),
    parents: parentsOf(stat.ppid),
    unit: unitOf(procText(pid, 'cgroup', 4096) ?? ''),
    cwd: cwd === undefined ? undefined : safeName(cwd.slice(0, 1024)),
    command: command === '' ? undefined : command,
    deleted: executable?.deleted === true ? true : undefined,
  })
  return {
    name: stat.name,
    ...defined({ executable, script: scriptPath(words, cwd) }),
    isKernelThread: stat.isKernelThread,
    hasMemory: stat.memoryBytes > 0,
    streams: [0, 1, 2].map((descriptor) => streamOf(pid, descriptor)),
    session: stat.session,
    context,
  }
}

export function executableOf(pid: number): Executable | undefined {
  const link = procLink(pid, 'exe')
  if (link === undefined) return undefined
  const deleted = link.endsWith(DELETED)
  const whole = deleted ? link.slice(0, -DELETED.length) : link
  const inMemory = whole.startsWith('/memfd:')
  const path = inMemory ? whole : withinRoot(pid, whole)
  return {
    path: safeName(path.slice(0, 1024)),
    deleted: deleted && !inMemory,
    inMemory,
    ...(deleted && !inMemory && isGone(pid, path) ? { isGone: true as const } : {}),
    place: placeOf(path),
  }
}

/** Nothing has come in the place of what was deleted, as an upgrade or a new build leaves it. */
function isGone(pid: number, path: string): boolean {
  return localPathIn(pid, `/proc/${pid}/root`, path) === undefined
}

/** A path as the process's own root shows it: a chroot's link is told with the whole way to it. */
export function withinRoot(pid: number, path: string): string {
  const root = procLink(pid, 'root')
  if (root === undefined || root === '/' || !path.startsWith(`${root}/`)) return path
  return path.slice(root.length)
}

const TEMPORARY = /^\/(tmp|var\/tmp|dev\/shm|run\/shm|run\/user|dev\/mqueue|run\/lock|var\/lock)\//
const WEB = /\/(www|htdocs|public_html|webapps|wwwroot)\/|^\/usr\/share\/nginx\/|\/wp-content\//
const SYSTEM = /^(\/usr)?\/(bin|sbin|lib|lib32|lib64|libexec)\//
/** A name that lists do not show, or that looks like none. */
const HIDDEN = /\/\.[^/]*$|\/\.{1,3}\s+\/|\/\.\.\.\/|\/\s+\//

export function placeOf(path: string): Place {
  // `go run` builds there.
  if (HIDDEN.test(path)) return 'hidden'
  if (TEMPORARY.test(path) && !path.startsWith('/tmp/go-build')) return 'temporary'
  if (WEB.test(path)) return 'web'
  return SYSTEM.test(path) ? 'system' : 'other'
}

export function streamOf(pid: number, descriptor: number): Stream {
  const link = procLink(pid, `fd/${descriptor}`)
  if (link === undefined) return { kind: 'closed', id: 0 }
  const pipe = numberOfLink(link, 'pipe')
  if (pipe !== undefined) return { kind: 'pipe', id: pipe }
  const socket = numberOfLink(link, 'socket')
  // Which kind of socket it is stands in the tables of its network; looked up only where it
  // matters.
  if (socket !== undefined) return { kind: 'unix', id: socket }
  const terminal = /^\/dev\/pts\/(\d+)/.exec(link)?.[1]
  if (terminal !== undefined) return { kind: 'pty', id: Number(terminal) }
  if (link === '/dev/null') return { kind: 'null', id: 0 }
  if (!link.startsWith('/') || link.startsWith('/dev/')) return { kind: 'other', id: 0 }
  if (!isLocalPath(pid, link)) return { kind: 'file', id: 0 }
  const stat = statOf(`/proc/${pid}/fd/${descriptor}`)
  if (stat?.isFIFO() === true) return { kind: 'pipe', id: stat.ino }
  return { kind: 'file', id: 0 }
}

/** The nearest first, up to init. */
export function parentsOf(ppid: number): ParentProcess[] {
  const parents: ParentProcess[] = []
  for (let pid = ppid; pid > 0 && parents.length < PARENTS_MAX; ) {
    const stat = procStat(pid)
    if (stat === undefined) break
    parents.push({ pid, name: stat.name, ...defined({ exe: executableOf(pid)?.path }) })
    pid = stat.ppid
  }
  return parents
}

function scriptPath(words: readonly string[], cwd: string | undefined): string | undefined {
  const script = scriptOf(words)
  if (script === undefined) return undefined
  if (script.startsWith('/')) return safeName(script)
  return cwd === undefined ? safeName(basename(script)) : safeName(`${cwd}/${script}`)
}

const ourMounts = procLink('self', 'ns/mnt')

/** As the process's own root calls the user: in a container another one may have that number. */
function userName(pid: number, uid: number): string | undefined {
  const [mounts, root] = [procLink(pid, 'ns/mnt'), procLink(pid, 'root')]
  if (root === undefined || (mounts === ourMounts && root === '/')) return users.nameOf(uid)
  const own = `/proc/${pid}/root`
  // A container's may lead anywhere.
  const path = localPathIn(pid, own, '/etc/passwd')
  if (path === undefined || path === null) return undefined
  const passwd = `${own}${path}`
  return usersElsewhere.get(`${mounts} ${root}`, () => new UserNames(passwd)).nameOf(uid)
}
