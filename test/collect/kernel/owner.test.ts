/** Whose process root becomes; needs root to make places that are somebody else's. */
import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { userFor } from '../../../src/collect/kernel/owner.ts'

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
