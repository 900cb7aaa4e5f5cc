/**
 * What holds the memory of a running agent and its helper processes: proportional share (Pss) of
 * each part in MB, from /proc/PID/smaps, as in docs/costs.md.
 *
 *   sudo bun scripts/memory.ts $(pgrep -o -x agent)
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'

const root = Number(process.argv[2])
if (!Number.isSafeInteger(root) || root < 1) {
  process.stderr.write('usage: sudo bun scripts/memory.ts PID\n')
  process.exit(2)
}
const program = readFileSync(`/proc/${root}/cmdline`, 'utf8').split('\0')[0]!
const processes = [root, ...childrenOf(root)]
const parts = new Map<string, number[]>()
let rssKb = 0
for (const [at, pid] of processes.entries())
  for (const { part, pssKb, rssKb: resident } of mappingsOf(pid)) {
    const row = parts.get(part) ?? processes.map(() => 0)
    row[at]! += pssKb
    parts.set(part, row)
    if (at === 0) rssKb += resident
  }
const sum = (row: readonly number[]) => row.reduce((all, kb) => all + kb, 0)
const mb = (kb: number) => (kb / 1000).toFixed(1).padStart(8)
const print = (name: string, cells: readonly string[]) =>
  process.stdout.write(`${name.padEnd(34)}${cells.join('')}\n`)
print('Pss, MB', [...processes.map((pid) => roleOf(pid).padStart(16)), '     all'])
for (const [part, row] of [...parts].sort((a, b) => sum(b[1]) - sum(a[1])))
  print(part, [...row.map((kb) => mb(kb).padStart(16)), mb(sum(row))])
const columns = processes.map((_, at) => sum([...parts.values()].map((row) => row[at]!)))
print('all', [...columns.map((kb) => mb(kb).padStart(16)), mb(sum(columns))])
print('resident (Rss) of the agent alone', [mb(rssKb).padStart(16)])

function childrenOf(parent: number): number[] {
  const of = (pid: string) => {
    try {
      return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
    } catch {
      return undefined
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && of(name) === parent)
    .map(Number)
}

function roleOf(pid: number): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return words.find((word) => /^[a-z-]+$/.test(word)) ?? 'agent'
}

function* mappingsOf(pid: number) {
  for (const text of readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-)/m)) {
    const [, access = '', path = ''] =
      /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)$/m.exec(text) ?? []
    const kb = (field: string) => Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1])
    yield { part: partOf(access, path), pssKb: kb('Pss'), rssKb: kb('Rss') }
  }
}

function partOf(access: string, path: string): string {
  if (path.replace(/ \(deleted\)$/, '') === program || basename(path) === basename(program))
    return access.startsWith('rw') ? 'program: data, what it carries' : 'program: code'
  if (/\/[0-9a-f]{32}\.(so|node)$/.test(path)) return 'ONNX Runtime, SQLite: code'
  if (path === '[heap]') return "C library's heap (net, SQLite)"
  if (path.startsWith('/')) return 'other libraries and files'
  return access.includes('x') ? 'compiled JavaScript' : 'heap of engine and buffers'
}
