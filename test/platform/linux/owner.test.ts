/** Whose process root becomes; needs root to make places that are somebody else's. */
import { afterAll, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { handOver, type Needs, successorOf, userFor } from '../../../src/platform/linux/owner.ts'

const root = process.geteuid?.() === 0
const base = mkdtempSync(join(tmpdir(), 'callsign-owner-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
const SOMEBODY = { uid: 65_534, gid: 65_533 }

function placeOf(name: string, user?: typeof SOMEBODY): string {
  const place = join(base, name)
  mkdirSync(place, { recursive: true })
  if (user !== undefined) chownSync(place, user.uid, user.gid)
  return place
}

describe.skipIf(!root)(`userFor()${root ? '' : ' (skipped: not root)'}`, () => {
  chmodSync(base, 0o755)

  test('is nobody else for a place of root', () =>
    expect(userFor(placeOf('own'), '/bin/sh')).toBeUndefined())

  test('is the owner of the place, and of the nearest directory of one to be made', () => {
    const place = placeOf('theirs', SOMEBODY)
    expect(userFor(place, '/bin/sh')).toEqual(SOMEBODY)
    expect(userFor(join(place, 'new', 'frames.ndjson'), '/bin/sh')).toEqual(SOMEBODY)
  })

  test('is not who could not reach the place, or the program', () => {
    const closed = placeOf('closed')
    const place = placeOf('closed/theirs', SOMEBODY)
    expect(userFor(place, '/bin/sh')).toEqual(SOMEBODY)
    chmodSync(closed, 0o700)
    expect(userFor(place, '/bin/sh')).toBeUndefined()
    expect(userFor(placeOf('theirs', SOMEBODY), join(closed, 'agent'))).toBeUndefined()
  })
})

describe.skipIf(!root)(`successorOf()${root ? '' : ' (skipped: not root)'}`, () => {
  const needs: Needs = {
    ...{ program: '/bin/sh', reads: [], writes: [] },
    isOurs: (name) => name.endsWith('.db'),
  }
  const whyNot = (state: string, more: Partial<Needs> = {}) => {
    const next = successorOf(state, { ...needs, ...more })
    return next !== undefined && 'why' in next ? next.why : undefined
  }

  test('is a user of no system, another one for each directory and the same each time', () => {
    const first = successorOf(placeOf('one'), needs)
    expect(successorOf(placeOf('one'), needs)).toEqual(first!)
    expect(successorOf(placeOf('two'), needs)).not.toEqual(first!)
    const { uid, gid } = (first as { user: { uid: number; gid: number } }).user
    expect(uid).toBeGreaterThan(60_705)
    expect(uid).toBeLessThan(61_000)
    expect(gid).toBe(uid)
  })

  test('is for a directory to be made, too; a place of another user has its owner', () => {
    expect(successorOf(join(base, 'to', 'be', 'made'), needs)).toHaveProperty('user')
    expect(successorOf(placeOf('another', SOMEBODY), needs)).toBeUndefined()
  })

  test('is nobody where something would be given away, or be out of reach', () => {
    const foreign = placeOf('foreign')
    writeFileSync(join(foreign, 'letter'), '')
    expect(whyNot(foreign)).toContain('"letter", which is not an agent\'s')
    expect(whyNot('/etc')).toContain("not an agent's")
    const open = placeOf('open')
    chmodSync(open, 0o777)
    expect(whyNot(open)).toContain('can be written to by others')
    const link = join(base, 'link')
    symlinkSync(placeOf('linked'), link)
    expect(whyNot(link)).toContain('is no directory')
    const shut = placeOf('shut')
    chmodSync(shut, 0o700)
    expect(whyNot(join(shut, 'state'))).toContain('is closed to other users')
    const secret = join(base, 'secret')
    writeFileSync(secret, 'x', { mode: 0o600 })
    expect(whyNot(placeOf('three'), { reads: [secret] })).toContain('can be read by root alone')
    chmodSync(secret, 0o644)
    expect(whyNot(placeOf('three'), { reads: [secret, '/not/there'] })).toBeUndefined()
    chownSync(secret, SOMEBODY.uid, SOMEBODY.gid)
    expect(whyNot(placeOf('three'), { reads: [secret] })).toContain('can be read by root alone')
    expect(whyNot(placeOf('three'), { writes: [base] })).toContain('written to by root alone')
  })
})

describe.skipIf(!root)(`handOver()${root ? '' : ' (skipped: not root)'}`, () => {
  test('gives all that is in the directory, and nothing that lies elsewhere', () => {
    const state = placeOf('given')
    mkdirSync(join(state, 'lib'))
    writeFileSync(join(state, 'lib', 'so'), '')
    const elsewhere = join(base, 'elsewhere')
    writeFileSync(elsewhere, '')
    symlinkSync(elsewhere, join(state, 'link.db'))
    linkSync(elsewhere, join(state, 'hard.db'))
    handOver(state, SOMEBODY)
    for (const path of ['', 'lib', 'lib/so', 'link.db'])
      expect({ path, uid: lstatSync(join(state, path)).uid }).toEqual({ path, uid: SOMEBODY.uid })
    expect(statSync(elsewhere).uid).toBe(0)
  })

  test('makes a directory that others cannot look into', () => {
    const state = join(base, 'made')
    handOver(state, SOMEBODY)
    const { uid, gid, mode } = statSync(state)
    expect({ uid, gid, mode: mode & 0o777 }).toEqual({ ...SOMEBODY, mode: 0o700 })
  })
})
