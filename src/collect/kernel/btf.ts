/**
 * Where the members of the running kernel's structures lie, from its own type information
 * (/sys/kernel/btf/vmlinux, "BPF Type Format"). Offsets change with version and configuration, so
 * nothing about them is written down here but their names.
 *
 * One pass over 5 MB of types, 10–25 ms, only at start. Bytes come from root's kernel, still every
 * read is bounded: what does not parse is "no BTF", and the counter uses a lesser variant.
 */

const MAGIC = 0xeb9f
const KIND = {
  array: 3,
  struct: 4,
  union: 5,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  typeTag: 18,
}
/** Bytes that follow a type's twelve, by kind: fixed, and for each of its members. */
const EXTRA: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0], // int
  3: [12, 0], // array
  4: [0, 12], // struct
  5: [0, 12], // union
  6: [0, 8], // enum
  13: [0, 8], // function prototype
  14: [4, 0], // variable
  15: [0, 12], // data section
  17: [4, 0], // declaration tag
  19: [0, 12], // enum of 64 bits
}

/** Offsets in bytes; undefined where this kernel has no such member. */
export interface TaskOffsets {
  readonly groupLeader: number
  readonly realParent: number
  readonly tgid: number
  readonly pid: number
  readonly comm: number
  /** ns since boot, suspended time included. */
  readonly startBoottime: number
  readonly signal: number
  /** signal_struct.live: threads that have not exited. */
  readonly signalLive: number
  /** The word that says "this call is a 32-bit one", and its bit. */
  readonly compatWord: number
  readonly compatBit: number
  /** linux_binprm.interp: the path of what is really executed (for a script: its interpreter). */
  readonly binprmInterp: number
  /**
   * task_struct.nsproxy, nsproxy.pid_ns_for_children, pid_namespace.ns.inum; a kernel without them
   * counts all the same.
   */
  readonly nsproxy?: number | undefined
  readonly pidNamespace?: number | undefined
  readonly namespaceInode?: number | undefined
  /**
   * What the path of an executed file takes; without it there is the path by which it was called.
   */
  readonly file?: FileOffsets | undefined
  /** What CPU times take; a kernel without them counts all the same. */
  readonly cpu?: CpuOffsets | undefined
  /** What arguments take: task_struct.mm, mm_struct.arg_start and arg_end. */
  readonly memory?: MemoryOffsets | undefined
}

export interface MemoryOffsets {
  readonly mm: number
  readonly argStart: number
  readonly argEnd: number
}

export interface FileOffsets {
  /** linux_binprm.file, and in struct file its dentry and vfsmount. */
  readonly binprmFile: number
  readonly dentry: number
  readonly vfsmount: number
  readonly parent: number
  /** dentry.d_name.name */
  readonly name: number
  /** vfsmount.mnt_root */
  readonly root: number
  /** struct mount: its vfsmount, the mount above it, and where it is mounted there. */
  readonly mountVfsmount: number
  readonly mountParent: number
  readonly mountpoint: number
}

export interface CpuOffsets {
  /** task_struct.flags */
  readonly flags: number
  /** task_struct.cred, cred.uid */
  readonly cred: number
  readonly uid: number
  /** task_struct.se.sum_exec_runtime: ns of a thread, as of its last tick. */
  readonly runtime: number
  /** signal_struct.sum_sched_runtime: ns of the threads that have ended. */
  readonly endedRuntime: number
}

