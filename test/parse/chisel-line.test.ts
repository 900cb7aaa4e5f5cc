import { describe, expect, test } from 'bun:test'
import { parseAll } from '../support/parse.ts'

const chisel = (text: string) => parseAll('chisel', text)

describe('ChiselLineParser', () => {
  test('takes one line per process and second', () => {
    const { calls } = chisel('@1700000000 812 L epoll_wait=12,read=3 nginx: worker\n')
    expect(calls).toEqual({
      '1700000000 812 nginx: worker epoll_wait': 12,
      '1700000000 812 nginx: worker read': 3,
    })
  })

  test('tells threads’ names, exits, losses and ends of seconds', () => {
    const sink = chisel(
      '@1700000000 812 T read=1 worker#1\n@1700000000 812 X\n@1700000000 . 7\n@1700000001 ! 85090\n',
    )
    expect(sink.calls).toEqual({ '1700000000 812 [worker#1] read': 1 })
    expect(sink.exits).toEqual(['1700000000 812'])
    expect(sink.drops).toEqual({ 'no-process': 7 })
    expect(sink.losses).toEqual({ '1700000001 lost(sysdig)': 85_090 })
    expect(sink.lastMs).toBe(1_700_000_000_999)
  })

  test('counts calls under a type that nobody knows as dropped, and no-calls not at all', () => {
    const sink = chisel('@1700000000 5 L frobnicate=4,signaldeliver=9,read=1 x\n')
    expect(sink.calls).toEqual({ '1700000000 5 x read': 1 })
    expect(sink.drops).toEqual({ 'unknown-syscall': 4 })
  })

  test.each([
    ['@1700000000 5 L read=1,write= x'],
    ['@1700000000 5 L read=1,wri'],
    ['@1700000000 5 L read=-1 x'],
    ['@1700000000 5 L read=99999999999 x'],
    ['@1700000000 5 L  x'],
    ['@1700000000 0 L read=1 x'],
    ['@1700000000 5 Q read=1 x'],
    ['@1700000000 5'],
    ['@17e9 5 L read=1 x'],
    ['1700000000 5 L read=1 x'],
    ['@1700000000 . many'],
    ['@'],
  ])('counts nothing of the broken line "%s"', (line) => {
    const sink = chisel(`${line}\n`)
    expect(sink.calls).toEqual({})
    expect(sink.drops).toEqual({ malformed: 1 })
  })
})
