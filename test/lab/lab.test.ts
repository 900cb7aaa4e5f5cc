/**
 * The laboratory's programs parse, its profiles say the same things differently, its scenario files
 * are what `evaluate` reads. What it records is not tested here: that takes root and minutes
 * (`scripts/lab/run.sh --profile a --minutes 10`).
 */
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '../..')
const LAB = join(ROOT, 'scripts/lab')
const has = (tool: string) => Bun.which(tool) !== null

function run(command: string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: ROOT })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

function profileKeys(text: string): string[] {
  const quiet = text.replace(/^#.*$/gm, '').replace(/'[^']*'|"[^"]*"/g, 'x')
  return [...quiet.matchAll(/\b([A-Z][A-Z0-9_]*)=/g)].map((m) => m[1]!).sort()
}

describe('programs', () => {
  const shell = readdirSync(LAB, { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.sh'),
  )
  test('shell scripts parse', () => {
    expect(shell.length).toBeGreaterThan(5)
    for (const file of shell) {
      const path = join(LAB, file)
      const interpreter = readFileSync(path, 'utf8').startsWith('#!/bin/sh') ? 'sh' : 'bash'
      expect([file, run([interpreter, '-n', path]).err]).toEqual([file, ''])
    }
  })

  test.skipIf(!has('shellcheck'))(
    'shell scripts have no warnings',
    () => {
      const { out } = run([
        'shellcheck',
        '-S',
        'warning',
        '-e',
        'SC1090',
        // Files without a first line are parts that others read: stand-ins whose odd code is the
        // point.
        ...shell.map((f) => join(LAB, f)).filter((f) => readFileSync(f, 'utf8').startsWith('#!')),
      ])
      expect(out).toBe('')
    },
    60_000,
  )

  test.skipIf(!has('python3'))('python programs parse', () => {
    const files = readdirSync(LAB, { recursive: true, encoding: 'utf8' }).filter((f) =>
      f.endsWith('.py'),
    )
    const script = 'import ast,sys\nfor f in sys.argv[1:]: ast.parse(open(f).read(), f)'
    expect(run(['python3', '-c', script, ...files.map((f) => join(LAB, f))]).err).toBe('')
  })

  test('run.sh --help explains itself and bad use exits 2', () => {
    const help = run(['sh', join(LAB, 'run.sh'), '--help'])
    expect(help.code).toBe(0)
    expect(help.out).toContain('--profile')
    expect(run(['sh', join(LAB, 'run.sh')]).code).toBe(2)
    const use = ['--profile', 'a', '--minutes', '1', '--recorder', 'strace']
    expect(run(['sh', join(LAB, 'run.sh'), ...use])).toMatchObject({
      code: 2,
      err: 'run.sh: --recorder takes agent or bpftrace\n',
    })
    expect(
      run(['sh', join(LAB, 'run.sh'), '--profile', 'nowhere', '--minutes', '1']),
    ).toMatchObject({ code: 2 })
    expect(run(['sh', join(LAB, 'run.sh'), '--profile', 'a', '--minutes', 'some']).err).toContain(
      'whole number',
    )
  })

  test.skipIf(!has('python3'))('attack.py --list holds all three kinds, each name once', () => {
    const rows = run([
      'python3',
      join(LAB, 'attack.py'),
      '--list',
      '--sets',
      'a',
      '--out',
      '/dev/null',
    ])
      .out.trim()
      .split('\n')
      .map((line) => line.split('\t'))
    const names = rows.map((row) => row[1])
    expect(new Set(names).size).toBe(names.length)
    for (const kind of ['non-grata', 'masquerade', 'novelty']) {
      expect(rows.filter((row) => row[0] === kind).length).toBeGreaterThan(9)
    }
    for (const row of rows) expect(row[0] === 'masquerade').toBe(row[2] !== '-')
  })
})

describe('profiles', () => {
  const all = readdirSync(join(LAB, 'profiles')).filter((f) => f.endsWith('.env'))
  const text = (file: string) => readFileSync(join(LAB, 'profiles', file), 'utf8')
  // One that begins with another changes some of its variables.
  const baseOf = (file: string) => /^\. "\$here\/profiles\/(\w+\.env)"$/m.exec(text(file))?.[1]
  const profiles = all.filter((file) => baseOf(file) === undefined)

  test('that change another name one that is whole, and variables that it has', () => {
    for (const file of all.filter((f) => baseOf(f) !== undefined)) {
      expect(profiles).toContain(baseOf(file)!)
      const known = profileKeys(text(baseOf(file)!))
      expect(profileKeys(text(file)).filter((key) => !known.includes(key))).toEqual([])
    }
  })

  test('set the same variables, each once', () => {
    expect(profiles.length).toBeGreaterThanOrEqual(3)
    const wanted = profileKeys(text('a.env'))
    expect(new Set(wanted).size).toBe(wanted.length)
    for (const file of profiles) expect([file, profileKeys(text(file))]).toEqual([file, wanted])
  })

  test('set every variable that provision.sh reads from them', () => {
    const known = new Set([
      ...profileKeys(text('a.env')),
      'NET',
      'SET',
      'KEYS',
      'HERE',
      'ROLE',
      'OTHER',
      'HOST',
      'HOME',
    ])
    known.add('IPC').add('IPS').add('IPE').add('PHP').add('PG').add('TTL').add('R').add('W')
    const script = readFileSync(join(LAB, 'provision.sh'), 'utf8').replace(
      /<<'E'[\s\S]*?\nE\n/g,
      '',
    )
    const used = [...script.matchAll(/(?<!\\)\$\{?([A-Z][A-Z0-9_]*)(?![a-z])/g)].map((m) => m[1]!)
    expect([...new Set(used)].filter((name) => !known.has(name) && name !== 'MAILDIR')).toEqual([])
  })

  test('differ in Debian release and TLS', () => {
    const value = (file: string, key: string) =>
      new RegExp(`\\b${key}=(\\S+)`).exec(text(file))?.[1]
    expect(new Set(profiles.map((f) => value(f, 'RELEASE'))).size).toBeGreaterThanOrEqual(2)
    expect(new Set(profiles.map((f) => value(f, 'TLS'))).size).toBe(2)
  })
})

describe('scenario files', () => {
  const files = ['lab-b', 'lab-c', 'lab-d', 'lab-e'].flatMap((set) => {
    const directory = join(ROOT, 'models/recordings', set)
    if (!existsSync(directory)) return []
    return readdirSync(directory)
      .filter((f) => f.endsWith('.scenarios.ndjson'))
      .map((f) => join(directory, f))
  })
  test.skipIf(files.length === 0)(
    'every happening has span, host, kind, program, names and pids',
    () => {
      for (const file of files) {
        for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
          const happening = JSON.parse(line) as Record<string, unknown>
          expect(happening.to as number).toBeGreaterThan(happening.from as number)
          expect(['masquerade', 'non-grata', 'novelty']).toContain(happening.kind as string)
          expect(typeof happening.host).toBe('string')
          expect(typeof happening.program).toBe('string')
          expect((happening.names as string[]).length).toBeGreaterThan(0)
          expect((happening.pids as number[]).length).toBeGreaterThan(0)
          expect(happening.kind === 'masquerade').toBe(typeof happening.claimed === 'string')
        }
      }
    },
  )
})
