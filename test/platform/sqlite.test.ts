import { describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../../src/domain/error.ts'
import {
  type Database,
  lockDirectory,
  openDatabase,
  openError,
  type SqliteEngine,
  sqliteEngine,
  sqliteProblem,
} from '../../src/platform/sqlite.ts'
import { canMount, smallDisks } from '../support/small-disk.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const disk = smallDisks()
const schema = ['CREATE TABLE things(id INTEGER PRIMARY KEY, bytes BLOB)']

function errorOf(body: () => unknown): AgentError {
  try {
    body()
  } catch (error) {
    if (error instanceof AgentError) return error
    throw error
  }
  throw new Error('It did not throw')
}

function count(database: Database): number | undefined {
  return database.prepare<{ n: number }>('SELECT count(*) AS n FROM things').get()?.n
}

test('sqliteEngine() takes better-sqlite3 where its addon loads', () => {
  expect(sqliteEngine()).toEqual({ name: 'better-sqlite3', why: 'its addon loads' })
})

// The same door, whichever engine stands behind it.
describe.each<SqliteEngine>(['better-sqlite3', 'bun:sqlite'])(
  'openDatabase() with %s',
  (engine) => {
    const open = (path: string, options = {}) => openDatabase(path, { schema, engine, ...options })

    test('makes files that only their owner can read', () => {
      const state = join(directory(), 'state')
      const database = open(join(state, 'a.db'))
      database.prepare('INSERT INTO things VALUES (1, NULL)').run()
      expect(statSync(state).mode & 0o777).toBe(0o700)
      for (const name of readdirSync(state)) {
        expect([name, statSync(join(state, name)).mode & 0o777]).toEqual([name, 0o600])
      }
      database.close()
    })

    test('gives bytes, numbers and absence back as they were', () => {
      const database = open(join(directory(), 'a.db'))
      const bytes = Uint8Array.of(0, 255, 3)
      database.prepare('INSERT INTO things VALUES (?, ?)').run(9_007_199_254_740_991, bytes)
      const row = database.prepare<{ id: number; bytes: Uint8Array }>('SELECT * FROM things').get()
      expect(row?.id).toBe(9_007_199_254_740_991)
      expect(Uint8Array.from(row?.bytes ?? [])).toEqual(bytes)
      expect(database.prepare('SELECT * FROM things WHERE id = ?').get(5)).toBeUndefined()
      expect(database.prepare('SELECT * FROM things WHERE id = ?').all(5)).toEqual([])
      database.close()
    })

    test('transaction() keeps all or nothing', () => {
      const database = open(join(directory(), 'a.db'))
      const insert = database.prepare('INSERT INTO things VALUES (?, NULL)')
      database.transaction(() => insert.run(1))
      const failing = () =>
        database.transaction(() => {
          insert.run(2)
          throw new Error('Half way')
        })
      expect(failing).toThrow('Half way')
      expect(count(database)).toBe(1)
      database.transaction(() => insert.run(3))
      expect(count(database)).toBe(2)
      database.close()
    })

    test('takes an older file through the steps it lacks, once', () => {
      const path = join(directory(), 'a.db')
      open(path).close()
      const steps = [...schema, 'CREATE TABLE more(x); INSERT INTO more VALUES (1)']
      for (let start = 0; start < 2; start++) {
        const database = open(path, { schema: steps })
        expect(database.prepare('SELECT count(*) AS n FROM more').get()).toEqual({ n: 1 })
        database.close()
      }
    })

    test('refuses a file of a newer agent, and leaves it alone', () => {
      const path = join(directory(), 'a.db')
      open(path, { schema: [...schema, 'CREATE TABLE more(x)'] }).close()
      const before = readFileSync(path)
      const error = errorOf(() => open(path))
      expect(error.code).toBe('ERR_STATE')
      expect(error.message).toContain('newer agent (format 2, this one knows 1)')
      expect(readFileSync(path)).toEqual(before)
    })

    test.each([
      ['rubbish', (whole: Buffer) => Buffer.alloc(whole.length, 'rubbish ')],
      ['a file cut in the middle of a page', (whole: Buffer) => whole.subarray(0, 5_000)],
      [
        'zeros behind the header',
        (whole: Buffer) =>
          Buffer.concat([whole.subarray(0, 100), Buffer.alloc(whole.length - 100)]),
      ],
      ['a few bytes', () => Buffer.from('SQLite')],
    ])('sets %s aside and starts anew', (_, damage) => {
      const state = directory()
      const path = join(state, 'a.db')
      const first = open(path)
      const insert = first.prepare('INSERT INTO things VALUES (?, ?)')
      for (let id = 0; id < 50; id++) insert.run(id, new Uint8Array(1000))
      first.close()
      writeFileSync(path, damage(readFileSync(path)))
      const database = open(path, { check: true, now: () => Date.UTC(2026, 0, 2, 3, 4, 5) })
      expect(database.setAside).toBe(`${path}.damaged-20260102T030405Z`)
      expect(count(database)).toBe(0)
      database.close()
      // A second time within the same second does not overwrite what was set aside first.
      writeFileSync(path, 'rubbish '.repeat(1000))
      const again = open(path, { now: () => Date.UTC(2026, 0, 2, 3, 4, 5) })
      expect(again.setAside).toBe(`${path}.damaged-20260102T030405Z-2`)
      again.close()
    })

    test('reads beside a writer, and what a writer left behind that died', () => {
      const path = join(directory(), 'a.db')
      const writer = open(path)
      writer.prepare('INSERT INTO things VALUES (1, NULL)').run()
      const reader = open(path, { readOnly: true })
      expect(count(reader)).toBe(1)
      writer.prepare('INSERT INTO things VALUES (2, NULL)').run()
      expect(count(reader)).toBe(2)
      reader.close()
      writer.close()
    })

    test('with readOnly makes no file and changes none', () => {
      const state = directory()
      const error = errorOf(() => open(join(state, 'a.db'), { readOnly: true }))
      expect([error.code, error.hint]).toEqual([
        'ERR_STATE',
        'Give the state directory of an agent with --state DIR',
      ])
      expect(readdirSync(state)).toEqual([])
      writeFileSync(join(state, 'b.db'), 'rubbish '.repeat(1000))
      expect(errorOf(() => open(join(state, 'b.db'), { readOnly: true })).message).toContain(
        'damaged',
      )
      expect(readdirSync(state)).toEqual(['b.db'])
    })

    test('refuses a symbolic link', () => {
      const state = directory()
      writeFileSync(join(state, 'elsewhere'), '')
      symlinkSync(join(state, 'elsewhere'), join(state, 'a.db'))
      expect(errorOf(() => open(join(state, 'a.db'))).message).toContain('it is a symbolic link')
    })

    test('says that a directory in the way is no state directory', () => {
      const state = directory()
      writeFileSync(join(state, 'file'), '')
      expect(errorOf(() => open(join(state, 'file', 'a.db'))).code).toBe('ERR_STATE')
      mkdirSync(join(state, 'a.db'))
      expect(errorOf(() => open(join(state, 'a.db'))).code).toBe('ERR_STATE')
    })

    test('holds a file to its bound in pages', () => {
      const database = open(join(directory(), 'a.db'), { pagesMax: 8 })
      const insert = database.prepare('INSERT INTO things VALUES (?, ?)')
      let error: unknown
      try {
        for (let id = 0; id < 20; id++) insert.run(id, new Uint8Array(4000))
      } catch (full) {
        error = full
      }
      expect(sqliteProblem(error, '/tmp/a.db')).toBe('full')
      database.close()
    })

    test.skipIf(!canMount)('says that the disk is full, and that it is read-only', () => {
      const { path, fill, free, remount } = disk(256)
      fill()
      const full = errorOf(() => open(join(path, 'state', 'a.db')))
      expect([full.code, full.exitCode, full.retriable]).toEqual(['ERR_DISK', 1, true])
      expect(full.message).toContain('the disk is full')
      free()
      open(join(path, 'state', 'a.db')).close()
      remount('ro')
      for (const name of ['a.db', 'b.db']) {
        const readOnly = errorOf(() => open(join(path, 'state', name)))
        expect([readOnly.code, readOnly.message]).toEqual([
          'ERR_STATE',
          `Cannot open "${join(path, 'state', name)}": it is read-only`,
        ])
      }
    })
  },
)

describe('openError()', () => {
  // What the engines say of a disk, in our words.
  test.each([
    ['EACCES', 'ERR_PERMISSION', 'permission denied'],
    ['SQLITE_PERM', 'ERR_PERMISSION', 'permission denied'],
    ['EROFS', 'ERR_STATE', 'it is read-only'],
    ['SQLITE_READONLY_DIRECTORY', 'ERR_STATE', 'it is read-only'],
    ['ENOSPC', 'ERR_DISK', 'the disk is full'],
    ['SQLITE_FULL', 'ERR_DISK', 'the disk is full'],
    ['SQLITE_IOERR_WRITE', 'ERR_DISK', 'disk error'],
    ['SQLITE_BUSY', 'ERR_STATE', 'it is locked by another program'],
    ['SQLITE_CORRUPT_VTAB', 'ERR_STATE', 'it is damaged'],
    ['SQLITE_NOTADB', 'ERR_STATE', 'it is damaged'],
  ])('says of %s what to do next', (code, wanted, words) => {
    const error = openError('/var/lib/x/a.db', Object.assign(new Error('text'), { code }))
    expect(error.code).toBe(wanted as typeof error.code)
    expect(error.message).toContain(words)
    expect(error.hint).toBeDefined()
  })
})

describe('lockDirectory()', () => {
  const holder = new URL('../fixtures/programs/hold-lock.ts', import.meta.url).pathname

  test('lets one agent in, and the next one after it', () => {
    const state = directory()
    const lock = lockDirectory(state)
    const error = errorOf(() => lockDirectory(state))
    expect(error.code).toBe('ERR_STATE')
    expect(error.message).toBe(`Cannot use state directory "${state}": another agent uses it`)
    lock.release()
    lock.release()
    lockDirectory(state).release()
  })

  test('is held against other processes, and gone when its holder is killed', async () => {
    const state = directory()
    const child = Bun.spawn([process.execPath, holder, state], { stdout: 'pipe' })
    const { value } = await child.stdout.getReader().read()
    expect(new TextDecoder().decode(value)).toBe('held\n')
    expect(() => lockDirectory(state)).toThrow('another agent uses it')
    child.kill('SIGKILL')
    await child.exited
    lockDirectory(state).release()
  })
})
