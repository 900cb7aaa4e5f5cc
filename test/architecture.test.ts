/**
 * The import table of ARCHITECTURE.md as a test: which room may know which, which file is the door
 * to which foreign library, and that the rooms in the middle of the pipeline read no clock, chance
 * or setting. Change the table and the document together.
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
  'facts',
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
  facts: ['domain', 'platform'],
  wire: ['domain'],
  classify: ['domain', 'model', 'detect'],
  publish: ['domain', 'wire', 'platform'],
  outputs: ['domain', 'wire', 'platform'],
  aggregator: ['domain', 'wire', 'outputs', 'platform', 'model', 'classify'],
  train: training,
  compare: [...training, 'train'],
  settings: ['domain', 'platform'],
  agent: [...steps, 'classify', 'publish', 'outputs', 'settings'],
  operate: [...steps, 'publish', 'settings', 'agent'],
  record: ['domain', 'platform', 'count', 'agent'],
  simulate: ['domain', 'wire', 'platform', 'agent', 'aggregator'],
  commands: [
    ...['settings', 'agent', 'outputs', 'operate', 'record', 'aggregator', 'train', 'compare'],
    'simulate',
    ...['platform', 'domain'],
  ],
  'cli.ts': ['settings', 'commands', 'platform', 'domain'],
}

/** Foreign library → the files that may import it; a folder stands for all in it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  'better-sqlite3': ['platform/sqlite.ts'],
  'bun:sqlite': ['platform/sqlite.ts'],
  'bun:ffi': ['platform/'],
  cborg: ['wire/'],
  citty: ['cli.ts', 'commands/'],
  mqtt: ['platform/mqtt/client.ts'],
  'node:child_process': ['platform/linux/child.ts'],
  '@bufbuild/protobuf': ['platform/onnx/'],
  '@bufbuild/protobuf/codegenv2': ['platform/onnx/'],
  '@bufbuild/protobuf/wkt': ['platform/onnx/file.ts'],
  'onnxruntime-node': ['platform/onnx/runtime.ts'],
  'smol-toml': ['settings/settings.ts'],
  uplot: ['aggregator/dashboard/charts.ts'],
}

/**
 * Bun.Transpiler.scanImports leaves type-only imports out, and those say who knows whom as well.
 */
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

const neighbours = (file: string): string[] =>
  imports(file)
    .filter((path) => path.startsWith('.'))
    .map((path) => new URL(path, `file:///${file}`).pathname.slice(1))
    .filter((target) => sources.has(target))

/** The first circle that is met, or undefined. @param next the names that a name leads to */
function circleIn(
  names: Iterable<string>,
  next: (name: string) => readonly string[],
): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const walk = (name: string): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return undefined
    path.push(name)
    for (const target of next(name)) {
      const circle = walk(target)
      if (circle !== undefined) return circle
    }
    path.pop()
    done.add(name)
    return undefined
  }
  for (const name of names) {
    const circle = walk(name)
    if (circle !== undefined) return circle
  }
  return undefined
}

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
    queue.push(...neighbours(file))
  }
  // The page's script is reached from its HTML.
  const dead = files.filter((file) => !reached.has(file) && !file.includes('/dashboard/'))
  expect(dead).toEqual([])
})

test('no file imports itself by way of others, types and late imports included', () => {
  expect(circleIn(files, neighbours)).toBeUndefined()
  const list = { a: ['b'], b: ['c'], c: ['b'] }
  expect(circleIn(['a'], (name) => list[name as keyof typeof list])).toEqual(['b', 'c', 'b'])
})

test('no room may import itself by way of others', () =>
  expect(circleIn(Object.keys(rooms), (room) => rooms[room] ?? [])).toBeUndefined())

test('every room exists, and stands in ARCHITECTURE.md with what it may import', async () => {
  const document = await Bun.file('ARCHITECTURE.md').text()
  const written = new Map<string, string[]>()
  for (const [, names, allowed] of document.matchAll(
    /^\| (`[^|]+`) \|[^|]+\| ([^|]+) \|[^|]+\|$/gm,
  ))
    for (const [, name] of names!.matchAll(/`([^`]+)`/g))
      written.set(name!, allowed!.trim() === 'nothing' ? [] : allowed!.trim().split(', ').sort())
  const there = new Set(files.map(roomOf))
  expect([...written.keys()].sort()).toEqual([...there].sort())
  for (const room of there)
    expect(written.get(room), room).toEqual(rooms[room]!.filter((name) => there.has(name)).sort())
})
