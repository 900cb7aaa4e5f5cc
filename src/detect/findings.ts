/**
 * Derives findings from facts about a process: what they prove, support or refute, one clause each.
 *
 * Pure. Each rule was checked on benign activity first: what developers and administrators do every
 * day is no evidence, or supports at most. A name refutes nothing by itself, a verified file does:
 * an unmodified program under its own name is no masquerade, whatever a model says that it
 * resembles.
 */

import type { Finding } from '../domain/finding.ts'
import type { Process } from '../domain/process.ts'
import type {
  Connection,
  Contacts,
  Executable,
  FileChanges,
  Look,
  ProcessFacts,
  Program,
  Relay,
} from '../domain/process-facts.ts'
import {
  canBeNamed,
  isDaemonName,
  isInterpreterProgram,
  isKernelThreadName,
  isListedAsKernelThread,
  isManyPrograms,
  isRelayTool,
  isShellProgram,
  isWebServerName,
} from './program-names.ts'
import {
  ANSWERED,
  ENCRYPTED_FILES,
  FEW_CONNECTS,
  FEW_ENDS,
  FEW_QUERIES,
  GUESSED_ENDS,
  MANY_CONNECTS,
  ORDINARY_FILES,
  QUESTIONS_BY_VISITS,
  UNANSWERED,
} from './thresholds.ts'

/**
 * Whether a name is that of a program: one of the model's classes, or one that this host was seen
 * to have.
 */
export type KnowsName = (name: string) => boolean

export function findingsOf(process: Process, facts: ProcessFacts, knows: KnowsName): Finding[] {
  return [
    ...kernelThread(process, facts),
    ...masquerade(process, facts, knows),
    ...reverseShell(facts),
    ...webShell(facts),
    ...remoteControl(facts),
    ...credentialAccess(facts),
    ...fileEncryption(facts),
    ...miner(process, facts),
    ...refusedLogins(facts),
  ]
}

/** The executable's own name. */
export function fileOf({ path, inMemory }: Executable): string {
  const file = path.slice(path.lastIndexOf('/') + 1)
  return inMemory ? file.replace(/^memfd:/, '') : file
}

// --- Names ---------------------------------------------------------------------------------------

function* kernelThread({ name }: Process, { look }: ProcessFacts): Generator<Finding> {
  if (look === undefined || look.isKernelThread || look.name !== name) return
  if (look.executable === undefined && !look.hasMemory) return
  const what =
    look.executable === undefined ? 'has memory of its own' : `executes ${look.executable.path}`
  if (isKernelThreadName(name))
    yield proves('masquerade', `has the name of a kernel thread and ${what}`)
  // What lists of processes show is the first argument, which anybody may choose.
  else if (isListedAsKernelThread(look.context.command))
    yield proves('masquerade', `is listed as ${look.context.command} and ${what}`)
}

function* masquerade(
  { name }: Process,
  { look, program }: ProcessFacts,
  knows: KnowsName,
): Generator<Finding> {
  const executable = look?.executable
  if (look === undefined || executable === undefined || program === undefined) return
  // Renamed between the counts and the look: the next one tells.
  if (look.name !== name || isKernelThreadName(name)) return
  const file = fileOf(executable)
  const { path } = executable
  const isScript = look.script !== undefined && canBeNamed(name, fileName(look.script))
  const isOwnName = canBeNamed(name, file) || program.isAlias || isManyPrograms(file)
  const claims = isDaemonName(name) || knows(name) || program.namesake !== undefined
  const { state, copyOf } = program
  // Whoever runs a copy of a program from memory hides it, whatever he calls it.
  if (copyOf !== undefined && (claims || executable.inMemory)) {
    const original = fileName(copyOf)
    // node and nodejs, a copied python: an interpreter promises nothing under any name of its kind.
    const bothRun = isInterpreterProgram(original) && isInterpreterProgram(name)
    if (!canBeNamed(name, original) && !isManyPrograms(original) && !isScript && !bothRun) {
      yield proves('masquerade', `its executable ${path} is a copy of ${copyOf}`)
      return
    }
  }
  if (state === 'modified')
    yield supports('masquerade', `${path} is not what package ${program.package} installed`)
  const isStranger = state === 'unowned' || state === 'modified'
  if (isOwnName) {
    // An interpreter under its own name claims nothing that could be refuted.
    if (state === 'verified' && !isInterpreterProgram(file))
      yield refutes('masquerade', `${path} is the unmodified file of package ${program.package}`)
    // What root put into /usr/local or /opt is as ordinary as a package: most images of containers
    // are made so.
    const isPlaced = program.isRoots === true && executable.place === 'other'
    const isRunnable = isManyPrograms(file) || isInterpreterProgram(file)
    if (state === 'unowned' && claims && !isPlaced && !isRunnable)
      yield supports('masquerade', `no package owns ${path}`)
  } else if (isScript) {
    if (look.script !== undefined && program.script === 'verified' && state === 'verified')
      yield refutes('masquerade', `${look.script} is the unmodified file of a package`)
  } else if (isDaemonName(name) && isStranger && !isInterpreterProgram(file)) {
    yield proves(
      'masquerade',
      `its name is ${name} and its executable ${path} belongs to no package`,
    )
  } else if (isDaemonName(name) && isInterpreterProgram(file) && program.script !== 'verified') {
    // A packaged daemon written in a script language sets its name as well; its script is verified.
    yield supports('masquerade', `its name is ${name} and it is run by ${path}`)
  } else if (claims && state !== 'verified') {
    yield supports('masquerade', `its name is ${name} and its executable is ${path}`)
  }
  if (!isStranger) return
  if (executable.inMemory) yield supports('masquerade', 'was executed from memory, without a file')
  else if (executable.deleted) yield supports('masquerade', `its executable ${path} was deleted`)
  else if (executable.place !== 'other' && executable.place !== 'system')
    yield supports('masquerade', `executes ${path}, a place for ${PLACES[executable.place]}`)
}

