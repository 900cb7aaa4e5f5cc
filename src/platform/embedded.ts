/**
 * What is embedded in the binary: native libraries, the default model, the demo's recordings, the
 * commit.
 *
 * This module is used when run from source: all files are in the checkout. `scripts/build.ts`
 * replaces it by a generated module with the same exports, whose paths lead into the binary
 * ("/$bunfs/…"). Only Bun can read such paths, so libraries go through `native.ts`.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }

const checkout = fileURLToPath(new URL('../../', import.meta.url))
const modules = join(checkout, 'node_modules')

/** False when run from source. */
export const compiled: boolean = false
export const version: string = manifest.version
/** The commit that the binary was built from. */
export const commit: string = 'source'
/** Bun's name of the platform that the binary was built for. */
export const target: string = `linux-${process.arch}`
/**
 * Public key (PEM) of the releases that `agent update` accepts; '' in a build that is not a
 * release.
 */
export const releaseKey: string = ''
/** Where its releases are served; '' if the build was not given it. */
export const releaseUrl: string = ''
/**
 * Native libraries: where their bytes are, and the file name to extract them to (only `native.ts`
 * does).
 */
export const libraries = {
  onnxLibrary: library(`onnxruntime-node/bin/napi-v6/linux/${process.arch}/libonnxruntime.so.1`),
  onnxAddon: library(`onnxruntime-node/bin/napi-v6/linux/${process.arch}/onnxruntime_binding.node`),
  // Bun refuses any file *named* better_sqlite3.node; better-sqlite3's prebuilt one has another
  // name.
  sqliteAddon: library(`better-sqlite3/prebuilds/linux-${process.arch}.node`),
}

function library(path: string): { readonly path: string; readonly fileName: string } {
  return { path: join(modules, path), fileName: '' }
}

/** Names as in the checkout (`models/default/manifest.json`) → where the bytes are. */
export const assets: ReadonlyMap<string, string> = new Map(
  ['models/default', 'models/recordings/demo', 'models/recordings/fleet'].flatMap((folder) =>
    filesOf(folder),
  ),
)

function filesOf(folder: string): [name: string, path: string][] {
  if (!existsSync(join(checkout, folder))) return []
  return readdirSync(join(checkout, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(checkout.length), path])
}
