/**
 * Detects by command lines what no count shows, per responsible process (lineage.ts): commands that
 * ask about the host, the same command with one secret after another, names that carry data,
 * and archives that leave for a bare address.
 *
 * Each single command is what people type every day. What is looked for is the combination, within
 * a minute, of commands that one program started. Command lines come from the kernel at the exec,
 * so also from programs that lived for milliseconds; sources that tell none find nothing.
 */
import type { Finding, Proof } from '../domain/finding.ts'
import type { Frame, ProcessActivity } from '../domain/frame.ts'
import { COMMANDERS_MAX, PROCESSES_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Lineage } from './lineage.ts'
import { isShellProgram } from './program-names.ts'
import { COMMANDS } from './thresholds.ts'

/** Questions of an intruder (ATT&CK T1033, T1082, T1087, T1057, T1049, T1016, T1083). */
const DISCOVERY: Readonly<Record<string, RegExp>> = {
  user: /^(id|whoami|groups|logname)\b/,
  accounts: /^((cat|head|tail|less|more|grep) .*\/etc\/passwd|getent (passwd|group))\b/,
  system:
    /^(uname|hostnamectl|lsb_release|arch)\b|^cat \/(etc\/(os-release|issue|hosts)|proc\/version)/,
  processes: /^(ps|pstree|top -b)\b/,
  connections: /^(netstat|ss|lsof -i)\b/,
  network: /^(ifconfig|ip (a|addr|r|route|link|n)|route|arp|hostname -I)\b/,
  sessions: /^(w|who|last|lastlog)$|^last -/,
  privileges: /^(sudo -l|find .*-perm|getcap|crontab -l)\b/,
  files: /^ls (-\w+ )*\/(home|root|etc|var|tmp|opt|$| |usr\/local)/,
}
/** Kinds of questions of which one has to be among them. */
const PERSONAL = ['user', 'accounts']

const PASSES_SECRET = /\*\*\*/
/** Tokens of a session are new each time by design. */
const PASSES_TOKEN = /authorization|bearer|token|api[-_]?key/i
/** Asks for a password on its standard input, so its arguments are always the same. */
const ASKS_FOR_PASSWORD = /^(su|sudo (-\S+ )*(-\w*S\w*|--stdin))( |$)/
const ROOT = 0

const ASKS_NAME_SERVER =
  /^(dig|drill|kdig|host|nslookup|getent|ping6?|resolvectl|delv|dnsget|adnshost)\b/
/** A label of a name in which data is hidden; those of people and of clouds are shorter. */
const CARRIES_DATA = /(?:^|[\s.])([\w+/=-]{40,63})\.[\w-]+\./

const MAKES_ARCHIVE =
  /^(tar (-?\w*c|--create|-\w* -c)|zip |7z[az]? a |gpg .*(-c|--symmetric)\b|base64 |rar a )/
const ADDRESS = /(?:^|[\s/@:])(?!127\.)(\d{1,3}(?:\.\d{1,3}){3})(?=$|[\s:/])/
const SENDS_FILE =
  /^(curl\b.*(\s-T|\s--upload-file|\s-F\s|\s--form|@)|wget .*--post-file|(nc|ncat|netcat|nc\.\w+|socat|openssl s_client) )/
const LISTENS_OR_PROBES = /\s-\w*[lz]\w*(\s|$)|LISTEN|\s-e\s/

export interface Discovery {
  readonly process: Process
  /** Kinds of questions that it asked. */
  readonly asked: readonly string[]
  /** How many of late, the older ones counted less. */
  readonly questions: number
}

export interface CommandFindings {
  readonly proofs: Proof[]
  /** Who asks where he is; whether that is odd depends on who he is. */
  readonly discoveries: Discovery[]
}

interface Commander {
  /** As it was seen last. */
  process: Process
  /** Questions of late, and the second of the latest. */
  questions: number
  last: number
  /** Kind of question, archive or send → second of the latest. */
  readonly latest: Map<string, number>
  /** Address of the latest send. */
  sentTo: string
  /** Command → second by digest, or by process where that tells them apart. */
  readonly tries: Map<string, Map<number | string, number>>
  readonly told: Set<string>
}

export class Commands {
  readonly #lineage: Lineage
  /** Digest of the latest command of a process. */
  readonly #known = new Map<ProcessKey, number>()
  readonly #commanders = new Map<ProcessKey, Commander>()

  constructor(lineage: Lineage) {
    this.#lineage = lineage
  }

  /** Frames in ascending order; the lineage has seen this one. */
  push(frame: Frame): CommandFindings {
    const found: CommandFindings = { proofs: [], discoveries: [] }
    for (const process of frame.processes) {
      const { command, pid } = process
      if (command === undefined || pid < 0) continue
      const key = processKey(process)
      if (this.#known.get(key) === command.digest) continue
      this.#known.set(key, command.digest)
      this.#note(process, frame.index, found)
    }
    for (const activity of frame.activity ?? []) this.#noteSender(activity, frame.index, found)
    while (this.#known.size > PROCESSES_MAX) this.#known.delete(this.#known.keys().next().value!)
    return found
  }

  #note(process: Process, second: number, found: CommandFindings): void {
    const text = commandOf(process.command!.text)
    const one = this.#at(process)
    for (const finding of [
      ...triesSecrets(one, text, process, second),
      ...hidesData(one, text, second),
      ...sendsArchive(one, text, second),
    ])
      this.#tell(one, finding, found)
    const asked = asksAround(one, text, second)
    if (asked === undefined) return
    found.discoveries.push({ process: one.process, asked, questions: one.questions })
    if (asked.length < COMMANDS.enumeration || !asked.includes('privileges')) return
    const because = `runs commands that ask for ${asked.join(', ')} within a minute`
    this.#tell(one, { question: 'enumeration', says: 'supports', because }, found)
  }

  /** A shell's own connection (/dev/tcp), and that of an archiver which inherited it. */
  #noteSender(
    { process, contacts, peer }: ProcessActivity,
    second: number,
    found: CommandFindings,
  ) {
    const address = contacts === 0 ? undefined : ADDRESS.exec(peer)?.[1]
    if (address === undefined || process.pid <= 0) return
    const { exe = '', name, command } = process
    const isShell = isShellProgram(exe === '' ? name : exe.slice(exe.lastIndexOf('/') + 1))
    if (!isShell && !MAKES_ARCHIVE.test(commandOf(command?.text ?? ''))) return
    const one = this.#at(process)
    noteSend(one, address, second)
    for (const finding of archiveSent(one, second)) this.#tell(one, finding, found)
  }

