/** Lists of packages: what dpkg and apk write, and that a path is found with /usr and without. */
import { expect, test } from 'bun:test'
import {
  listsWithContent,
  listsWithPath,
  packageOfList,
  parseApk,
  parseMd5sums,
  plainPath,
  TableBuilder,
} from '../../src/facts/package-lists.ts'

const digest = 'd41d8cd98f00b204e9800998ecf8427e'

test('parseMd5sums() takes whole lines, also the last without its end', () => {
  const text = `${digest}  usr/bin/find\nrubbish\n\n${digest}  lib/x y\n${digest}  usr/share/z`
  expect([...parseMd5sums(text, 'findutils')].map(({ path }) => path)).toEqual([
    '/bin/find',
    '/lib/x y',
    '/usr/share/z',
  ])
  expect(packageOfList('libc6:amd64.md5sums')).toBe('libc6')
})

test('parseApk() joins directory and file, its digest in hexadecimal', () => {
  const text =
    'P:busybox\nV:1\nF:bin\nR:busybox\na:0:0:755\nZ:Q1AAECAwQFBgcICQoLDA0ODxAREhM=\nF:etc\nR:x\n\nP:y\n'
  expect([...parseApk(text)]).toEqual([
    {
      path: '/bin/busybox',
      digest: '000102030405060708090a0b0c0d0e0f10111213',
      package: 'busybox',
    },
  ])
})

test('a table finds lists by path and by content, whatever collides', () => {
  const builder = new TableBuilder()
  for (let i = 0; i < 40_000; i++)
    builder.add(`/bin/f${i}`, i.toString(16).padStart(8, '0') + digest.slice(8), i % 7)
  const table = builder.take()
  expect(table.length).toBe(40_000)
  expect(listsWithPath(table, '/bin/f12345')).toContain(12_345 % 7)
  expect(listsWithContent(table, `00003039${digest.slice(8)}`)).toEqual([12_345 % 7])
  expect(listsWithContent(table, 'ffffffff')).toEqual([])
})

test.each([
  ['/usr/bin/x', '/bin/x'],
  ['usr/sbin/x', '/sbin/x'],
  ['/usr/local/bin/x', '/usr/local/bin/x'],
  ['/usr/share/bin/x', '/usr/share/bin/x'],
])('plainPath(%p)', (path, plain) => {
  expect(plainPath(path)).toBe(plain)
})
