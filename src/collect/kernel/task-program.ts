/**
 * A program that the kernel runs for each of its threads when we read the walk (a "task iterator",
 * Linux 5.8): how much CPU time it has used so far, and whose it is. This is how a process that
 * makes no call is seen.
 *
 * Why a walk and not the scheduler's tracepoints: a walk costs 0.8 µs a thread once a second, a
 * program at each switch costs every blocking call of the host. Times are as of a thread's last
 * tick.
 *
 * Kernel threads are left out (PF_KTHREAD). Loads are typed: the verifier knows what each pointer
 * points to, and one that leads nowhere reads as zero.
 */
import { Assembler, FP, R0, R1, R2, R3, R6, R7, R8, R9 } from './assembler.ts'
import type { CpuOffsets, TaskOffsets } from './btf.ts'
import { COMM_BYTES, TASK } from './layout.ts'

const PF_KTHREAD = 0x0020_0000
/** Members of the context: struct bpf_iter__task, and bpf_iter_meta in it. */
const META = 0
const THIS_TASK = 8
const SEQUENCE_FILE = 0

export function taskProgram(task: TaskOffsets & { readonly cpu: CpuOffsets }): Uint8Array {
  const a = new Assembler()
  const built = -TASK.size
  a.copy(R6, R1)
  // R7 = the thread; 0 marks the end of the walk.
  a.load(8, R7, R6, THIS_TASK).jumpIf(R7, '==', 0, 'leave')
  a.load(4, R1, R7, task.cpu.flags).and(R1, PF_KTHREAD).jumpIf(R1, '!=', 0, 'leave')
  for (let at = 0; at < TASK.size; at += 8) a.storeValue(8, FP, built + at, 0)
  a.load(4, R8, R7, task.tgid).store(4, FP, built + TASK.tgid, R8)
  a.load(4, R9, R7, task.pid).store(4, FP, built + TASK.pid, R9)
  a.load(8, R1, R7, task.cpu.runtime).store(8, FP, built + TASK.cpu, R1)
  a.load(8, R1, R7, task.signal)
  a.load(8, R1, R1, task.cpu.endedRuntime).store(8, FP, built + TASK.endedCpu, R1)
  a.load(8, R1, R7, task.groupLeader)
  a.load(8, R1, R1, task.startBoottime).store(8, FP, built + TASK.start, R1)
  a.jumpIfRegister(R8, '!=', R9, 'write')
  a.load(8, R1, R7, task.realParent)
  a.load(4, R1, R1, task.tgid).store(4, FP, built + TASK.parent, R1)
  a.load(8, R1, R7, task.cpu.cred)
  a.load(4, R1, R1, task.cpu.uid).store(4, FP, built + TASK.uid, R1)
  a.copy(R1, FP)
    .add(R1, built + TASK.comm)
    .set(R2, COMM_BYTES)
  a.copy(R3, R7).add(R3, task.comm).call('probeReadKernel')
  a.label('write')
  a.load(8, R1, R6, META).load(8, R1, R1, SEQUENCE_FILE)
  a.copy(R2, FP).add(R2, built).set(R3, TASK.size).call('seqWrite')
  a.label('leave').set(R0, 0).exit()
  return a.bytes()
}
