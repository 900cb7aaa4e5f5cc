import { describe, expect, test } from 'bun:test'
import { recogniseFormat } from '../../src/parse/recognise-format.ts'
import { fixture } from '../support/fixture.ts'
import { parseAll } from '../support/parse.ts'

const strace = (text: string) => parseAll('strace-text', text)
const T = '1700000000.123456'

describe('StraceLineParser', () => {
  test('counts a call where it begins, and not where it is resumed', () => {
    const { calls } = strace(
      `5 ${T} read(3,  <unfinished ...>\n6 ${T} write(1, "x", 1) = 1\n5 ${T} <... read resumed>"x", 1) = 1\n`,
    )
    expect(calls).toEqual({ '1700000000 5  read': 1, '1700000000 6  write': 1 })
  })

  test('takes the name from execve, cut as the kernel cuts it, and hands it to children', () => {
    const { calls, facts } = strace(
      `5 ${T} execve("/usr/bin/a-very-long-program-name", ["x"], 0x1 /* 3 vars */) = 0\n` +
        `5 ${T} clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 6\n6 ${T} getpid() = 6\n` +
        `6 ${T} execve("/bin/none", ["x"], 0x1) = -1 ENOENT (No such file or directory)\n6 ${T} close(3) = 0\n`,
    )
    const name = 'a-very-long-pro'
    expect(calls).toEqual({
      [`1700000000 5 ${name} execve`]: 1,
      [`1700000000 5 ${name} clone`]: 1,
      [`1700000000 6 ${name} getpid`]: 1,
      [`1700000000 6 ${name} execve`]: 1,
      [`1700000000 6 ${name} close`]: 1,
    })
    expect(facts).toEqual({ 6: { ppid: 5 } })
  })

  test('counts threads as their process, also where clone is resumed later', () => {
    const { calls, exits } = strace(
      `5 ${T} execve("/bin/x", ["x"], 0x1) = 0\n5 ${T} clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f}, 88 <unfinished ...>\n` +
        `5 ${T} <... clone3 resumed> => {parent_tid=[6]}, 88) = 6\n6 ${T} futex(0x1, FUTEX_WAIT, 2, NULL) = 0\n` +
        `6 ${T} +++ exited with 0 +++\n5 ${T} +++ killed by SIGKILL +++\n`,
    )
    expect(calls['1700000000 5 [x] futex']).toBe(1)
    expect(exits).toEqual(['1700000000 5'])
  })

  test.each([
    ['-f on a terminal', `[pid 24491] ${T} read(3, "", 1) = 0`, '24491 '],
    ['-f on a terminal, a short pid', `[pid   911] ${T} read(3, "", 1) = 0`, '911 '],
    ['-f -Y on a terminal', `[pid 911<a b] c>] ${T} read(3, "", 1) = 0`, '911 a b] c'],
    ['-f -Y -o', `911<tmux: server> ${T} read(3, "", 1) = 0`, '911 tmux: server'],
    ['-f -tt -o', '911 22:13:20.123456 read(3, "", 1) = 0', '911 '],
    ['-f -t -o', '911 22:13:20 read(3, "", 1) = 0', '911 '],
    ['-f -t on a terminal', '[pid 911] 22:13:20 read(3, "", 1) = 0', '911 '],
    ['nanoseconds', `911 1700000000.123456789 read(3, "", 1) = 0`, '911 '],
    ['whole seconds', `911 1700000000 read(3, "", 1) = 0`, '911 '],
  ])('reads the lines of %s', (_, line, who) => {
    const { calls, drops } = parseAll('strace-text', `${line}\n`, { endMs: 1_700_001_000_000 })
    expect(calls).toEqual({ [`1700000000 ${who} read`]: 1 })
    expect(drops).toEqual({})
    expect(recogniseFormat(new TextEncoder().encode(`${line}\n`))).toBe('strace-text')
  })

  test.each([
    [`${T} read(3, "", 1) = 0`, {}],
    ['22:13:20.123456 read(3, "", 1) = 0', { dateMs: Date.UTC(2023, 10, 14) }],
  ])('takes whose lines they are and their date from the user: %s', (line, more) => {
    const { calls } = parseAll('strace-text', `${line}\n`, { pid: 7, name: 'make', ...more })
    expect(calls).toEqual({ '1700000000 7 make read': 1 })
  })

  test('of several on a terminal counts those that are named, and says how many are not', () => {
    const { calls, drops, exits } = strace(
      `${T} execve("/bin/sh", ["sh"], 0x1) = 0\n${T} vfork(strace: Process 8 attached\n <unfinished ...>\n` +
        `[pid     8] ${T} read(3, "", 1) = 0\n[pid     7] ${T} <... vfork resumed>) = 8\n${T} +++ exited with 0 +++\n`,
    )
    expect(calls).toEqual({ '1700000000 8  read': 1 })
    expect(drops).toEqual({ 'no-process': 2 })
    expect(exits).toEqual([])
  })

  test('times since the start are none', () => {
    expect(
      strace('     0.000123 read(0, "", 1) = 0\n5      0.000123 read(0, "", 1) = 0\n').drops,
    ).toEqual({ 'no-time': 2 })
  })

  test('follows prctl, and takes comms from -Y where they are printed', () => {
    const { calls } = strace(
      `5 ${T} prctl(PR_SET_NAME, "new\\nname") = 0\n5 ${T} read(0, "", 1) = 0\n7<a> b> ${T} read(0, "", 1) = 0\n`,
    )
    expect(calls['1700000000 5 new?name read']).toBe(1)
    expect(calls['1700000000 7 a> b read']).toBe(1)
  })

  test.each([
    ['a signal', `5 ${T} --- SIGCHLD {si_signo=SIGCHLD} ---`, {}],
    [
      'a call that strace does not know',
      `5 ${T} syscall_0x1d6(0x1) = -1`,
      { 'unknown-syscall': 1 },
    ],
    ['no pid (strace without -f)', `${T} read(0, "", 1) = 0`, { 'no-process': 1 }],
    ['no time (strace without -ttt)', '5 read(0, "", 1) = 0', { 'no-time': 1 }],
    ['what strace says beside calls', 'strace: Process 5 attached', {}],
    ['the rest of a line that it cut', ' <unfinished ...>', {}],
    ['words', 'hello world', { malformed: 1 }],
  ])('counts no call in a line with %s', (_, line, drops) => {
    const sink = strace(`${line}\n`)
    expect(sink.calls).toEqual({})
    expect(sink.drops).toEqual(drops)
  })

  test('counts each call of a recorded run once', () => {
    const text = new TextDecoder().decode(fixture('strace/bash.strace.gz'))
    const { calls, drops, exits } = strace(text)
    const began = text.split('\n').filter((line) => /^\d+ +[\d.]+ \w+\(/.test(line))
    expect(Object.values(calls).reduce((total, count) => total + count, 0)).toBe(began.length)
    expect(drops).toEqual({})
    expect(exits).toHaveLength(3)
    const names = Object.keys(calls).map((key) => key.split(' ')[2])
    // '': lines of a child that came before its parent's clone was through; the sink hears the name
    // then.
    expect(new Set(names)).toEqual(new Set(['', 'bash', 'ls', 'true']))
  })
})
