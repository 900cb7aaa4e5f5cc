/**
 * Which foreign programs are run with privileges: the caller's PATH may lead to anybody's
 * directory.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../../../src/platform/linux/child.ts'
import { isRoot } from '../../support/privileges.ts'
import { temporaryDirectories } from '../../support/temporary.ts'

const directory = temporaryDirectories()
const { PATH } = process.env
afterEach(() => {
  process.env.PATH = PATH
})

function onPath(): { readonly folder: string; readonly program: string } {
  const folder = join(directory(), 'bin')
  mkdirSync(folder)
  const program = join(folder, 'some-tool')
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
  process.env.PATH = folder
  return { folder, program }
}

describe('findProgram()', () => {
  test('takes a program that root alone can change', () => {
    const { program } = onPath()
    expect(findProgram('some-tool')).toBe(program)
  })

  test.skipIf(!isRoot).each([
    ['a directory of another user', (folder: string) => chownSync(folder, 65_534, 65_534)],
    ['a directory that others can write to', (folder: string) => chmodSync(folder, 0o777)],
    [
      'a program of another user',
      (folder: string) => chownSync(join(folder, 'some-tool'), 65_534, 65_534),
    ],
  ])('refuses root %s', (_, spoil) => {
    spoil(onPath().folder)
    expect(findProgram('some-tool')).toBeUndefined()
  })
})
