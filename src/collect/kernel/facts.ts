/**
 * What the kernel's record does not hold: the container behind a cgroup, and, for processes that
 * live longer than a moment, what /proc adds. A supplement: each read may fail (the process is
 * gone, hidepid, a namespace of its own) and then the fact is left out. Bounded by PROC_READS_MAX a
 * second.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CGROUP_WALK_MAX, CGROUPS_MAX, PROC_READS_MAX } from '../../domain/limits.ts'

/** A short-lived process is usually in a cgroup that a longer-lived one has shown already. */
const WALK_EVERY_SECONDS = 30
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] as const

export class Facts {
  #budget = PROC_READS_MAX
  /** Container by cgroup id; '' where it is none. */
  readonly #containers = new Map<number, string>()
  readonly #root = unifiedRoot()
  #secondsToWalk = 0

  /** A new second, a new budget. */
  refill(): void {
    this.#budget = PROC_READS_MAX
    if (this.#secondsToWalk > 0) this.#secondsToWalk--
  }

  /**
   * @param cgroup inode of the process's cgroup v2 directory; 1 on hosts with v1 alone
   * @returns a container's short id, '' if there is none or it is unknown
   */
  container(pid: number, cgroup: number): string {
    if (this.#root === undefined || cgroup <= 1) return containerOfPath(this.#read(pid, 'cgroup'))
    const known = this.#containers.get(cgroup)
    if (known !== undefined) return known
    // From the process itself if it lives; else an occasional walk finds all new ones: 300
    // directories take 3 ms.
    const own = this.#read(pid, 'cgroup')
    if (own !== '') this.#remember(cgroup, containerOfPath(own))
    else if (this.#secondsToWalk === 0) {
      this.#secondsToWalk = WALK_EVERY_SECONDS
      walk(this.#root, (inode, path) => this.#remember(inode, containerOfPath(path)))
      // Gone with its process: not to be looked for again.
      if (!this.#containers.has(cgroup)) this.#remember(cgroup, '')
    }
    return this.#containers.get(cgroup) ?? ''
  }

  /** The leader's name, for the few processes that the kernel has no record of. */
  comm(pid: number): string {
    return this.#read(pid, 'comm').replace(/\n$/, '')
  }

  /** Start as Unix seconds where the kernel has no types. Field 22, in hundredths since boot. */
  start(pid: number, bootMs: number): number {
    const stat = this.#read(pid, 'stat')
    // The name may hold spaces and brackets; the last bracket ends it.
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    return ticks > 0 ? Math.floor((bootMs + ticks * 10) / 1000) : 0
  }

  exe(pid: number): string {
    if (this.#budget <= 0) return ''
    this.#budget--
    return exeOf(pid)
  }

  #read(pid: number, file: 'cgroup' | 'comm' | 'stat'): string {
    if (this.#budget <= 0) return ''
    this.#budget--
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8')
    } catch {
      return ''
    }
  }

  #remember(cgroup: number, container: string): void {
    if (this.#containers.size >= CGROUPS_MAX) this.#containers.clear()
    this.#containers.set(cgroup, container)
  }
}

/** '' without the right to look: one needs the same user and no more capabilities than ours. */
export function exeOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
  } catch {
    return ''
  }
}

/**
 * Docker, Podman, containerd, CRI-O and Kubernetes name a container's cgroup by 64 hex digits; LXC
 * and nspawn by its name.
 */
export function containerOfPath(path: string): string {
  const id = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/.exec(path)?.[0]
  if (id !== undefined) return id.slice(0, 12)
  const named =
    /\/(?:lxc(?:\.payload)?[./]|machine\.slice\/machine-)([\w.\\-]{1,64}?)(?:\.scope)?(?:\/|\n|$)/
  return named.exec(path)?.[1] ?? ''
}

function unifiedRoot(): string | undefined {
  return CGROUP_ROOTS.find((root) => {
    try {
      return statSync(join(root, 'cgroup.controllers')).isFile()
    } catch {
      return false
    }
  })
}

function walk(root: string, see: (inode: number, path: string) => void): void {
  const open = [root]
  for (let seen = 0; seen < CGROUP_WALK_MAX; seen++) {
    const path = open.pop()
    if (path === undefined) return
    try {
      see(statSync(path).ino, path)
      for (const entry of readdirSync(path, { withFileTypes: true }))
        if (entry.isDirectory()) open.push(join(path, entry.name))
    } catch {
      // Gone between two looks.
    }
  }
}
