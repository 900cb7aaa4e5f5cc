/** Runs programs of this machine for the virtual ones, at low priority. */

export const NICE = process.env.VM_NICE ?? '15'

/** @throws Error with the end of what it said, if it fails */
export async function run(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  await output(command, environment)
}

/** @returns standard output @throws Error with the end of what it said, if it fails */
export async function output(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const child = Bun.spawn(['nice', '-n', NICE, ...command], {
    env: { ...process.env, ...environment },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [bytes, said, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code === 0) return bytes
  const end = said.trimEnd().split('\n').slice(-8).join('\n')
  throw new Error(`${command[0]} ended with ${code}:\n${end}`)
}