const PLACES = {
  temporary: 'temporary files',
  web: 'pages of a web server',
  hidden: 'what lists do not show',
} as const

function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

// --- Shells --------------------------------------------------------------------------------------

function* reverseShell({ look, streams }: ProcessFacts): Generator<Finding> {
  const executable = look?.executable
  if (executable === undefined || streams === undefined) return
  const file = fileOf(executable)
  if (!isInterpreterProgram(file)) return
  const { connection, relays, peers } = streams
  if (connection?.isOutgoing === true) {
    const kind = connection.isDatagram === true ? 'UDP socket' : 'TCP connection'
    const because = `standard input and output of ${file} are one ${kind} to ${connection.remote}`
    yield connection.isDoubtful === true
      ? supports('reverse-shell', because)
      : proves('reverse-shell', because)
    return
  }
  if (connection !== undefined || !isShellProgram(file)) return
  const found =
    interactive(look!, relays) ??
    relays.map(relayed).find((finding) => finding !== undefined) ??
    halves(relays)
  if (found !== undefined) yield found
  else if (peers.length > 0)
    yield supports('reverse-shell', `${file} itself holds a TCP connection to ${peers[0]}`)
}

/** `sh -i` for a person without a terminal: the person is at the other end of a connection. */
function interactive({ context, streams }: Look, relays: readonly Relay[]): Finding | undefined {
  const isAsked = /^\S+ (-\w+ )*-\w*i\w*$/.test(context.command ?? '')
  if (!isAsked || streams[0]?.kind === 'pty') return undefined
  const relay = relays.find((one) => one.holds !== 'terminal' && isFromOutside(one))
  const outgoing = relay?.connections.find(({ isOutgoing }) => isOutgoing)
  if (relay === undefined || outgoing === undefined) return undefined
  return proves(
    'reverse-shell',
    `is interactive without a terminal, for ${relay.name} (${relay.pid}) with a connection to ${outgoing.remote}`,
  )
}

function relayed(relay: Relay): Finding | undefined {
  const { holds, standard, connections, isListening, state, executable } = relay
  if (holds === 'half' || executable === undefined) return undefined
  const file = fileOf(executable)
  const outgoing = connections.find(
    ({ isOutgoing, isDoubtful }) => isOutgoing && isDoubtful !== true,
  )
  if (outgoing === undefined || isListening) return undefined
  const isTool = isRelayTool(file) || isRelayTool(relay.name)
  const isInterpreter = isInterpreterProgram(file)
  const isStranger = state === 'unowned' || state === 'modified'
  const through = `${relay.name} (${relay.pid}) to ${(standard ?? outgoing).remote}`
  // sshd, tmux, a terminal: a program of a package whose work it is to hold shells.
  if (!isTool && !isInterpreter && !isStranger) return undefined
  const what = holds === 'terminal' ? 'terminal is relayed' : 'input and output are relayed'
  const abroad = outgoing.isLoopback ? undefined : outgoing
  switch (holds) {
    case 'terminal': {
      // What people write programs with holds terminals beside connections of its own.
      const isOdd =
        isStranger && (executable.place !== 'other' || executable.deleted || executable.inMemory)
      if (standard?.isOutgoing === true || isTool || (isOdd && isFew(connections)))
        return proves('reverse-shell', `its ${what} by ${through}`)
      return isFew(connections) && abroad !== undefined
        ? supports('reverse-shell', `its ${what} by ${through}`)
        : undefined
    }
    case 'pipes':
      return isTool || standard?.isOutgoing === true
        ? proves('reverse-shell', `its ${what} by ${through}`)
        : supports('reverse-shell', `its ${what} by ${through}`)
    case 'parent':
      // A service that runs commands looks like this, too, and holds a connection to its database.
      if (isTool) return proves('reverse-shell', `its ${what} by ${through}`)
      return isStranger && isFew(connections) && abroad !== undefined
        ? supports('reverse-shell', `its ${what} by ${through}`)
        : undefined
  }
}

