/**
 * Processes made to be hard to read about: the facts reader answers or says why not, within its
 * time, and then answers about an ordinary one as before.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  FACT_QUESTIONS,
  type FactQuestion,
  type ProcessFacts,
} from '../../src/domain/process-facts.ts'
import { localPathIn } from '../../src/facts/proc-files.ts'
import type { FactsReader } from '../../src/facts/reader.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { startReader, workplace } from '../support/facts.ts'
import { isRoot } from '../support/privileges.ts'

setDefaultTimeout(60_000)

/** A look at an ordinary process takes a millisecond; watching files takes six seconds. */
const ANSWER_MS = 15_000
const QUICK = FACT_QUESTIONS.filter((question) => question !== 'files')
const compiler = findProgram('cc') ?? findProgram('gcc')
const unshare = findProgram('unshare')

describe.skipIf(!isRoot || compiler === undefined)('the facts reader', () => {
  let reader: FactsReader
  let place: ReturnType<typeof workplace>
  let program = ''
  const started: Bun.Subprocess[] = []

  beforeAll(() => {
    reader = startReader()
    place = workplace()
    program = join(place.path, 'odd-process')
    const source = join(import.meta.dir, '../fixtures/programs/odd-process.c')
    const made = Bun.spawnSync([compiler!, '-O1', '-pthread', '-o', program, source])
    if (!made.success) throw new Error(made.stderr.toString())
  })
  afterAll(() => {
    for (const child of started) child.kill('SIGKILL')
    reader?.close()
    place?.remove()
  })

  /** @returns the pid that it says */
  async function odd(...words: string[]): Promise<number> {
    const child = Bun.spawn([program, ...words], {
      ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' },
    })
    started.push(child)
    const { value } = await child.stdout.getReader().read()
    return Number(new TextDecoder().decode(value))
  }

  async function asked(
    pid: number,
    questions: readonly FactQuestion[] = QUICK,
  ): Promise<ProcessFacts | string> {
    const began = performance.now()
    const answer = await reader.ask(pid, 0, questions)
    expect(performance.now() - began).toBeLessThan(ANSWER_MS)
    const sleeper = Bun.spawn(['sleep', '100'])
    const ordinary = await reader.ask(sleeper.pid, 0, ['look'])
    sleeper.kill('SIGKILL')
    expect(ordinary).toMatchObject({ look: { name: 'sleep' } })
    return answer
  }

  test('says a name without its control characters', async () => {
    const answer = (await asked(await odd('name'))) as ProcessFacts
    expect(answer.look?.name).toBe('?[2J?) R 1?(')
  })

  test('cuts two megabytes of arguments', async () => {
    const answer = (await asked(await odd('arguments', '19'))) as ProcessFacts
    expect(answer.look?.context.command?.length).toBeLessThan(2_000)
  })

  test('says nothing of a working directory that is gone', async () => {
    const answer = (await asked(await odd('nowhere', join(place.path, 'gone')))) as ProcessFacts
    expect(answer.look?.context.cwd).toEndWith('(deleted)')
  })

  test.each(['threads 2000', 'descriptors 200000', 'secret 0', 'memory'])(
    'reads one with %s',
    async (words) => {
      expect(await asked(await odd(...words.split(' ')))).toMatchObject({
        look: { name: expect.any(String) },
      })
    },
  )

  test.each(['traced', 'zombie'])('reads one that is %s, as far as there is one', async (what) => {
    const answer = await asked(await odd(what))
    // What has no executable and no memory any more is as good as gone.
    expect(answer === 'gone' || typeof answer === 'object').toBe(true)
  })

  test('does not wait for a page of arguments that is never given', async () => {
    const pid = await odd('unreadable')
    expect(await asked(pid)).toMatchObject({ look: { name: 'odd-process' } })
  })

  test('reads one of many that end and begin meanwhile', async () => {
    const storm = Bun.spawn(['sh', '-c', 'while :; do /bin/true; done'], { stdout: 'ignore' })
    started.push(storm)
    const ends = await Promise.all(
      Array.from({ length: 200 }, (_, i) => reader.ask(storm.pid + i, 0, ['look', 'streams'])),
    )
    storm.kill('SIGKILL')
    for (const end of ends) expect(['string', 'object']).toContain(typeof end)
    await asked(process.pid)
  })

  test.skipIf(unshare === undefined)(
    'does not wait for a file system that never answers',
    async () => {
      const folder = join(place.path, 'served')
      mkdirSync(folder)
      copyFileSync(program, join(folder, 'job'))
      writeFileSync(join(folder, 'job.py'), '')
      // Its executable lies under a file system of somebody who does not answer, and so does what
      // its arguments name.
      const script = `
import ctypes, os, subprocess, sys
job = subprocess.Popen(['${folder}/job', 'secret', '0', '${folder}/job.py'], stdout=subprocess.PIPE)
job.stdout.readline()
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
if ctypes.CDLL(None).mount(b'odd', b'${folder}', b'fuse', 0, options) != 0: sys.exit(77)
print(job.pid, flush=True)
sys.stdin.read()
`
      const child = Bun.spawn(
        [unshare!, '--mount', '--propagation', 'private', 'python3', '-c', script],
        {
          ...{ stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' },
        },
      )
      started.push(child)
      const { value } = await child.stdout.getReader().read()
      if (value === undefined) return
      const pid = Number(new TextDecoder().decode(value))
      const answer = (await asked(pid, [...FACT_QUESTIONS])) as ProcessFacts
      const gone = { child: { name: 'job', path: `${folder}/job` } }
      expect(await reader.ask(pid, 0, ['program'], gone)).toMatchObject({
        program: { state: 'unknown' },
      })
      await asked(pid)
      process.kill(pid, 'SIGKILL')
      child.stdin.end()
      expect(answer.look?.executable?.path).toBe(`${folder}/job`)
    },
  )
})

test('localPathIn() follows links within a root, and tells what is not there from what is not local', () => {
  const place = workplace()
  const at = (path: string) => localPathIn(process.pid, '', path)
  try {
    mkdirSync(join(place.path, 'a/b'), { recursive: true })
    writeFileSync(join(place.path, 'a/b/file'), '')
    Bun.spawnSync(['ln', '-s', 'a/b', join(place.path, 'link')])
    Bun.spawnSync(['ln', '-s', 'circle', join(place.path, 'circle')])
    Bun.spawnSync(['ln', '-s', '/proc/self', join(place.path, 'out')])
    expect(at(`${place.path}/link/../b/./file`)).toBe(`${place.path}/a/b/file`)
    expect(at(`${place.path}/nothing/file`)).toBeUndefined()
    expect(at(`${place.path}/circle/file`)).toBeNull()
    // /proc answers for processes, not for itself.
    expect(at(`${place.path}/out/exe`)).toBeNull()
    expect(at('/')).toBe('/')
  } finally {
    place.remove()
  }
})
