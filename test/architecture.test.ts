/**
 * The import table of ARCHITECTURE.md as a test: which room may know which, which file is the door to which
 * foreign library, and that the rooms in the middle of the street read no clock, chance or setting.
 * Change the table and the document together.
 */
import { expect, test } from 'bun:test'
import { Glob } from 'bun'

/** Room → the rooms that it may import beside itself. */
const steps = [
  'domain',
  'platform',
  'collect',
  'parse',
  'count',
  'buffer',
  'model',
  'detect',
  'wire',
]
const training = ['domain', 'parse', 'count', 'model', 'detect', 'platform']
const rooms: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  platform: ['domain'],
  collect: ['domain', 'platform'],
  parse: ['domain'],
  count: ['domain'],
  buffer: ['domain', 'platform'],
  model: ['domain', 'platform'],
  detect: ['domain'],
  wire: ['domain'],
  publish: ['domain', 'wire', 'platform'],
  outputs: ['domain', 'wire', 'platform'],
  aggregator: ['domain', 'wire', 'outputs', 'platform', 'model', 'count', 'detect'],
  train: training,
  compare: [...training, 'train'],
  settings: ['domain', 'platform'],
  agent: [...steps, 'publish', 'outputs', 'settings'],
  operate: [...steps, 'settings', 'agent'],
  record: ['domain', 'platform', 'count', 'agent'],
  simulate: ['domain', 'wire', 'platform', 'agent', 'aggregator'],
  commands: [
    ...['settings', 'agent', 'operate', 'record', 'aggregator', 'train', 'compare', 'simulate'],
    ...['platform', 'domain'],
  ],
  'cli.ts': ['settings', 'agent', 'commands', 'platform', 'domain'],
}

/** Foreign library → the files that may import it; a folder stands for all in it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  aedes: ['platform/mqtt/broker.ts'],
  'better-sqlite3': ['platform/sqlite.ts'],
  'bun:sqlite': ['platform/sqlite.ts'],
  'bun:ffi': ['platform/'],
  cborg: ['wire/'],
  citty: ['cli.ts', 'commands/'],
  mqtt: ['platform/mqtt/client.ts'],
  'node:child_process': ['platform/linux/child.ts'],
  '@bufbuild/protobuf': ['platform/onnx/file.ts'],
  '@bufbuild/protobuf/wkt': ['platform/onnx/file.ts'],
  'onnx-buf': ['platform/onnx/file.ts'],
  'onnxruntime-node': ['platform/onnx/runtime.ts'],
  'smol-toml': ['settings/settings.ts'],
}

/** Bun.Transpiler.scanImports leaves type-only imports out, and those say who knows whom as well. */
const importPattern = /(?:\bfrom\s|\bimport\s*\(?)\s*['"]([^'"$\n]+)['"]/g
const pure = /^(domain|parse|count|detect|wire)\//
const ambient =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|process\.(?:env|argv|hrtime|uptime|\w+Usage)|Bun\.(?:file|write|env|sleep|nanoseconds)|console\.|setTimeout|setInterval)/

const files = [...new Glob('**/*.ts').scanSync('src')]
  .filter((file) => !file.endsWith('.d.ts'))
  .sort()
const sources = new Map(
  await Promise.all(
    files.map(async (file) => [file, await Bun.file(`src/${file}`).text()] as const),
  ),
)

const roomOf = (file: string): string => file.split('/')[0]!
const code = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
const imports = (file: string): string[] =>
  [...sources.get(file)!.matchAll(importPattern)].map(([, path]) => path!)

test('there are sources to look at', () => expect(files.length).toBeGreaterThan(20))

for (const file of files) {
  test(`src/${file} imports only what its room may`, () => {
    const allowed = rooms[roomOf(file)]
    expect(allowed, `room "${roomOf(file)}" is not in the table`).toBeDefined()
    for (const path of imports(file)) {
      if (path.startsWith('.')) {
        const target = new URL(path, `file:///${file}`).pathname.slice(1)
        const outside = !sources.has(target) // package.json, a page, a chisel
        if (!outside && roomOf(target) !== roomOf(file))
          expect(allowed, `${file} imports ${target}`).toContain(roomOf(target))
      } else {
        const door = doors[path]
        if (door !== undefined)
          expect(
            door.some((place) => file === place || (place.endsWith('/') && file.startsWith(place))),
            `${file} imports ${path}, whose door is ${door.join(' or ')}`,
          ).toBe(true)
        else expect(path, `${path} has no door in the table`).toMatch(/^(node:|bun$)/)
      }
    }
  })
  if (pure.test(file))
    test(`src/${file} takes time, chance and settings as arguments`, () =>
      expect(code(sources.get(file)!)).not.toMatch(ambient))
}

test('only platform/linux/child.ts and platform/linux/capabilities.ts start processes', () => {
  const starters = ['platform/linux/child.ts', 'platform/linux/capabilities.ts']
  for (const [file, text] of sources)
    if (!starters.includes(file)) expect(code(text), file).not.toMatch(/\bBun\.spawn|\$`/)
})

test('only cli.ts ends the process and hears signals', () => {
  for (const [file, text] of sources)
    if (file !== 'cli.ts')
      expect(code(text), file).not.toMatch(/process\.(exit\(|exitCode|on\('SIG|once\('SIG)/)
})

test('every source is reached from the program', () => {
  const reached = new Set<string>()
  const queue = ['cli.ts']
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    for (const path of imports(file))
      if (path.startsWith('.')) {
        const target = new URL(path, `file:///${file}`).pathname.slice(1)
        if (sources.has(target)) queue.push(target)
      }
  }
  // The page's script is reached from its HTML.
  const dead = files.filter((file) => !reached.has(file) && !file.includes('/dashboard/'))
  expect(dead).toEqual([])
})
