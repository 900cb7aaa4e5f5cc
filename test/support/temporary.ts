/**
 * A directory of its own for each test that asks, gone at the end of the file's tests. In memory
 * where there is a place for it: waiting for a disk (synchronous FULL) is not what the tests are
 * about.
 */
import { afterAll } from 'bun:test'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const parent = (() => {
  try {
    accessSync('/dev/shm', constants.W_OK)
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
})()

export function temporaryDirectories(): () => string {
  const made: string[] = []
  afterAll(() => {
    for (const directory of made) rmSync(directory, { recursive: true, force: true })
  })
  return () => {
    const directory = mkdtempSync(join(parent, 'callsign-test-'))
    made.push(directory)
    return directory
  }
}
