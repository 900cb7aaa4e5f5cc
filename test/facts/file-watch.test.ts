/**
 * Encryptors and those who only look like them, each at work in a directory of its own, as root may
 * see it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findingsOf } from '../../src/detect/findings.ts'
import type { FactsReader } from '../../src/facts/reader.ts'
import { ask, startReader, workplace } from '../support/facts.ts'
import { isRoot } from '../support/privileges.ts'

const PYTHON = '/usr/bin/python3'
const OPENED = join(import.meta.dir, '../fixtures/programs/opened.py')

let reader: FactsReader
let place: ReturnType<typeof workplace>
const children: Bun.Subprocess[] = []
beforeAll(() => {
  if (!isRoot) return
  reader = startReader()
  place = workplace()
})
afterAll(() => {
  reader?.close()
  place?.remove()
})

/** Files worth having: text, and pictures that begin as such. */
function victims(directory: string, count: number): void {
  mkdirSync(join(directory, 'v'), { recursive: true })
  for (let i = 0; i < count; i++) {
    const text = `the quick brown fox ${i} `.repeat(200 + ((i * 37) % 900))
    writeFileSync(join(directory, 'v', `report-${i}.doc`), text)
  }
}

async function watched(command: readonly string[], files = 300, before = false) {
  // As its calls would tell.
  const unlinked = /unlink|remove|rm /.test(command.join(' ')) ? 20 : 0
  const removed = unlinked > 0 || /rename|mv /.test(command.join(' ')) ? 20 : 0
  const directory = join(place.path, `t${children.length}`)
  mkdirSync(directory)
  victims(directory, files)
  const child = Bun.spawn(
    ['setsid', 'bash', '-c', 'until [ -e go ]; do sleep .05; done; exec "$@"', 'x', ...command],
    {
      cwd: directory,
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    },
  )
  children.push(child)
  try {
    const begins = () => writeFileSync(join(directory, 'go'), '')
    // However slow the machine: it begins while it is watched, or is through before.
    if (before) begins()
    else setTimeout(begins, 500)
    await Bun.sleep(before ? 2_000 : 0)
    const facts = await ask(reader, child.pid, 'files')
    const found = findingsOf(
      { pid: child.pid, startMs: 0, name: 'x' },
      { ...facts, unlinked, removed },
      () => false,
    )
    return {
      files: facts.files,
      says: found.filter(({ question }) => question === 'file-encryption').map(({ says }) => says),
    }
  } finally {
    // The whole pipeline: a loop's children are its own group.
    process.kill(-child.pid, 'SIGKILL')
  }
}

/** A look takes seconds, and the reader takes several at a time. */
const AT_A_TIME = 3

async function watchedAll(cases: readonly [name: string, command: string[]][]) {
  const results = new Map<string, Awaited<ReturnType<typeof watched>>>()
  for (let i = 0; i < cases.length; i += AT_A_TIME)
    await Promise.all(
      cases.slice(i, i + AT_A_TIME).map(async ([name, command]) => {
        results.set(name, await watched(command))
      }),
    )
  return results
}

const python = (text: string) => ['/usr/bin/python3', '-c', text]
const bash = (text: string) => ['bash', '-c', text]

const encryptors: [name: string, command: string[]][] = [
  [
    'back and forth at full speed',
    python(`import os,hashlib
while True:
    for d,_,fs in os.walk("v"):
        for f in fs:
            p=os.path.join(d,f); b=open(p,"rb").read(); k=hashlib.shake_256(f.encode()).digest(len(b))
            open(p+".enc","wb").write(bytes(x^y for x,y in zip(b,k))); os.unlink(p); os.rename(p+".enc",p)`),
  ],
  [
    'once, in place, slowly',
    python(`import os,time
for f in os.listdir("v"):
    with open("v/"+f,"r+b") as h:
        n=len(h.read()); h.seek(0); h.write(os.urandom(n))
    time.sleep(.02)
time.sleep(60)`),
  ],
  [
    'the middle alone',
    python(`import os,time
for f in os.listdir("v"):
    with open("v/"+f,"r+b") as h:
        h.write(b"the quick brown fox"*8000); h.seek(40000); h.write(os.urandom(80000))
    time.sleep(.02)
time.sleep(60)`),
  ],
  [
    'with a new ending, by openssl and rm',
    bash(
      'for f in v/*.doc; do openssl enc -aes-256-cbc -pbkdf2 -iter 10 -pass pass:x -in $f -out $f.locked && rm $f; done; sleep 60',
    ),
  ],
  [
    'a file in two seconds',
    python(`import os,time
for f in sorted(os.listdir("v")):
    b=os.urandom(os.path.getsize("v/"+f)); open("v/"+f+".crypt","wb").write(b); os.unlink("v/"+f); time.sleep(2)`),
  ],
  [
    'packed by the dozen, by tar and openssl',
    bash(
      'for i in {10..29}; do tar cf - v/report-$i*.doc | openssl enc -aes-256-cbc -pbkdf2 -iter 10 -pass pass:x -out $i.pack; rm v/report-$i*.doc; sleep .2; done; sleep 60',
    ),
  ],
  [
    'renamed first, then in place',
    python(`import os,time
for f in sorted(os.listdir("v")):
    os.rename("v/"+f,"v/"+f+".crypt")
    with open("v/"+f+".crypt","r+b") as h: h.write(os.urandom(os.path.getsize("v/"+f+".crypt")))
    time.sleep(.01)
time.sleep(60)`),
  ],
  [
    'with names like those of secrets',
    python(`import os,time
for f in sorted(os.listdir("v")):
    b=open("v/"+f,"rb").read(); h=open("v/"+f+"-id_rsa","wb"); h.write(os.urandom(len(b))); os.fsync(h.fileno()); time.sleep(.01); h.close(); os.unlink("v/"+f)
time.sleep(60)`),
  ],
  [
    'a tree below, by its whole path',
    python(`import os,time
root=os.getcwd(); os.chdir("/")
for i in range(24):
    os.makedirs(root+"/tree/%02d"%i)
    for k in range(12): open(root+"/tree/%02d/f%d.csv"%(i,k),"w").write("a,b,c\\n"*4000)
while True:
  for d,_,fs in os.walk(root+"/tree"):
    for f in fs:
        p=d+"/"+f; b=open(p,"rb").read(); h=open(p+".lk","wb"); h.write(os.urandom(len(b))); os.fsync(h.fileno()); time.sleep(.01); h.close(); os.unlink(p); os.rename(p+".lk",p+".lk")
  time.sleep(60)`),
  ],
]

