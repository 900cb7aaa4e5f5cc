/** Alerts on stdout: plain for a person, with a priority for the journal. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { alertLines, reasons } from '../../src/outputs/alert-words.ts'
import { sampleAlert } from '../wire/samples.ts'

function told(journal: boolean): string[] {
  const root = join(import.meta.dir, '../..')
  const program = `import { terminalOutput } from ${JSON.stringify(`${root}/src/outputs/terminal.ts`)}
import { sampleAlert } from ${JSON.stringify(`${root}/test/wire/samples.ts`)}
await terminalOutput(undefined, ${journal}).take({ alerts: [{ ...sampleAlert, state: 'open', severity: 'high' }], summary: undefined })`
  const { stdout } = Bun.spawnSync([process.execPath, '-e', program], {
    env: { PATH: process.env.PATH!, NO_COLOR: '1' },
  })
  return stdout.toString().trimEnd().split('\n')
}

test('terminalOutput() gives each line its priority where stdout is the journal', () => {
  const plain = told(false)
  expect(plain.length).toBeGreaterThan(1)
  expect(plain[0]).toContain('HIGH')
  expect(told(true)).toEqual(plain.map((line) => `<3>${line}`))
})

const { because: _, ...unexplained } = sampleAlert
const why = (...shares: [syscall: string, seen: number, expected: number][]) => ({
  ...unexplained,
  why: shares.map(([syscall, seen, expected]) => ({ syscall, seen, expected })),
})

test('reasons() leaves out calls whose shares read the same, and says what is below a percent', () => {
  expect(
    reasons(
      why(
        ['mmap', 0.001, 0.002],
        ['poll', 0.013, 0.001],
        ['read', 0.301, 0.299],
        ['futex', 0, 0.04],
      ),
    ),
  ).toBe('because its calls are poll 1 % (usual <1 %), futex 0 % (usual 4 %)')
  expect(reasons(why(['mmap', 0.001, 0.002]))).toBe('because its calls are mmap <1 % (usual <1 %)')
})

test('alertLines() says at the first line how certain it is', () => {
  const opened = { ...sampleAlert, state: 'open' } as const
  expect(alertLines({ ...opened, certainty: 'confirmed' })).toContain('[confirmed]')
  expect(alertLines({ ...opened, certainty: 'provisional' })).toContain('[provisional]')
})
