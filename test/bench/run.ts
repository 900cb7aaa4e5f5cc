/**
 * `bun run bench [NAME…]`: every bench beside this file, one after the other, so that they do not
 * measure each other. A bench exports `default { name, run(): Promise<string[]> }` and gives
 * finished lines, figures with their units and the ratio that matters; absolute times are of this
 * machine, ratios travel.
 */
import { cpus, release } from 'node:os'
import { Glob } from 'bun'

export interface Bench {
  readonly name: string
  run(): Promise<string[]>
}

if (import.meta.main) {
  const wanted = process.argv.slice(2)
  const print = (line: string) => process.stdout.write(`${line}\n`)
  print(
    `Bun ${Bun.version}, Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  )
  let failed = 0
  for (const file of [...new Glob('*.ts').scanSync(import.meta.dir)].sort()) {
    if (file === 'run.ts' || file.endsWith('.test.ts')) continue
    // Others are programs of their own, with flags.
    if (!(await Bun.file(`${import.meta.dir}/${file}`).text()).includes('export default')) continue
    const { default: bench } = (await import(`./${file}`)) as { default: Bench }
    if (wanted.length > 0 && !wanted.includes(bench.name)) continue
    print(`\n${bench.name}`)
    try {
      for (const line of await bench.run()) print(`  ${line}`)
    } catch (error) {
      failed += 1
      print(`  failed: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  process.exitCode = failed === 0 ? 0 : 1
}