/** telnet host 1 | sh | telnet host 2 */
function halves(relays: readonly Relay[]): Finding | undefined {
  const tools = relays.filter(
    ({ holds, executable, name }) =>
      holds === 'half' &&
      executable !== undefined &&
      (isRelayTool(fileOf(executable)) || isRelayTool(name)),
  )
  const hosts = tools.map(({ connections }) => connections.find(({ isOutgoing }) => isOutgoing))
  const [first, second] = hosts
  if (first === undefined || second === undefined || hostOf(first) !== hostOf(second))
    return undefined
  return proves(
    'reverse-shell',
    `its input comes from ${first.remote}, its output goes to ${second.remote}`,
  )
}

function hostOf({ remote }: Connection): string {
  return remote.slice(0, remote.lastIndexOf(':'))
}

/** A program with many connections has other work than this shell. */
function isFew(connections: readonly Connection[]): boolean {
  return connections.length <= 2
}

function* webShell({ look }: ProcessFacts): Generator<Finding> {
  const executable = look?.executable
  if (executable === undefined || !isShellProgram(fileOf(executable))) return
  const server = look?.context.parents?.slice(0, 2).find(({ name }) => isWebServerName(name))
  if (server !== undefined)
    yield supports('web-shell', `a shell below ${server.name} (${server.pid})`)
}

/**
 * Questions of somebody who came from outside, asked by a program that he reaches. An agent of a
 * package (monitoring, configuration) asks them for its own purposes.
 */
function* remoteControl({
  look,
  program,
  network,
  streams,
  asked,
  contacted,
}: ProcessFacts): Generator<Finding> {
  const executable = look?.executable
  if (executable === undefined || network === undefined || asked === undefined) return
  const file = fileOf(executable)
  if (isPackaged(file, program)) return
  const what = `runs commands that ask for ${asked.join(', ')}`
  const outgoing = network.connections.find(({ isOutgoing }) => isOutgoing)
  if (network.isListening) {
    yield proves('web-shell', `${what}, and serves connections`)
    return
  }
  if (outgoing !== undefined) {
    if (isFew(network.connections))
      yield proves('reverse-shell', `${what}, and holds a connection to ${outgoing.remote}`)
    return
  }
  const relay = isShellProgram(file)
    ? streams?.relays.find(
        (one) => isFromOutside(one) && (one.holds !== 'terminal' || isTerminalOfScript(one)),
      )
    : undefined
  const through = relay?.connections.find(({ isOutgoing }) => isOutgoing)
  if (relay !== undefined && through !== undefined)
    yield proves(
      'reverse-shell',
      `${what}, told by ${relay.name} (${relay.pid}) to ${through.remote}`,
    )
  // An inventory of one's own asks a few questions and reports the answers.
  else if (contacted !== undefined && asked.length >= QUESTIONS_BY_VISITS)
    yield proves('reverse-shell', `${what}, and turns to ${contacted} again and again`)
}

/**
 * The terminal's other end: a script that has one for nobody here. Programs of node hold terminals
 * for developers beside connections of their own.
 */
function isTerminalOfScript({ holds, executable, connections }: Relay): boolean {
  return (
    holds === 'terminal' &&
    executable !== undefined &&
    /^(python|perl|ruby|php|tclsh|lua)/.test(fileOf(executable)) &&
    connections.every(({ isLoopback }) => !isLoopback)
  )
}

/** It takes orders over a connection of its own, and hands them on. */
function isFromOutside({ connections, isListening, state, executable, name }: Relay): boolean {
  if (isListening || executable === undefined) return false
  const outgoing = connections.find(
    ({ isOutgoing, isDoubtful }) => isOutgoing && isDoubtful !== true,
  )
  const file = fileOf(executable)
  const mayRelay = isRelayTool(file) || isRelayTool(name) || isInterpreterProgram(file)
  const isStranger = state === 'unowned' || state === 'modified'
  return outgoing !== undefined && isFew(connections) && (mayRelay || isStranger)
}

