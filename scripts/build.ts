/**
 * Builds the one file that is installed: `bun scripts/build.ts [--target linux-x64-baseline] [--out
 * FILE]`.
 *
 * Everything travels inside: runtime, code (minified, as bytecode: `--version` in 10 ms instead of
 * 30), native libraries of the target, the aggregator's page, the default model, the demo's
 * captures. The module `src/platform/embedded.ts` is replaced by one whose paths lead into the
 * binary. Never `strip` the result: the payload would be lost.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { BunPlugin } from 'bun'
import manifest from '../package.json' with { type: 'json' }

const checkout = fileURLToPath(new URL('../', import.meta.url))
const TARGETS = ['linux-x64', 'linux-x64-baseline', 'linux-arm64'] as const
type Target = (typeof TARGETS)[number]
/** Threads begin at files of their own (platform/worker.ts). */
const WORKERS = ['src/aggregator/store/reader-worker.ts']
const ASSETS = ['models/default', 'models/recordings/demo', 'models/recordings/fleet']

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    out: { type: 'string' },
    /** A Bun executable of the target, where the runtime cannot be fetched. */
    runtime: { type: 'string' },
    /** Public key (PEM) that `agent update` shall trust. */
    key: { type: 'string' },
    /** Where `agent update` finds releases. */
    url: { type: 'string', default: '' },
    /** For trials of updates. */
    version: { type: 'string', default: manifest.version },
  },
})

const host: Target = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'
const target = TARGETS.find((name) => name === (values.target ?? host))
if (target === undefined) fail(`no target "${values.target}"; there are ${TARGETS.join(', ')}`)
const out = resolve(
  values.out ?? join(checkout, 'dist', target === host ? 'agent' : `agent-${target}`),
)
mkdirSync(dirname(out), { recursive: true })

const result = await Bun.build({
  entrypoints: ['src/cli.ts', ...WORKERS].map((path) => join(checkout, path)),
  root: join(checkout, 'src'),
  target: 'bun',
  format: 'esm',
  minify: true,
  bytecode: true,
  // A command's code is loaded when it is called for: --version costs 9 ms CPU instead of 16.
  splitting: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  plugins: [embed(target)],
  compile: {
    outfile: out,
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
    ...(values.runtime === undefined ? {} : { executablePath: resolve(values.runtime) }),
    ...(target === host ? {} : { target: `bun-${target}` }),
  },
  throw: false,
})
if (!result.success) fail(result.logs.map(String).join('\n') || 'bun build failed')
console.log(
  `${relative(process.cwd(), out)}: ${(Bun.file(out).size / 1e6).toFixed(1)} MB, ${target}, ${commit()}`,
)

function embed(target: Target): BunPlugin {
  return {
    name: 'embed',
    setup(build) {
      build.onLoad({ filter: /[/\\]src[/\\]platform[/\\]embedded\.ts$/ }, async () => ({
        loader: 'ts',
        contents: await embeddedModule(target),
      }))
      // The package requires its addon by a path; in the binary it is loaded as native.ts says.
      build.onLoad({ filter: /onnxruntime-node[/\\]dist[/\\]binding\.js$/ }, async ({ path }) => {
        const source = await Bun.file(path).text()
        const choice = /require\(`[^`]*onnxruntime_binding\.node`\)/
        if (!choice.test(source))
          fail('onnxruntime-node loads its addon in another way than expected')
        const native = JSON.stringify(join(checkout, 'src/platform/native.ts'))
        const contents = source.replace(choice, `require(${native}).loadOnnxAddon()`)
        return { loader: 'js', contents }
      })
    },
  }
}

/** The same exports as src/platform/embedded.ts. */
async function embeddedModule(target: Target): Promise<string> {
  const arch = target === 'linux-arm64' ? 'arm64' : 'x64'
  const onnx = `onnxruntime-node/bin/napi-v6/linux/${arch}`
  const imports: string[] = []
  const file = (path: string) => {
    imports.push(`import f${imports.length} from ${JSON.stringify(path)} with { type: 'file' }`)
    return `f${imports.length - 1}`
  }
  // Extracted under a name that holds its content's hash, so that a file of another version is
  // never taken for it.
  const library = async (name: string) => {
    const path = join(checkout, 'node_modules', name)
    const hash = new Bun.CryptoHasher('sha256').update(await Bun.file(path).bytes()).digest('hex')
    const kind = name.endsWith('.node') ? 'node' : 'so'
    return `{ path: ${file(path)}, fileName: '${hash.slice(0, 32)}.${kind}' }`
  }
  const assets = ASSETS.flatMap((folder) => filesBelow(join(checkout, folder))).map(
    (path) => `[${JSON.stringify(relative(checkout, path))}, ${file(path)}]`,
  )
  const body = `
export const compiled = true
export const version = ${JSON.stringify(values.version)}
export const commit = ${JSON.stringify(commit())}
export const target = ${JSON.stringify(target)}
export const releaseUrl = ${JSON.stringify(values.url)}
export const releaseKey = ${JSON.stringify(values.key === undefined ? '' : await Bun.file(values.key).text())}
export const libraries = {
  onnxLibrary: ${await library(`${onnx}/libonnxruntime.so.1`)},
  onnxAddon: ${await library(`${onnx}/onnxruntime_binding.node`)},
  sqliteAddon: ${await library(`better-sqlite3/prebuilds/linux-${arch}.node`)},
}
export const assets = new Map([${assets.join(', ')}])
`
  return imports.join('\n') + body
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** A checkout without git (a source archive) still builds. */
function commit(): string {
  const git = (...args: string[]) =>
    Bun.spawnSync(['git', '-C', checkout, ...args], { stderr: 'ignore' })
  try {
    const head = git('rev-parse', '--short=9', 'HEAD')
    if (!head.success) return 'unknown'
    const dirty = git('status', '--porcelain', '--untracked-files=no').stdout.length > 0
    return head.stdout.toString().trim() + (dirty ? '+' : '')
  } catch {
    return 'unknown'
  }
}

function fail(message: string): never {
  console.error(`error: ${message}`)
  process.exit(1)
}