export class Btf {
  readonly #view: DataView
  readonly #strings: number
  readonly #stringsEnd: number
  /** Where type i lies; 0 is void. */
  readonly #types: Uint32Array

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const view = this.#view
    if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC) throw new RangeError('no BTF')
    const header = view.getUint32(4, true)
    const from = header + view.getUint32(8, true)
    const to = from + view.getUint32(12, true)
    this.#strings = header + view.getUint32(16, true)
    this.#stringsEnd = this.#strings + view.getUint32(20, true)
    if (to > bytes.length || this.#stringsEnd > bytes.length) throw new RangeError('BTF is cut')
    this.#types = new Uint32Array(Math.floor((to - from) / 12) + 2)
    let count = 1
    for (let at = from; at + 12 <= to; count++) {
      this.#types[count] = at
      const info = view.getUint32(at + 4, true)
      const [fixed, each] = EXTRA[(info >>> 24) & 0x1f] ?? [0, 0]
      at += 12 + fixed + each * (info & 0xffff)
    }
  }

  /** Offsets of dotted paths within structures, all structures in one pass. */
  offsets<Key extends string>(
    wanted: Readonly<Record<Key, readonly [struct: string, path: string]>>,
  ): Partial<Record<Key, number>> {
    const structs = new Map<string, number>()
    const names = new Set(Object.values<readonly [string, string]>(wanted).map(([name]) => name))
    const byOffset = this.#nameOffsets(names)
    for (let id = 1; id < this.#types.length; id++) {
      const at = this.#types[id]!
      if (at === 0) break
      const name = byOffset.get(this.#view.getUint32(at, true))
      if (name !== undefined && this.#kind(id) === KIND.struct && !structs.has(name))
        structs.set(name, id)
    }
    const found: Partial<Record<Key, number>> = {}
    for (const key of Object.keys(wanted) as Key[]) {
      const [struct, path] = wanted[key]
      const id = structs.get(struct)
      const bits = id === undefined ? undefined : this.#pathBits(id, path.split('.'))
      if (bits !== undefined && bits % 8 === 0) found[key] = bits / 8
    }
    return found
  }

  /** The number of a function's type, 0 where there is none of that name. */
  functionId(name: string): number {
    const at = this.#nameOffsets(new Set([name]))
      .keys()
      .next().value
    if (at === undefined) return 0
    for (let id = 1; id < this.#types.length && this.#types[id] !== 0; id++) {
      const isCalledSo = this.#view.getUint32(this.#types[id]!, true) === at
      if (isCalledSo && this.#kind(id) === KIND.function) return id
    }
    return 0
  }

  /** How many arguments a raw tracepoint has, 0 where there is none of that name. */
  tracepointArguments(name: string): number {
    const at = this.#nameOffsets(new Set([`btf_trace_${name}`]))
      .keys()
      .next().value
    if (at === undefined) return 0
    for (let id = 1; id < this.#types.length && this.#types[id] !== 0; id++) {
      const type = this.#types[id]!
      if (this.#view.getUint32(type, true) !== at || this.#kind(id) !== KIND.typedef) continue
      // A typedef of a pointer to a function, whose first parameter is the tracepoint's own.
      const pointer = this.#types[this.#view.getUint32(type + 8, true)]
      const prototype =
        pointer === undefined ? undefined : this.#types[this.#view.getUint32(pointer + 8, true)]
      if (prototype === undefined || prototype === 0) return 0
      return Math.max(0, (this.#view.getUint32(prototype + 4, true) & 0xffff) - 1)
    }
    return 0
  }

  /**
   * Each string is there once, so a structure is found by where its name lies, without decoding
   * 126,000 names.
   */
  #nameOffsets(names: ReadonlySet<string>): Map<number, string> {
    const { buffer, byteOffset } = this.#view
    const strings = Buffer.from(
      buffer as ArrayBuffer,
      byteOffset + this.#strings,
      this.#stringsEnd - this.#strings,
    )
    const found = new Map<number, string>()
    for (const name of names) {
      const at = strings.indexOf(`\0${name}\0`)
      if (at >= 0) found.set(at + 1, name)
    }
    return found
  }

  #kind(id: number): number {
    return (this.#view.getUint32(this.#types[id]! + 4, true) >>> 24) & 0x1f
  }

  #name(offset: number): string {
    const from = this.#strings + offset
    let to = from
    while (to < this.#stringsEnd && this.#view.getUint8(to) !== 0) to++
    return Buffer.from(
      this.#view.buffer as ArrayBuffer,
      this.#view.byteOffset + from,
      to - from,
    ).toString('latin1')
  }

  #pathBits(id: number, path: readonly string[], depth = 0): number | undefined {
    const [head, ...rest] = path
    const resolved = this.#unwrap(id)
    if (head === undefined) return 0
    if (resolved === undefined || depth > 8) return undefined
    const kind = this.#kind(resolved)
    if (kind !== KIND.struct && kind !== KIND.union) return undefined
    const at = this.#types[resolved]!
    const info = this.#view.getUint32(at + 4, true)
    for (let i = 0; i < (info & 0xffff); i++) {
      const member = at + 12 + i * 12
      const name = this.#view.getUint32(member, true)
      const type = this.#view.getUint32(member + 4, true)
      const packed = this.#view.getUint32(member + 8, true)
      const bits = info >>> 31 === 1 ? packed & 0xffffff : packed
      // An anonymous structure's members count as its owner's.
      const within =
        name === 0
          ? this.#pathBits(type, path, depth + 1)
          : this.#name(name) === head
            ? this.#pathBits(type, rest, depth + 1)
            : undefined
      if (within !== undefined) return bits + within
    }
    return undefined
  }

  /** The type behind typedefs and qualifiers. */
  #unwrap(id: number): number | undefined {
    const through = [KIND.typedef, KIND.volatile, KIND.const, KIND.restrict, KIND.typeTag]
    for (let steps = 0; steps < 16; steps++) {
      if (id <= 0 || id >= this.#types.length || this.#types[id] === 0) return undefined
      if (!through.includes(this.#kind(id))) return id
      id = this.#view.getUint32(this.#types[id]! + 8, true)
    }
    return undefined
  }
}

/** TS_COMPAT in thread_info.status on x86; TIF_32BIT in thread_info.flags on arm64. */
const COMPAT =
  process.arch === 'arm64'
    ? { path: 'thread_info.flags', bit: 22 }
    : { path: 'thread_info.status', bit: 1 }

/** @returns undefined where a member that the counter needs is not found */
export function taskOffsets(bytes: Uint8Array): TaskOffsets | undefined {
  return kernelTypes(bytes).task
}

/** Where submissions to io_uring are seen, and where their opcode lies. */
export interface UringPlace {
  readonly tracepoint: string
  /** Which argument; the opcode itself, or, with an offset, a pointer to what holds it. */
  readonly argument: number
  readonly offset?: number
}

export interface KernelTypes {
  /** Undefined where a member that the counter needs is not found. */
  readonly task?: TaskOffsets | undefined
  readonly uring?: UringPlace | undefined
  /** Whether the kernel has io_uring at all. */
  readonly hasUring?: boolean
  /** Type of the function that walks over tasks (task-program.ts); 0 where there is none. */
  readonly taskWalk: number
}

/** Reads everything needed from a kernel's types in one pass; nothing if they are damaged. */
export function kernelTypes(bytes: Uint8Array): KernelTypes {
  try {
    const types = new Btf(bytes)
    return {
      task: offsetsOf(types),
      taskWalk: types.functionId('bpf_iter_task'),
      uring: uringPlace(types),
      hasUring: types.offsets({ opcode: ['io_kiocb', 'opcode'] }).opcode !== undefined,
    }
  } catch (error) {
    if (error instanceof RangeError) return { taskWalk: 0 }
    throw error
  }
}

function uringPlace(types: Btf): UringPlace | undefined {
  const { opcode: offset } = types.offsets({ opcode: ['io_kiocb', 'opcode'] })
  const current = 'io_uring_submit_req'
  if (types.tracepointArguments(current) > 0)
    return offset === undefined ? undefined : { tracepoint: current, argument: 0, offset }
  // Its name until 6.3; the arguments changed in 5.16 and 5.19.
  const tracepoint = 'io_uring_submit_sqe'
  switch (types.tracepointArguments(tracepoint)) {
    case 2:
      return offset === undefined ? undefined : { tracepoint, argument: 0, offset }
    case 5:
      return { tracepoint, argument: 1 }
    case 7:
      return { tracepoint, argument: 2 }
    default:
      return undefined
  }
}

function fileOffsets(types: Btf): FileOffsets | undefined {
  const found = types.offsets({
    binprmFile: ['linux_binprm', 'file'],
    dentry: ['file', 'f_path.dentry'],
    vfsmount: ['file', 'f_path.mnt'],
    parent: ['dentry', 'd_parent'],
    name: ['dentry', 'd_name.name'],
    root: ['vfsmount', 'mnt_root'],
    mountVfsmount: ['mount', 'mnt'],
    mountParent: ['mount', 'mnt_parent'],
    mountpoint: ['mount', 'mnt_mountpoint'],
  })
  const isWhole = Object.values(found).filter((offset) => offset !== undefined).length === 9
  return isWhole ? (found as FileOffsets) : undefined
}

function offsetsOf(types: Btf): TaskOffsets | undefined {
  const { startBoottime, realStartTime, compatWord, ...others } = types.offsets({
    groupLeader: ['task_struct', 'group_leader'],
    realParent: ['task_struct', 'real_parent'],
    tgid: ['task_struct', 'tgid'],
    pid: ['task_struct', 'pid'],
    comm: ['task_struct', 'comm'],
    startBoottime: ['task_struct', 'start_boottime'],
    realStartTime: ['task_struct', 'real_start_time'],
    signal: ['task_struct', 'signal'],
    signalLive: ['signal_struct', 'live'],
    compatWord: ['task_struct', COMPAT.path],
    binprmInterp: ['linux_binprm', 'interp'],
    nsproxy: ['task_struct', 'nsproxy'],
    pidNamespace: ['nsproxy', 'pid_ns_for_children'],
    namespaceInode: ['pid_namespace', 'ns.inum'],
    flags: ['task_struct', 'flags'],
    cred: ['task_struct', 'cred'],
    uid: ['cred', 'uid'],
    runtime: ['task_struct', 'se.sum_exec_runtime'],
    endedRuntime: ['signal_struct', 'sum_sched_runtime'],
    mm: ['task_struct', 'mm'],
    argStart: ['mm_struct', 'arg_start'],
    argEnd: ['mm_struct', 'arg_end'],
  })
  const { groupLeader, realParent, tgid, pid, comm, signal, signalLive, binprmInterp } = others
  const { nsproxy, pidNamespace, namespaceInode } = others
  const { flags, cred, uid, runtime, endedRuntime } = others
  const { mm, argStart, argEnd } = others
  const hasMemory = mm !== undefined && argStart !== undefined && argEnd !== undefined
  const hasCpu =
    flags !== undefined &&
    cred !== undefined &&
    uid !== undefined &&
    runtime !== undefined &&
    endedRuntime !== undefined
  // Until 5.5 the same member was called real_start_time.
  const start = startBoottime ?? realStartTime
  if (
    groupLeader === undefined ||
    realParent === undefined ||
    tgid === undefined ||
    pid === undefined ||
    comm === undefined ||
    start === undefined ||
    signal === undefined ||
    signalLive === undefined ||
    compatWord === undefined ||
    binprmInterp === undefined
  )
    return undefined
  return {
    groupLeader,
    realParent,
    tgid,
    pid,
    comm,
    startBoottime: start,
    signal,
    signalLive,
    compatWord,
    compatBit: COMPAT.bit,
    binprmInterp,
    nsproxy,
    pidNamespace,
    namespaceInode,
    file: fileOffsets(types),
    ...(hasMemory ? { memory: { mm, argStart, argEnd } } : {}),
    ...(hasCpu ? { cpu: { flags, cred, uid, runtime, endedRuntime } } : {}),
  }
}
