/**
 * The page's files, wherever the program runs from: the compiled binary holds them bundled (Bun's
 * HTML import), from source they are bundled at start. They are served by http.ts and not by Bun's
 * own HTML routes, because those cannot be given security headers.
 */
import index from './dashboard/index.html'

export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string
  readonly etag: string
}

/** By the path that a browser asks for. */
export type PageFiles = ReadonlyMap<string, PageFile>

export async function loadPage(): Promise<PageFiles> {
  const found: { name: string; file: Blob }[] = index.files
    ? index.files.map(({ path }) => ({ name: path, file: Bun.file(path) }))
    : (await bundle(index.index)).map((output) => ({ name: output.path, file: output }))
  const files = new Map<string, PageFile>()
  for (const { name, file } of found) {
    const bytes = new Uint8Array(await file.arrayBuffer())
    const path = name.endsWith('.html') ? '/' : `/${name.split('/').at(-1)}`
    files.set(path, { bytes, type: typeOf(name), etag: `"${Bun.hash(bytes).toString(36)}"` })
  }
  return files
}

async function bundle(entry: string) {
  const built = await Bun.build({ entrypoints: [entry], target: 'browser', minify: true })
  return built.outputs
}

function typeOf(name: string): string {
  if (name.endsWith('.js')) return 'text/javascript; charset=utf-8'
  if (name.endsWith('.css')) return 'text/css; charset=utf-8'
  return 'text/html; charset=utf-8'
}