  #tell(one: Commander, finding: Finding, { proofs }: CommandFindings): void {
    if (one.told.has(finding.question)) return
    one.told.add(finding.question)
    proofs.push({ process: one.process, finding })
  }

  #at(process: Process): Commander {
    const responsible = this.#lineage.responsible(process)
    const key = processKey(responsible)
    const one = this.#commanders.get(key) ?? {
      ...{ process: responsible, latest: new Map(), tries: new Map(), told: new Set() },
      ...{ questions: 0, last: 0, sentTo: '' },
    }
    one.process = responsible
    this.#commanders.delete(key)
    this.#commanders.set(key, one)
    if (this.#commanders.size > COMMANDERS_MAX)
      this.#commanders.delete(this.#commanders.keys().next().value!)
    return one
  }
}

/** Without the directory of the program. */
function commandOf(text: string): string {
  return text.replace(/^\S*\/(?=[^/\s]+(\s|$))/, '')
}

/** Kinds of questions of late, where another one has come. */
function asksAround(one: Commander, text: string, second: number): string[] | undefined {
  const kind = Object.keys(DISCOVERY).find((name) => DISCOVERY[name]!.test(text))
  if (kind === undefined) return undefined
  one.latest.set(kind, second)
  one.questions = one.questions * COMMANDS.questionsKept ** Math.max(0, second - one.last) + 1
  one.last = second
  const kinds = Object.keys(DISCOVERY).filter((name) => isRecent(one.latest.get(name), second))
  const isMuch = kinds.length >= COMMANDS.questions && kinds.some((name) => PERSONAL.includes(name))
  return isMuch ? kinds : undefined
}

function* triesSecrets(
  one: Commander,
  text: string,
  { pid, uid, command }: Process,
  second: number,
): Generator<Finding> {
  const isAsked = ASKS_FOR_PASSWORD.test(text) && uid !== undefined && uid !== ROOT
  if (!isAsked && (!PASSES_SECRET.test(text) || PASSES_TOKEN.test(text))) return
  const count = countOf(one, `tries ${text}`, isAsked ? pid : command!.digest, second)
  if (count < COMMANDS.tries) return
  // The program alone: what it is given leaves the host only where command lines may.
  const [program] = text.split(/\s/, 1)
  const what = isAsked
    ? `calls ${program} ${count} times`
    : `tries ${count} secrets with ${program}`
  yield proves('password-guessing', `${what} within a minute`)
}

function* hidesData(one: Commander, text: string, second: number): Generator<Finding> {
  const label = ASKS_NAME_SERVER.test(text) ? CARRIES_DATA.exec(text)?.[1] : undefined
  if (label === undefined) return
  const count = countOf(one, 'names', label, second)
  if (count >= COMMANDS.dataNames)
    yield proves('dns-tunnel', `asked for ${count} names with labels of 40 and more characters`)
}

/** Administrators move archives, too: it is listed, without a notification. */
function* sendsArchive(one: Commander, text: string, second: number): Generator<Finding> {
  if (MAKES_ARCHIVE.test(text)) one.latest.set('archive', second)
  const address = ADDRESS.exec(text)?.[1]
  if (address !== undefined && SENDS_FILE.test(text) && !LISTENS_OR_PROBES.test(text))
    noteSend(one, address, second)
  yield* archiveSent(one, second)
}

/** Only the latest: a loop over addresses must not fill the memory. */
function noteSend(one: Commander, address: string, second: number): void {
  one.latest.set('send', second)
  one.sentTo = address
}

function* archiveSent(one: Commander, second: number): Generator<Finding> {
  if (!isRecent(one.latest.get('archive'), second) || !isRecent(one.latest.get('send'), second))
    return
  yield {
    question: 'exfiltration',
    says: 'supports',
    because: `makes an archive and sends a file to ${one.sentTo}, an address without a name`,
  }
}

function countOf(one: Commander, what: string, id: number | string, second: number): number {
  const seconds = one.tries.get(what) ?? new Map<number | string, number>()
  one.tries.delete(what)
  one.tries.set(what, seconds)
  if (one.tries.size > 32) one.tries.delete(one.tries.keys().next().value!)
  seconds.delete(id)
  seconds.set(id, second)
  for (const [other, at] of seconds) {
    if (isRecent(at, second) && seconds.size <= 64) break
    seconds.delete(other)
  }
  return seconds.size
}

/** A second that lies ahead is of before the clock was set back, and not recent. */
function isRecent(at: number | undefined, second: number): boolean {
  return at !== undefined && at <= second && second - at <= COMMANDS.window
}

function proves(question: Finding['question'], because: string): Finding {
  return { question, says: 'proves', because }
}
