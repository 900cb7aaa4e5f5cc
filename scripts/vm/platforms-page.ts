/** Results as a table for the terminal, and as docs/reference/platforms.md. */
import { CHECKS } from './checks.ts'
import { machineOf } from './machines.ts'
import { passed, type Result } from './results.ts'

export function resultsTable(results: readonly Result[]): string {
  return table(
    [
      'Machine',
      'Kernel',
      'Check',
      'Source',
      'Counted of made',
      'Alert',
      'Result',
      'Boot, s',
      'All, s',
    ],
    results.map((result) => [
      result.machine,
      result.kernel,
      result.check,
      result.source,
      countedOf(result),
      result.alert ?? '',
      verdict(result),
      String(result.bootSeconds),
      String(result.seconds),
    ]),
  )
}

/** @param generated the line that says what writes the page */
export function platformsPage(results: readonly Result[], generated: string): string {
  const machines = [...new Set(results.map(({ machine }) => machine))].map(machineOf)
  const sections = machines.map(({ name, suite, architecture, here }) => {
    const own = results.filter(({ machine }) => machine === name)
    const rows = own.map((result) => [
      whatOf(result.check),
      result.source,
      countedOf(result),
      result.alert ?? '',
      [verdict(result), ...result.notes].join('; '),
      result.date,
      result.agent,
    ])
    const head = ['Check', 'Source', 'Counted of made', 'Alert', 'Result', 'Date', 'Agent']
    const kernel = own.map(({ kernel }) => kernel).find((kernel) => kernel !== 'unknown')
    const how = here === true ? ' in a container' : ''
    return `## Debian ${suite}${how}, ${architecture}, Linux ${kernel}\n\n${table(head, rows)}\n`
  })
  return `# Platforms

${generated}
Kernels that the agent was tried on, in virtual machines by emulation, and releases whose systemd and
programs it was tried with, in containers on one more kernel
([scripts/vm](../../scripts/vm/README.md)). A row is the latest run of a check. Other kernels may work; \`agent doctor\` tells. Not tried: Linux 5.8 and 5.9 (no Debian release has them),
kernels of Red Hat and Ubuntu, a real suspend, CPU shares (an emulated machine has none that mean
anything).

${sections.join('\n')}`
}

function whatOf(check: string): string {
  return CHECKS.find(({ name }) => name === check)?.what ?? check
}

function countedOf({ made, counted }: Result): string {
  return made === undefined ? '' : `${grouped(counted ?? 0)} of ${grouped(made)}`
}

function verdict(result: Result): string {
  const { met, unmet } = result
  return passed(result) ? `ok (${met})` : `not ok: ${unmet.join('; ') || 'nothing was expected'}`
}

function grouped(n: number): string {
  return n.toLocaleString('en-US')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
