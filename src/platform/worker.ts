/**
 * The one place that starts a thread. From source a worker is its file; in the binary it is a
 * further entry point, which scripts/build.ts names.
 */
import { compiled } from './embedded.ts'

/** @param file below src/ */
export function startWorker(file: string): Worker {
  const url = compiled
    ? `./${file.replace(/\.ts$/, '.js')}`
    : new URL(`../${file}`, import.meta.url).href
  return new Worker(url)
}
