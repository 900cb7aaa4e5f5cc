/** Packages of this host's own database, asked about processes that end meanwhile. */
import { describe, expect, test } from 'bun:test'
import { look } from '../../src/facts/look.ts'
import { Packages } from '../../src/facts/packages.ts'
import { procStat } from '../../src/facts/proc-files.ts'
import { isRoot } from '../support/privileges.ts'

/** A process of the name, ended before anything that waits for it goes on. */
function endedWith<T>(command: readonly string[], begin: (pid: number) => T): T {
  const child = Bun.spawn([...command])
  const begun = begin(child.pid)
  child.kill('SIGKILL')
  while (procStat(child.pid)?.memoryBytes) Bun.sleepSync(5)
  return begun
}

describe.skipIf(!isRoot)('Packages.program()', () => {
  test('reads the whole database though the process ends meanwhile', async () => {
    const packages = new Packages()
    const found = await endedWith(['sleep', '100'], (pid) =>
      packages.program(pid, look(pid, procStat(pid)!)),
    )
    expect(found).toMatchObject({ state: 'owned', package: 'coreutils' })
  })
})
