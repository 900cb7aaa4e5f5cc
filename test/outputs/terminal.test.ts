/** Alerts on stdout: plain for a person, with a priority for the journal. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'

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
