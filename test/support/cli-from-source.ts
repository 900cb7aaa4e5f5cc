/**
 * The program run from its sources, for commands whose tests need no binary: what it says, and its
 * exit code.
 */
export async function agentFromSource(
  ...words: string[]
): Promise<{ out: string; err: string; code: number }> {
  const child = Bun.spawn([process.execPath, 'src/cli.ts', ...words], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, code }
}