/** A backup program reads everything, secrets too. */
function* credentialAccess({ look, program, secrets }: ProcessFacts): Generator<Finding> {
  const executable = look?.executable
  if (executable === undefined || secrets === undefined) return
  if (isPackaged(fileOf(executable), program)) return
  yield proves('credential-access', `opened ${secrets.join(', ')} within a minute`)
}

/** The unmodified program of a package; of an interpreter its script is the program. */
function isPackaged(file: string, program: Program | undefined): boolean {
  if (program === undefined || program.state !== 'verified') return false
  return isInterpreterProgram(file) ? program.script === 'verified' : true
}

// --- Files ---------------------------------------------------------------------------------------

function* fileEncryption({ files, unlinked = 0, removed = 0 }: ProcessFacts): Generator<Finding> {
  if (files === undefined) return
  const { sampled, encrypted, replaced, ciphers, gone, isWithin, examples, directory } = files
  const isWork = writesUnreadable(files) || (removed > 0 && isWithin && !writesReadable(files))
  const where = `in ${directory}: ${examples.join(', ')}`
  if (encrypted >= ENCRYPTED_FILES && isWork)
    yield proves(
      'file-encryption',
      `${encrypted} of ${sampled} files that it changed became unreadable ${where}`,
    )
  else if (encrypted + replaced >= 2 * ENCRYPTED_FILES && unlinked >= ENCRYPTED_FILES && isWork)
    yield proves(
      'file-encryption',
      `${encrypted + replaced} files were replaced by unreadable ones ${where}`,
    )
  // Archives in place of what they were made of: a job that packs what it has made itself removes
  // nothing that is older than it.
  else if (ciphers >= ENCRYPTED_FILES && Math.min(gone, unlinked) >= 2 * ENCRYPTED_FILES && isWork)
    yield proves(
      'file-encryption',
      `${gone} readable files were removed beside ${ciphers} unreadable ones that came ${where}`,
    )
  else if (encrypted + replaced > 0)
    yield supports('file-encryption', `${encrypted + replaced} files became unreadable ${where}`)
  else if (encrypted === 0 && sampled >= ORDINARY_FILES)
    yield refutes('file-encryption', `${sampled} files that it changed are as readable as before`)
}

/**
 * Who works beside an encryptor, or only looks on, has the same files before him: what he writes
 * himself tells them apart. One that encrypts and decrypts in turns leaves some readable.
 */
function writesUnreadable({ written, unreadable }: FileChanges): boolean {
  return unreadable > 0 && 4 * unreadable >= written
}

function writesReadable({ written, unreadable }: FileChanges): boolean {
  return written >= ENCRYPTED_FILES && unreadable === 0
}

// --- Computing -----------------------------------------------------------------------------------

/** Ports that pools of miners listen on, and little else. */
const POOL_PORT =
  /:(3333|3334|4444|5555|6666|7777|9999|14433|14444|45560|45700|20128|10128|3357|18081|20535)$/
/** Named as what they are: a package of one is no excuse. */
const MINERS =
  /^(xmr|xmrig|cpuminer|minerd|ccminer|cgminer|bfgminer|ethminer|nbminer|lolMiner|t-rex)/

function* miner({ name }: Process, facts: ProcessFacts): Generator<Finding> {
  const { look, program, network, parentNetwork, cores, pool: phrase = '' } = facts
  const executable = look?.executable
  if (executable === undefined || program === undefined || network === undefined) return
  const file = fileOf(executable)
  const connections = [...network.connections, ...(parentNetwork?.connections ?? [])]
  const pool = connections.find(({ isOutgoing }) => isOutgoing)
  const work = `computes on ${(cores ?? 0).toFixed(1)} cores with next to no input or output`
  // A scanner of malware has such phrases in its memory, too, and no connection.
  if (cores !== undefined && phrase !== '' && pool !== undefined) {
    yield proves(
      'crypto-miner',
      `${work}, connected to ${pool.remote}, with "${phrase}" of the protocol of mining pools in its memory`,
    )
    return
  }
  const { state } = program
  const isStranger = state === 'unowned' || state === 'modified'
  const isHidden =
    isKernelThreadName(name) ||
    (isStranger && !program.isAlias && !canBeNamed(name, file) && look?.script === undefined)
  if (state === 'verified' && !isHidden && !isInterpreterProgram(file) && !MINERS.test(file)) {
    yield refutes(
      'crypto-miner',
      `${executable.path} is the unmodified file of package ${program.package}`,
    )
    return
  }
  // Without the CPU time there is nothing to explain; who serves others computes for them.
  if (cores === undefined || network.isListening || !isFewConnections(connections)) return
  // In a directory for temporary files lies what people try out, too.
  const isOut = executable.place === 'hidden' || executable.place === 'web'
  const isOdd = isStranger && (isOut || executable.deleted || executable.inMemory)
  if (pool === undefined) {
    const how = isStranger && !isInterpreterProgram(file) ? hides(look!, isHidden) : undefined
    if (how !== undefined) yield proves('crypto-miner', `${work}, and ${how}`)
    return
  }
  const what = `${work}, connected to ${pool.remote}`
  const isPool = isStranger && POOL_PORT.test(pool.remote)
  if ((isOdd || isHidden || isPool) && !isInterpreterProgram(file))
    yield proves('crypto-miner', `${what}, and executes ${executable.path}, which no package owns`)
  // A simulation or a renderer of one's own looks like this, too.
  else if (isStranger && !pool.isLoopback) yield supports('crypto-miner', what)
}

