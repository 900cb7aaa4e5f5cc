/**
 * Every `agent` command line in the documents is one that the program accepts: the command exists,
 * and so do its flags and their number of arguments.
 */
import { expect, test } from 'bun:test'
import { Glob } from 'bun'
import type { CommandDef } from 'citty'
import { argsOf, parseCall, resolved } from '../../src/commands/arguments.ts'
import { COMMANDS } from '../../src/commands/table.ts'

const documents = new Map(
  await Promise.all(
    ['*.md', 'docs/**/*.md', '.github/**/*.md']
      .flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: '.', dot: true })])
      .filter((file) => file !== 'CHANGELOG.md')
      .map(async (file) => [file, await Bun.file(file).text()] as const),
  ),
)

/** The words of each call of `agent` in the `sh` blocks of a document. */
function agentCalls(markdown: string): string[][] {
  const blocks = [...markdown.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!)
  return blocks
    .flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
    .flatMap(simpleCommands)
    .map((words) => (words[0] === 'sudo' ? words.slice(1) : words))
    .filter(([program]) => program === 'agent' || program === './agent')
    .map((words) => words.slice(1))
}

/** A line of shell as its simple commands: quotes are kept together, comments and pipes divide. */
function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]]
  for (const [token] of line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'|;&])+|[|;&]+/g)) {
    if (token.startsWith('#')) break
    if (/^[|;&]+$/.test(token)) commands.push([])
    else commands.at(-1)!.push(token)
  }
  return commands.map((words) => words.filter((word) => !/^[A-Z_]+=/.test(word)))
}

async function accept(path: string, command: CommandDef, words: string[]): Promise<void> {
  const [name] = words
  const subCommands = (await resolved(command.subCommands)) ?? {}
  if (name !== undefined && Object.hasOwn(subCommands, name)) {
    const sub = (await resolved(subCommands[name])) as CommandDef
    return accept(`${path} ${name}`, sub, words.slice(1))
  }
  if (words.includes('--help')) return
  const redirected = words.findIndex((word) => /^\d?[<>]/.test(word))
  parseCall(path, await argsOf(command), redirected === -1 ? words : words.slice(0, redirected))
}

test('the documents call agent often enough for this test to see something', () => {
  const calls = [...documents.values()].flatMap(agentCalls)
  expect(calls.length).toBeGreaterThan(60)
})

for (const [file, text] of documents) {
  test(`${file} has commands that the program accepts`, async () => {
    for (const words of agentCalls(text)) {
      const [name, ...rest] = words
      if (name === undefined || name.startsWith('-')) continue
      const said = `agent ${words.join(' ')}`
      expect(Object.keys(COMMANDS), said).toContain(name)
      const command = (await COMMANDS[name]!.load()).default as CommandDef
      try {
        await accept(`agent ${name}`, command, rest)
      } catch (error) {
        expect.unreachable(`${said}: ${error}`)
      }
    }
  }, 60_000)
}
