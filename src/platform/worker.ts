/**
 * Starts a Worker by its path below `src/`, from source and in the binary alike.
 *
 * In the binary a worker must be an entry point of its own: `scripts/build.ts` makes one of every file
 * below `src/` that is named `*-worker.ts`, and Bun finds it by the path relative to the entry points' root (measured on
 * 1.4.5: `import.meta.url` is the same "/$bunfs/root/agent" in every module there, so the usual
 * `new URL('./x-worker.ts', import.meta.url)` finds it from one folder only).
 */
import { compiled } from './embedded.ts'

/** @param path for example `collect/pipe-worker.ts` */
export function startWorker(path: `${string}-worker.ts`, options?: WorkerOptions): Worker {
  return new Worker(compiled ? `./${path}` : new URL(`../${path}`, import.meta.url).href, options)
}
