/**
 * `agent completion SHELL`: a script for the shell, written from the commands themselves, so that
 * it cannot fall behind.
 */
import { type CommandDef, defineCommand } from 'citty'
import { kebab } from '../settings/keys.ts'
import { argsOf, resolved } from './arguments.ts'
import { writeOut } from './common.ts'

/** Words that may follow a path of commands (`agent model ls`). */
interface Level {
  readonly path: string
  readonly words: readonly string[]
}

/** The table of commands, of which this command is one: it is handed in, not imported. */
type Commands = Readonly<Record<string, { readonly load: () => Promise<{ default: unknown }> }>>

export const completionOf = (commands: Commands) =>
  defineCommand({
    meta: {
      name: 'completion',
      description: 'Prints a completion script for bash, zsh or fish',
      examples: [
        'agent completion bash > ~/.local/share/bash-completion/completions/agent',
        'agent completion zsh > ~/.zfunc/_agent # a folder of your $fpath',
        'agent completion fish > ~/.config/fish/completions/agent.fish',
      ],
    },
    subCommands: {
      bash: shell('bash', commands, bash),
      zsh: shell(
        'zsh',
        commands,
        (levels) => `#compdef agent\nautoload -U +X bashcompinit && bashcompinit\n${bash(levels)}`,
      ),
      fish: shell('fish', commands, fish),
    },
  })

function shell(
  name: string,
  commands: Commands,
  script: (levels: readonly Level[]) => string,
): CommandDef {
  return defineCommand({
    meta: {
      name,
      description: `Prints the script for ${name}`,
      examples: [`agent completion ${name}`],
    },
    run: async () => writeOut(script(await allLevels(commands))),
  })
}

async function allLevels(commands: Commands): Promise<Level[]> {
  const levels: Level[] = [
    { path: '', words: [...Object.keys(commands), 'help', '--help', '--version'] },
  ]
  for (const [name, { load }] of Object.entries(commands))
    levels.push(...(await levelsOf(name, (await load()).default as CommandDef)))
  return levels
}

async function levelsOf(path: string, command: CommandDef): Promise<Level[]> {
  const subCommands = (await resolved(command.subCommands)) ?? {}
  const flags = Object.entries(await argsOf(command))
    .filter(([, { type }]) => type !== 'positional')
    .map(([name]) => `--${kebab(name)}`)
  const levels: Level[] = [{ path, words: [...Object.keys(subCommands), ...flags, '--help'] }]
  for (const [name, sub] of Object.entries(subCommands))
    levels.push(...(await levelsOf(`${path} ${name}`, (await resolved(sub)) as CommandDef)))
  return levels
}

function bash(levels: readonly Level[]): string {
  const cases = levels.map(({ path, words }) => `    "${path}") words="${words.join(' ')}" ;;`)
  return `_agent() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" i
  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
    [[ "\${COMP_WORDS[i]}" == -* ]] && break
    path="\${path:+$path }\${COMP_WORDS[i]}"
  done
  case "$path" in
${cases.join('\n')}
    *) case "\${path%% *}" in
${cases.map((line) => `  ${line}`).join('\n')}
      esac ;;
  esac
  if [[ "$current" == -* || $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _agent agent
`
}

function fish(levels: readonly Level[]): string {
  const lines: string[] = []
  for (const { path, words } of levels) {
    const [first, second] = path.split(' ')
    const when =
      path === ''
        ? '__fish_use_subcommand'
        : second === undefined
          ? `__fish_seen_subcommand_from ${first}`
          : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`
    for (const word of words)
      lines.push(
        word.startsWith('--')
          ? `complete -c agent -n '${when}' -l ${word.slice(2)}`
          : `complete -c agent -n '${when}' -a ${word}`,
      )
  }
  return `${lines.join('\n')}\n`
}
