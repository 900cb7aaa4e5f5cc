/**
 * Maps the program of a labelled scenario to a behaviour, so that a class is "file encryption" and
 * not one script that does it. New recordings have the behaviour as their program; the first
 * laboratories have the tool. A program that is neither becomes a malicious class of its own.
 *
 * A dual-use tool by itself is `tool-use`, whatever the scenario did with it: its calls are those
 * of its ordinary use.
 */
import { type BehaviourId, isBehaviourId } from '../../domain/behaviour.ts'

const OF_PROGRAM: Readonly<Record<string, BehaviourId>> = {
  'ransom.py': 'file-encryption',
  'ransom.sh': 'file-encryption',
  bash: 'reverse-shell',
  py: 'reverse-shell',
  pypty: 'reverse-shell',
  ruby: 'reverse-shell',
  miner: 'crypto-miner',
  php: 'web-shell',
  'scrape.py': 'credential-access',
  'credential-crawl': 'credential-access',
  hydra: 'password-guessing',
  medusa: 'password-guessing',
  john: 'password-cracking',
  'forks.sh': 'fork-storm',
  masscan: 'network-scan',
  nmap: 'network-scan',
  'port-scan': 'network-scan',
  relay: 'network-relay',
  'enumerate.sh': 'enumeration',
  'linpeas.sh': 'enumeration',
  dig: 'tool-use',
  nc: 'tool-use',
  socat: 'tool-use',
  'stress-ng': 'tool-use',
}

/** The behaviour of a scenario's program; undefined if unknown. */
export function behaviourOf(program: string): BehaviourId | undefined {
  if (isBehaviourId(program)) return program
  return Object.hasOwn(OF_PROGRAM, program) ? OF_PROGRAM[program] : undefined
}

/**
 * Names of single-purpose tools. The claimed name of such a process is accepted; names that benign
 * programs have as well (nc, bash, openssl) are left out.
 */
export const TOOL_NAMES: Readonly<Partial<Record<BehaviourId, readonly string[]>>> = {
  'crypto-miner': ['xmrig', 'kdevtmpfsi', 'kinsing', 'minerd', 'cpuminer', 'ccminer', 'ethminer'],
  'password-guessing': ['hydra', 'medusa', 'ncrack', 'patator', 'crowbar'],
  'password-cracking': ['john', 'hashcat', 'rarcrack', 'fcrackzip', 'pdfcrack'],
  'network-scan': ['nmap', 'masscan', 'zmap', 'unicornscan', 'hping3', 'rustscan'],
  'dns-tunnel': ['iodine', 'iodined', 'dns2tcpc', 'dns2tcpd', 'dnscat'],
  enumeration: ['linpeas.sh', 'enumerate.sh', 'linenum.sh'],
}