/**
 * How a program that computes keeps out of sight; undefined where it does not. A new build replaces
 * the file that runs, and a title that a program gives itself leaves one of its two names.
 */
function hides(
  { executable, context: { command = '' } }: Look,
  hasOtherName: boolean,
): string | undefined {
  const { path, place, inMemory, isGone } = executable!
  if (place === 'hidden') return `executes ${path}, which lists do not show`
  if (inMemory) return `was executed from memory, without a file`
  if (isGone === true) return `its executable ${path} was deleted`
  const [called = ''] = command.split(' ', 1)
  const isCalledSo = canBeNamed(fileName(called.replace(/^-/, '')), fileOf(executable!))
  return hasOtherName && !isCalledSo
    ? `neither its name nor its command line tells that it executes ${path}`
    : undefined
}

// --- Connecting ----------------------------------------------------------------------------------

/** From counts alone, so there is no process to be read. Undefined where they do not answer. */
export function scanFindings({ connects, sends, heard, ends }: Contacts): Finding[] | undefined {
  const perSecond = Math.round(connects / 10)
  // A client of a service that is down.
  if (connects >= FEW_CONNECTS && ends !== undefined && ends < FEW_ENDS)
    return [refutes('network-scan', `turns to ${ends} different remote ends at most`)]
  if (connects >= MANY_CONNECTS && heard < UNANSWERED * connects)
    return [
      supports(
        'network-scan',
        `opens ${perSecond} connections a second and hears nothing over them`,
      ),
    ]
  if (connects + sends < FEW_CONNECTS)
    return [refutes('network-scan', 'turns to others a few times a second at most')]
  if (connects >= FEW_CONNECTS && heard >= ANSWERED * (connects + sends))
    return [refutes('network-scan', 'hears answers over the connections that it opens')]
  // Packets of one's own making need no connect, and their answers no read.
  return connects < FEW_CONNECTS ? undefined : []
}

/** The same of guessing passwords: one service is asked again and again. */
export function guessFindings({ connects, ends }: Contacts): Finding[] {
  if (connects < 1) return [refutes('password-guessing', 'opens no connections')]
  if (ends !== undefined && ends > GUESSED_ENDS)
    return [refutes('password-guessing', `turns to ${ends} different remote ends`)]
  return []
}

/**
 * A page's client without a pool of connections connects as often as who guesses; only the latter is
 * refused each time. (So is a program whose password was changed, and that does not wait.)
 */
function* refusedLogins({ refusal, repeats }: ProcessFacts): Generator<Finding> {
  if (refusal === undefined || refusal === '') return
  if (repeats === undefined) yield supports('password-guessing', `is refused a login (${refusal})`)
  else
    yield proves(
      'password-guessing',
      `connected ${repeats.contacts} times in some ten seconds to ${repeats.peer} and is refused each login (${refusal})`,
    )
}

/** The same of a tunnel: data in names takes queries. */
export function tunnelFindings({ dnsQueries }: Contacts): Finding[] {
  return dnsQueries !== undefined && dnsQueries < FEW_QUERIES
    ? [refutes('dns-tunnel', 'asks for a few names at most')]
    : []
}

/** Kept open to a pool; a service has more. */
function isFewConnections(connections: readonly Connection[]): boolean {
  return connections.length <= 4
}

function proves(question: Finding['question'], because: string): Finding {
  return { question, says: 'proves', because }
}
function supports(question: Finding['question'], because: string): Finding {
  return { question, says: 'supports', because }
}
function refutes(question: Finding['question'], because: string): Finding {
  return { question, says: 'refutes', because }
}
