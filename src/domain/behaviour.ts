/**
 * Malicious behaviours. A class marked malicious is one of these, with its default severity and its
 * ATT&CK techniques (v19.2). `agent policy` changes severities on a host; this table is the
 * default.
 *
 * `tool-use` is the behaviour of a dual-use tool by itself (nc, dig, socat, a load generator): an
 * observation, not an alert, unless the tool has another name or shows one of the other behaviours.
 */

export const SEVERITIES = ['critical', 'high', 'medium', 'low'] as const
export type Severity = (typeof SEVERITIES)[number]

export const BEHAVIOUR_IDS = [
  'file-encryption',
  'reverse-shell',
  'crypto-miner',
  'web-shell',
  'credential-access',
  'password-guessing',
  'password-cracking',
  'dns-tunnel',
  'exfiltration',
  'blinding',
  'agent-blinded',
  'network-relay',
  'fork-storm',
  'network-scan',
  'enumeration',
  'tool-use',
] as const
export type BehaviourId = (typeof BEHAVIOUR_IDS)[number]

export interface Behaviour {
  readonly id: BehaviourId
  /** Completes the sentence "behaves like <name>". */
  readonly name: string
  readonly severity: Severity
  /** ATT&CK v19.2 technique ids. */
  readonly techniques: readonly string[]
}

export const BEHAVIOURS: Readonly<Record<BehaviourId, Behaviour>> = {
  'file-encryption': behaviour('file-encryption', 'file encryption', 'critical', ['T1486']),
  'reverse-shell': behaviour('reverse-shell', 'reverse shell', 'critical', ['T1059.004', 'T1095']),
  'crypto-miner': behaviour('crypto-miner', 'crypto miner', 'critical', ['T1496.001']),
  'web-shell': behaviour('web-shell', 'web shell', 'high', ['T1505.003']),
  'credential-access': behaviour('credential-access', 'credential scraping', 'high', [
    'T1552.001',
    'T1005',
  ]),
  'password-guessing': behaviour('password-guessing', 'password guessing', 'high', ['T1110.001']),
  'password-cracking': behaviour('password-cracking', 'password cracking', 'high', ['T1110.002']),
  'dns-tunnel': behaviour('dns-tunnel', 'DNS tunnel', 'high', ['T1071.004']),
  exfiltration: behaviour('exfiltration', 'data exfiltration', 'high', ['T1048']),
  blinding: behaviour('blinding', 'blinding of this agent', 'high', ['T1685']),
  /** Of the agent itself: what it watches cannot be seen, whoever is the cause. */
  'agent-blinded': behaviour('agent-blinded', 'blindness of this agent', 'high', ['T1685']),
  'network-relay': behaviour('network-relay', 'network relay', 'medium', ['T1090']),
  'fork-storm': behaviour('fork-storm', 'fork storm', 'medium', ['T1499.001']),
  'network-scan': behaviour('network-scan', 'network scan', 'medium', ['T1046']),
  enumeration: behaviour('enumeration', 'system enumeration', 'low', ['T1082', 'T1087.001']),
  'tool-use': behaviour('tool-use', 'use of a dual-use tool', 'low', []),
}

function behaviour(
  id: BehaviourId,
  name: string,
  severity: Severity,
  techniques: readonly string[],
): Behaviour {
  return { id, name, severity, techniques }
}

/**
 * Completes "behaves like …": names of things have an article, names of activities ("file
 * encryption") have none.
 */
export function behavesLike(name: string): string {
  return /(encryption|access|scraping|guessing|cracking|exfiltration|enumeration)$/.test(name)
    ? name
    : `a ${name}`
}

/** What an alert about a behaviour says after the name of the process. */
export function behavesAs(id: BehaviourId): string {
  return id === 'agent-blinded'
    ? 'cannot see this host'
    : `behaves like ${behavesLike(BEHAVIOURS[id].name)}`
}

export function isBehaviourId(value: unknown): value is BehaviourId {
  return (BEHAVIOUR_IDS as readonly unknown[]).includes(value)
}

export function isSeverity(value: unknown): value is Severity {
  return (SEVERITIES as readonly unknown[]).includes(value)
}

/** < 0 if `a` is more severe. */
export function compareSeverity(a: Severity, b: Severity): number {
  return SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b)
}
