/**
 * A boot without emulation: a Debian release's systemd and programs in namespaces on the kernel that
 * runs here. For what depends on them and not on the kernel: seconds instead of minutes.
 *
 * Needs root. The agent's rights are real ones (no user namespace), so it counts in this kernel.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Boot, Ended } from './virtual-machine.ts'

const LOOK_EVERY_MS = 100

/**
 * @param root the file system below, which is not written to
 * @param layer what is written
 * @param share the container's /host
 */
export async function bootHere(
  root: string,
  layer: string,
  share: string,
  script: string,
  limitSeconds: number,
  { systemd = false }: Boot,
): Promise<Ended> {
  for (const name of ['up', 'code']) rmSync(join(share, name), { force: true })
  writeFileSync(join(share, 'script'), script)
  for (const name of ['upper', 'work', 'merged']) mkdirSync(join(layer, name), { recursive: true })
  const began = performance.now()
  const since = () => (performance.now() - began) / 1000
  const start = join(share, 'container-start')
  const first = systemd ? ['systemd'] : []
  const child = Bun.spawn(['bash', start, root, layer, share, ...first], {
    stdout: Bun.file(join(share, '../console.log')),
    stderr: Bun.file(join(share, '../emulator.log')),
    // A group of its own: what holds the namespaces ends with what began them.
    detached: true,
  })
  const end = () => process.kill(-child.pid, 'SIGKILL')
  process.on('exit', end)
  let upHostSeconds: number | undefined
  let why: string | undefined
  while (child.exitCode === null && child.signalCode === null) {
    await Promise.race([child.exited, Bun.sleep(LOOK_EVERY_MS)])
    if (upHostSeconds === undefined && existsSync(join(share, 'up'))) upHostSeconds = since()
    if (since() < limitSeconds) continue
    why = `it took longer than ${limitSeconds} s`
    end()
  }
  process.off('exit', end)
  const code = join(share, 'code')
  return {
    code: existsSync(code) ? Number(readFileSync(code, 'utf8')) : undefined,
    upSeconds: undefined,
    upHostSeconds,
    seconds: since(),
    why,
  }
}
