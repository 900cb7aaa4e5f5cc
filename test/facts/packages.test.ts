/** Packages of this host's own database, asked about processes that end meanwhile. */
import { describe, expect, test } from 'bun:test'
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { look } from '../../src/facts/look.ts'
import { Packages } from '../../src/facts/packages.ts'
import { procLink, procStat } from '../../src/facts/proc-files.ts'
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

  test.skipIf(Bun.which('gcc') === null)(
    'a program that lets its /proc/PID/exe show another one is not that one',
    async () => {
      const borrowed = join(temporary(), 'borrowed')
      const source = join(import.meta.dir, '../fixtures/programs/borrowed-exe.c')
      expect(Bun.spawnSync(['gcc', '-O1', '-static', '-o', borrowed, source]).success).toBe(true)
      const command = [borrowed, '/usr/bin/sleep', 'sleep', '100']
      const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' })
      const { value } = await child.stdout.getReader().read()
      // Kernels without CONFIG_CHECKPOINT_RESTORE have no such call.
      if (!new TextDecoder().decode(value).includes('/usr/bin/sleep')) return
      const seen = look(child.pid, procStat(child.pid)!)
      const found = await new Packages().program(child.pid, seen)
      child.kill('SIGKILL')
      expect(seen.executable).toMatchObject({ inMemory: true, place: 'other' })
      expect(found.state).toBe('unowned')
    },
  )

  test('a program is itself, also under a name with a line break and when it was removed', async () => {
    const odd = join(temporary(), 'a\nb')
    copyFileSync('/usr/bin/sleep', odd)
    const child = Bun.spawn([odd, '100'])
    await until('the process', () => procLink(child.pid, 'exe') === odd)
    const seen = () => look(child.pid, procStat(child.pid)!).executable
    expect(seen()).toMatchObject({ inMemory: false, deleted: false })
    rmSync(odd)
    expect(seen()).toMatchObject({ inMemory: false, deleted: true })
    child.kill('SIGKILL')
  })

  test('reads the whole database though the process ends meanwhile', async () => {
    const packages = new Packages()
    const found = await endedWith(['sleep', '100'], (pid) =>
      packages.program(pid, look(pid, procStat(pid)!)),
    )
    expect(found).toMatchObject({ state: 'owned', package: 'coreutils' })
  })
})

/** A process whose root has rpm's database instead of dpkg's, with a package of /usr/bin/sleep. */
async function withRpm(change: string) {
  const work = temporary()
  await Bun.$`mkdir -p ${work}/db ${work}/none ${work}/src ${work}/out`
  const spec = (name: string, file: string) =>
    `Name: ${name}\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n%description\nx\n` +
    `%install\nmkdir -p %{buildroot}/usr/bin\ncp -pL ${file} %{buildroot}${file}\n%files\n${file}\n`
  const owned = ['sleep', 'true', 'false', 'date', 'wc', 'tac'].map((name) => `/usr/bin/${name}`)
  for (const [i, file] of owned.entries())
    await Bun.write(`${work}/src/${i}.spec`, spec(i === 0 ? 'coreutils-single' : `p${i}`, file))
  const build = `for spec in ${work}/src/*.spec; do
      rpmbuild --quiet -bb --define 'debug_package %{nil}' --define '_topdir ${work}/out' --define '__os_install_post %{nil}' $spec || exit 1; done
    rpm --dbpath ${work}/db --initdb
    rpm --dbpath ${work}/db -i --nodeps --justdb --ignorearch --ignoreos ${work}/out/RPMS/*/*.rpm`
  await Bun.$`sh -c ${build}`.quiet()
  await Bun.$`chown -R root:root ${work}/db`
  const script = `mkdir -p /var/lib/rpm; mount --bind ${work}/none /var/lib/dpkg/info
    mount --bind ${work}/db /var/lib/rpm; ${change} exec /usr/bin/sleep 100`
  const child = Bun.spawn(['unshare', '-m', 'sh', '-c', script])
  await until('the process', () => procStat(child.pid)?.name === 'sleep')
  return child
}

describe.skipIf(!isRoot || Bun.which('rpmbuild') === null)('a root of rpm', () => {
  test('tells a verified program by the digest in its header', async () => {
    const child = await withRpm('')
    const found = await new Packages().program(child.pid, look(child.pid, procStat(child.pid)!))
    expect(found).toMatchObject({ state: 'verified', package: 'coreutils-single' })
    child.kill('SIGKILL')
    await child.exited
  })

  test('tells one that is not what was installed', async () => {
    const dir = temporary()
    const change = `cp /usr/bin/sleep ${dir}/sleep; echo x >>${dir}/sleep; mount --bind ${dir}/sleep /usr/bin/sleep;`
    const child = await withRpm(change)
    const found = await new Packages().program(child.pid, look(child.pid, procStat(child.pid)!))
    expect(found).toMatchObject({ state: 'modified', package: 'coreutils-single' })
    child.kill('SIGKILL')
    await child.exited
  })
})
