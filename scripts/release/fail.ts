/** How parts of the release end it: one line that says what is wrong. */
export function fail(message: string): never {
  process.stderr.write(`error: ${message}\n`)
  process.exit(1)
}

/** Runs a tool to its end; its complaint ends the release. @returns its stdout */
export function run(
  command: readonly string[],
  { cwd, env = {}, stdin }: { cwd?: string; env?: Record<string, string>; stdin?: string } = {},
): Uint8Array {
  if (Bun.which(command[0]!) === null)
    fail(`"${command[0]}" is not installed; leave what needs it out with --formats`)
  const { success, stdout, stderr } = Bun.spawnSync([...command], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env.PATH!, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
    stdin: stdin === undefined ? 'ignore' : new TextEncoder().encode(stdin),
  })
  if (!success) fail(`${command.join(' ')}: ${stderr}${stdout}`)
  return stdout
}
