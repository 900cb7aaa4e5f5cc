/**
 * Lines as sysdig writes them in our own format, made up: enough for a run whose ledger must
 * balance.
 */

/** So many seconds of two ordinary processes, beginning at a second of Unix time. */
export function ownLines(seconds: number, from = 1_700_000_000): string {
  const lines: string[] = []
  for (let t = 0; t < seconds; t++)
    for (let i = 0; i < 20; i++) {
      const time = `${from + t}${String(i * 1_000_000).padStart(9, '0')}`
      const syscall = ['epoll_wait', 'read', 'write', 'futex'][i % 4]
      lines.push(`${time} 812 812 ${syscall} nginx`, `${time} 901 901 ${syscall} redis-server`)
    }
  return `${lines.join('\n')}\n`
}