describe.skipIf(!isRoot)('encryptors', () => {
  let results: Awaited<ReturnType<typeof watchedAll>>
  beforeAll(async () => {
    results = await watchedAll(encryptors)
  }, 120_000)
  for (const [name, command] of encryptors)
    test(`${name} is proven`, () => {
      const { encrypted = 0, replaced = 0, ciphers = 0 } = results.get(name)?.files ?? {}
      expect(Math.max(encrypted + replaced, ciphers)).toBeGreaterThanOrEqual(3)
      // Who removes nothing has to be seen with a file open, and they are open for a moment.
      const removes = /unlink|rename|rm /.test(command.join(' '))
      expect(results.get(name)?.says).toEqual([
        removes ? 'proves' : expect.stringMatching(/proves|supports/),
      ])
    })

  test('one that was through before the first look is known by what it left', async () => {
    const { says, files } = await watched(
      python(`import os,time
for f in os.listdir("v"):
    open("v/"+f+".locked","wb").write(os.urandom(5000)); os.unlink("v/"+f)
time.sleep(60)`),
      60,
      true,
    )
    expect(files?.replaced).toBeGreaterThanOrEqual(6)
    expect(says).toEqual(['proves'])
  }, 30_000)

  test('one that had begun in a directory of files that were all made a moment ago is proven', async () => {
    const { says } = await watched(
      python(`import os,time
for f in sorted(os.listdir("v")):
    n=os.path.getsize("v/"+f); open("v/"+f,"wb").write(os.urandom(n)); os.rename("v/"+f,"v/"+f+".pay"); time.sleep(.25)`),
      800,
      true,
    )
    expect(says).toEqual(['proves'])
  }, 30_000)
})

const ordinary: [name: string, command: string[]][] = [
  ['compressing with gzip', bash('while :; do gzip v/*.doc; gunzip v/*.gz; done')],
  ['compressing with xz, one by one', bash('for f in v/*; do xz -1 $f; done; sleep 60')],
  ['editing with sed', bash('while :; do for f in v/*.doc; do sed -i s/fox/dog/ $f; done; done')],
  [
    'thumbnails of random pictures',
    python(`import os,time,zlib
os.mkdir("photos"); os.mkdir("small")
while True:
    for i in range(200): open(f"photos/{i}.raw","wb").write(os.urandom(60000))
    for i in range(200):
        b=open(f"photos/{i}.raw","rb").read(); t=zlib.compress(b[::3]); open(f"small/{i}.jpg","wb").write(t); os.remove(f"photos/{i}.raw"); time.sleep(.01)`),
  ],
  [
    'a queue',
    python(`import os,time,json
os.mkdir("q")
while True:
    for i in range(20): open(f"q/{i}.json","w").write(json.dumps({"id":i,"t":time.time()})*30)
    for i in range(20): os.remove(f"q/{i}.json")
    time.sleep(.1)`),
  ],
  [
    'copies by another name and back',
    bash('while :; do for f in v/*.doc; do cp $f $f.new; mv $f.new $f; done; done'),
  ],
  [
    'random test data, again and again',
    python(`import os,time
os.mkdir("data")
while True:
    for i in range(50): open(f"data/t{i}.bin.tmp","wb").write(os.urandom(20000)); os.rename(f"data/t{i}.bin.tmp",f"data/t{i}.bin")
    time.sleep(.2)`),
  ],
  [
    'encrypted dumps of what it makes, the oldest removed',
    bash(
      'for i in {10..40}; do seq 90000 >d$i.sql; openssl enc -aes-256-cbc -pbkdf2 -iter 10 -pass pass:x -in d$i.sql -out b$i.backup; rm d$i.sql; rm -f b$((i-3)).backup; sleep .1; done; sleep 60',
    ),
  ],
  [
    'encrypted copies elsewhere, what was kept',
    bash(
      'mkdir out; for f in v/*; do openssl enc -aes-256-cbc -pbkdf2 -iter 10 -pass pass:x -in $f -out out/$(basename $f).enc.tmp; mv out/$(basename $f).enc.tmp out/$(basename $f).enc; done; sleep 60',
    ),
  ],
]

