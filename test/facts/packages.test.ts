/** Packages of this host's own database, asked about processes that end meanwhile. */
import { describe, expect, test } from 'bun:test'
import { look } from '../../src/facts/look.ts'
import { Packages } from '../../src/facts/packages.ts'
import { procStat } from '../../src/facts/proc-files.ts'
import { isRoot } from '../support/privileges.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'

/** A process of the name, ended before anything that waits for it goes on. */
function endedWith<T>(command: readonly string[], begin: (pid: number) => T): T {
  const child = Bun.spawn([...command])
  const begun = begin(child.pid)
  child.kill('SIGKILL')
  while (procStat(child.pid)?.memoryBytes) Bun.sleepSync(5)
  return begun
}

const temporary = temporaryDirectories()

/** A process that sees this host's database without one package, and where that lies. */
async function withoutPackage(name: string) {
  const info = temporary()
  const script = `cp -a /var/lib/dpkg/info/*.md5sums ${info}; rm ${info}/${name}.md5sums;
    mount --bind ${info} /var/lib/dpkg/info && exec sleep 100`
  const child = Bun.spawn(['unshare', '-m', 'sh', '-c', script])
  await until('the process', () => procStat(child.pid)?.name === 'sleep')
  return { child, info }
}

describe.skipIf(!isRoot)('Packages.program()', () => {
  test('a database that changes all the time is read seldom, and no program is a stranger for it', async () => {
    const packages = new Packages()
    const { child, info } = await withoutPackage('coreutils')
    const state = async () =>
      (await packages.program(child.pid, look(child.pid, procStat(child.pid)!))).state
    expect(await state()).toBe('unowned')
    await Bun.$`cp -a /var/lib/dpkg/info/coreutils.md5sums ${info}`
    expect(await state()).toBe('unknown')
    child.kill('SIGKILL')
    await child.exited
  })

  test('a copy of a program that is executed from memory is known by its content', async () => {
    const script = `import os
f=os.memfd_create("update",0)
os.write(f,open("/usr/bin/sleep","rb").read())
os.execve(f,["update","100"],{})`
    const child = Bun.spawn(['/usr/bin/python3', '-c', script])
    const seen = () => look(child.pid, procStat(child.pid)!)
    await until('memory', () => seen().executable?.inMemory)
    const found = await new Packages().program(child.pid, seen())
    child.kill('SIGKILL')
    await child.exited
    expect(found).toMatchObject({
      state: 'unowned',
      copyOf: expect.stringMatching(/\/bin\/sleep$/),
    })
  })

  test('reads the whole database though the process ends meanwhile', async () => {
    const packages = new Packages()
    const found = await endedWith(['sleep', '100'], (pid) =>
      packages.program(pid, look(pid, procStat(pid)!)),
    )
    expect(found).toMatchObject({ state: 'owned', package: 'coreutils' })
  })
})
