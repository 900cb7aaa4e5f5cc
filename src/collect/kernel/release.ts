/** Which kernel this is: what bpf(2) asks for changed over the years. */
import { release } from 'node:os'

export function kernelAtLeast(major: number, minor: number, version = release()): boolean {
  const [ours = 0, oursMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return ours > major || (ours === major && oursMinor >= minor)
}
