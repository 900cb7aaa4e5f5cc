/**
 * Who a process of this host is, from /proc: user, unit, parents, command line. For `agent top`,
 * which asks for the rows on the screen only, so that the agent itself has nothing to do for it.
 *
 * Answers are kept for some seconds. Who may not read /proc of others gets what everybody may see.
 */
import type { ParentProcess } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import { PROCESS_LOOKS_MAX } from '../domain/limits.ts'
import { findProcess, look } from '../facts/look.ts'
import { Recent } from '../facts/recent.ts'

export interface ProcessLook {
  readonly user?: string
  readonly unit?: string
  readonly command?: string
  readonly exe?: string
  readonly cwd?: string
  readonly parents?: readonly ParentProcess[]
}

const KEPT_MS = 5_000

export class ProcessLooks {
  readonly #looks = new Recent<ProcessLook | undefined>(KEPT_MS, PROCESS_LOOKS_MAX)

  /** @param start Unix seconds @returns undefined where it is gone, or another one has its pid */
  of(pid: number, start: number): ProcessLook | undefined {
    return this.#looks.get(`${pid}@${start}`, () => lookNow(pid, start))
  }
}

function lookNow(pid: number, start: number): ProcessLook | undefined {
  // Groups of short-lived processes have no pid of their own.
  if (pid <= 0) return undefined
  const stat = findProcess(pid, start)
  if (stat === undefined) return undefined
  const { context, executable } = look(pid, stat)
  const { user, uid, unit, command, cwd, parents } = context
  return defined({
    user: user ?? (uid === undefined ? undefined : String(uid)),
    ...{ unit, command, cwd, parents },
    exe: executable?.path,
  })
}
