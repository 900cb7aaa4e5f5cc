/**
 * Makes src/parse/own-line-core.ts from src/parse/own-line.wat: `bun scripts/wasm.ts`. The result
 * is checked in (it is shorter than a licence), so that building the agent needs no WebAssembly
 * tool; a test makes it again and compares.
 */
import wabt from 'wabt'

const source = new URL('../src/parse/own-line.wat', import.meta.url)
const target = new URL('../src/parse/own-line-core.ts', import.meta.url)

/** The TypeScript module that holds the core. */
export async function coreModule(): Promise<string> {
  const tool = await wabt()
  const module = tool.parseWat('own-line.wat', await Bun.file(source).text())
  module.validate()
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64')
  const lines = base64.match(/.{1,96}/g)!.map((line) => `  '${line}',`)
  return `/** Made from own-line.wat by \`bun scripts/wasm.ts\`; do not edit. */
const CODE = [
${lines.join('\n')}
].join('')

const module = new WebAssembly.Module(Buffer.from(CODE, 'base64'))

export interface OwnLineCore {
  readonly memory: WebAssembly.Memory
  readonly run: (line: number, end: number, mask: number) => number
}

/** A core of its own memory, of at least so many bytes. */
export function ownLineCore(bytes: number): OwnLineCore {
  const core = new WebAssembly.Instance(module).exports as unknown as OwnLineCore
  const missing = bytes - core.memory.buffer.byteLength
  if (missing > 0) core.memory.grow(Math.ceil(missing / 65_536))
  return core
}
`
}

if (import.meta.main) await Bun.write(target, await coreModule())
