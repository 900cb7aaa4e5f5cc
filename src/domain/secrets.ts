/**
 * Files that hold secrets, known by the last six bytes of their path, in kinds. The kernel source
 * tells which kinds a process opened in a second (ATT&CK T1552.001, T1552.004, T1555.003, T1003.008).
 *
 * One kind by itself is what a program is for: ssh reads keys, a browser its passwords. Who opens
 * several kinds gathers them.
 */
export const SECRET_KINDS = [
  { name: 'SSH keys', suffixes: ['id_rsa', 'id_dsa', '_ecdsa', 'd25519'] },
  { name: 'password hashes', suffixes: ['shadow'] },
  { name: 'environments of processes', suffixes: ['nviron'] },
  { name: 'cloud and Git credentials', suffixes: ['ntials'] },
  { name: 'logins of FTP and databases', suffixes: ['.netrc', 'pgpass', 'my.cnf'] },
  { name: 'shell histories', suffixes: ['istory'] },
  { name: 'browser passwords', suffixes: ['n Data', 'ey4.db', 'ookies'] },
] as const

/** Of a path. */
export const SUFFIX_CHARS = 6

/** Whether a path ends like one of them. */
export function isSecretPath(path: string): boolean {
  return SECRET_KINDS.some(({ suffixes }) => suffixes.some((suffix) => path.endsWith(suffix)))
}

/** Names of the kinds whose bits are set. */
export function secretKinds(bits: number): string[] {
  return SECRET_KINDS.filter((_, i) => (bits & (1 << i)) !== 0).map(({ name }) => name)
}
