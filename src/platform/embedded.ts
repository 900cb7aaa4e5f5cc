/**
 * What travels inside the binary: native libraries, the default model, the demo's captures, the commit.
 *
 * This file is what a run from source sees: everything lies in the checkout. `scripts/build.ts` puts a
 * generated module of the same shape in its place, in which the paths lead into the binary ("/$bunfs/…").
 * Bun reads such paths with its file calls, and extracts a library among them when it is first loaded,
 * which is why libraries go through `native.ts` only.
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
export const onnxLibrary: string = join(
  modules,
  `onnxruntime-node/bin/napi-v6/linux/${process.arch}/libonnxruntime.so.1`,
)
/** better-sqlite3's prebuilt addon. Bun refuses any file *named* better_sqlite3.node; this name loads. */
export const sqliteBinding: string = join(
  modules,
  `better-sqlite3/prebuilds/linux-${process.arch}.node`,
)

/** Names as in the checkout (`models/default/manifest.json`) → where the bytes are. */
export const assets: ReadonlyMap<string, string> = new Map(
  ['models/default', 'data/demo'].flatMap((folder) => filesOf(folder)),
)

function filesOf(folder: string): [name: string, path: string][] {
  if (!existsSync(join(checkout, folder))) return []
  return readdirSync(join(checkout, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(checkout.length), path])
}
