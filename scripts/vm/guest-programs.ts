/** What a machine is given: the built agent, and the programs that make calls in exact numbers. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machines.ts'
import { run } from './programs.ts'

const SOURCE = join(import.meta.dir, '../../test/fixtures/programs/calls.c')

/** Static: the guest's libc may be older than ours. */
export async function compilePrograms(machine: Machine, to: string): Promise<void> {
  const arm = machine.architecture === 'arm64'
  // Debian's gcc for arm64 and its gcc-multilib exclude each other.
  const compiler = arm ? ['clang', '--target=aarch64-linux-gnu'] : ['x86_64-linux-gnu-gcc']
  const flags = ['-O1', '-static', '-pthread', SOURCE]
  await run([...compiler, ...flags, '-o', join(to, 'calls')])
  // The kernel's headers are the same; without gcc-multilib they are not where -m32 looks.
  const headers = ['-m32', '-idirafter', '/usr/include/x86_64-linux-gnu']
  if (!arm) await run([...compiler, ...headers, ...flags, '-o', join(to, 'calls32')])
}

/** dist/agent of this checkout; for another architecture one beside it, built if missing or older. */
export async function agentBinary(machine: Machine, checkout: string): Promise<string> {
  const arch = machine.architecture === 'arm64' ? 'arm64' : 'x64'
  const name = arch === process.arch ? 'agent' : `agent-linux-${arch}`
  const binary = join(checkout, 'dist', name)
  const changed = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (changed(binary) === 0 || changed(binary) < changed(join(checkout, 'dist/agent')))
    await run([process.execPath, 'scripts/build.ts', '--target', `linux-${arch}`, '--out', binary])
  return binary
}