describe.skipIf(!isRoot)('what only looks like it', () => {
  let results: Awaited<ReturnType<typeof watchedAll>>
  beforeAll(async () => {
    results = await watchedAll(ordinary)
  }, 120_000)
  for (const [name] of ordinary)
    test(`${name} is not`, () => {
      expect(results.get(name)?.says).toBeDefined()
      expect(results.get(name)?.says).not.toContain('proves')
    })
})

/** In turns and without end, so that it is at work whenever it is looked at. */
const encryptor = `import os,hashlib,time
while True:
    for f in os.listdir("v"):
        if not f.endswith(".doc"): continue
        p="v/"+f; b=open(p,"rb").read(); k=hashlib.shake_256(f.encode()).digest(len(b))
        h=open(p+".enc","wb"); h.write(bytes(x^y for x,y in zip(b,k))); time.sleep(.003); h.close()
        os.unlink(p); os.rename(p+".enc",p)`

describe.skipIf(!isRoot)('beside an encryptor', () => {
  const running: Bun.Subprocess[] = []
  afterAll(() => {
    for (const { pid } of running) process.kill(-pid, 'SIGKILL')
  })
  const start = (cwd: string, ...command: string[]) => {
    const child = Bun.spawn(['setsid', ...command], { cwd, stdin: 'ignore', stderr: 'ignore' })
    running.push(child)
    return child
  }
  const work = (name: string) => {
    const directory = join(place.path, name)
    mkdirSync(directory)
    victims(directory, 300)
    return directory
  }
  const says = async (pid: number, unlinked: number, until?: number) => {
    const facts = await reader.ask(pid, 0, ['files'], until === undefined ? {} : { until })
    if (typeof facts === 'string') throw new Error(facts)
    const counts = { unlinked, removed: unlinked }
    return findingsOf({ pid, startMs: 0, name: 'x' }, { ...facts, ...counts }, () => false)
      .filter(({ question }) => question === 'file-encryption')
      .map((finding) => finding.says)
  }

  test('of two at work in one directory the one whose files are unreadable is proven', async () => {
    const directory = work('two')
    const notes = `import os,time
while True:
    for i in range(40):
        with open("v/note-%d.txt"%i,"w") as h: h.write("a line of notes\\n"*400); time.sleep(.004)
    for i in range(40): os.unlink("v/note-%d.txt"%i)`
    const bystander = start(directory, '/usr/bin/python3', '-c', notes)
    const attacker = start(directory, '/usr/bin/python3', '-c', encryptor)
    const [ofBystander, ofEncryptor] = await Promise.all([
      says(bystander.pid, 20),
      says(attacker.pid, 20),
    ])
    expect(ofEncryptor).toEqual(['proves'])
    expect(ofBystander).not.toContain('proves')
  }, 30_000)

  test('secrets beside its files are not opened, whatever it does to them', async () => {
    const directory = join(place.path, 'secrets')
    victims(directory, 5)
    const names = ['id_rsa', 'shadow', '.bash_history', 'credentials', 'notes.txt']
    const secret = 'a line that nobody else reads\n'.repeat(20)
    for (const name of names) writeFileSync(join(directory, 'v', name), secret)
    const observer = Bun.spawn([PYTHON, OPENED, join(directory, 'v'), String(reader.pid)], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const output = observer.stdout.getReader()
    let said = ''
    const hear = async () => {
      const { value, done } = await output.read()
      said += new TextDecoder().decode(value)
      return done
    }
    while (!said.includes('watching')) await hear()
    const loop = 'while :; do for f in id_rsa .bash_history; do touch v/$f; done; sleep .1; done'
    const child = start(directory, 'bash', '-c', `exec 5>>v/id_rsa 6>>v/shadow; ${loop}`)
    await says(child.pid, 20)
    observer.stdin.end()
    while (!(await hear()));
    const opened = new Set(said.split('\n'))
    expect(opened).toContain('notes.txt')
    expect(names.filter((name) => opened.has(name))).toEqual(['notes.txt'])
  }, 30_000)

  test('what a child does that has run for a while is not its parent', async () => {
    const directory = work('below')
    const script = '/usr/bin/python3 -c "$0" & wait'
    const parent = start(directory, 'bash', '-c', script, encryptor)
    await Bun.sleep(4_000)
    expect(await says(parent.pid, 0)).not.toContain('proves')
  }, 30_000)

  test('what comes after its end is not its work', async () => {
    const directory = work('later')
    const ended = Date.now()
    const above = start(directory, '/usr/bin/python3', '-c', encryptor)
    await Bun.sleep(2_000)
    expect(await says(above.pid, 20, ended)).not.toContain('proves')
  }, 30_000)
})
