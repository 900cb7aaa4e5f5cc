/**
 * Labelled scenarios of a recording ("happenings", docs/reference/formats.md) and their use in
 * training: one malicious class per non-grata behaviour, from its own processes between `from` and
 * `to`; a masquerade whose program is a behaviour adds to that class. The shell that started it,
 * other programs it ran, other masquerades and novelties are excluded from training.
 */
import { PROCESS_ALERT_KINDS } from '../../domain/alert.ts'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import type { Frame } from '../../domain/frame.ts'
import { NAME_BYTES_MAX, TOPIC_PART_CHARS_MAX } from '../../domain/limits.ts'
import type { Process } from '../../domain/process.ts'
import { type Field, type Fields, parseJson, problemText, reading } from '../../domain/untrusted.ts'
import { behaviourOf } from './behaviours.ts'

export type HappeningKind = 'masquerade' | 'non-grata' | 'novelty'

export interface Happening {
  readonly from: number
  readonly to: number
  readonly host: string
  readonly kind: HappeningKind
  readonly scenario: string
  readonly claimed: string | undefined
  readonly program: string
  readonly names: ReadonlySet<string>
  readonly pids: ReadonlySet<number>
}

/** Windows that end this long after a happening still contain its seconds. */
const AFTERGLOW_SECONDS = 10

export async function readHappenings(path: string): Promise<Happening[]> {
  let text: string
  try {
    text = await Bun.file(path).text()
  } catch (cause) {
    throw new AgentError('ERR_INPUT', `Cannot read scenarios "${path}"`, { cause })
  }
  const happenings: Happening[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const read = reading(() => readHappening(parseJson(line)))
    if (!read.ok)
      throw new AgentError(
        'ERR_INPUT',
        `Cannot use line ${i + 1} of scenarios "${path}": ${problemText(read)}`,
        { hint: 'A scenario has from, to, host, kind, scenario, program, names and pids' },
      )
    happenings.push(read.value)
  }
  return happenings
}

function readHappening(line: Fields): Happening {
  const second = (field: Field) => field.integer(0, 1e12)
  return {
    from: second(line.field('from')),
    to: second(line.field('to')),
    host: line.text('host', TOPIC_PART_CHARS_MAX),
    kind: line.oneOf('kind', PROCESS_ALERT_KINDS),
    scenario: line.text('scenario', 256),
    claimed: line.or('claimed', undefined, (field) =>
      field.value === null ? undefined : field.text(NAME_BYTES_MAX),
    ),
    program: line.text('program', 256),
    names: new Set(nameList(line.field('names'))),
    pids: new Set(
      line
        .field('pids')
        .items(Infinity)
        .map((pid) => pid.integer()),
    ),
  }
}

const nameList = (field: Field): string[] =>
  field.items(Infinity).map((name) => name.text(NAME_BYTES_MAX, { empty: true }))

/**
 * Finds the happening that a process belongs to at a time; by host and pid, so that it is cheap.
 */
export class HappeningIndex {
  readonly #byPid = new Map<string, Happening[]>()
  readonly #happenings: readonly Happening[]

  constructor(happenings: readonly Happening[]) {
    this.#happenings = happenings
    for (const happening of happenings)
      for (const pid of happening.pids) {
        const key = `${happening.host} ${pid}`
        const list = this.#byPid.get(key)
        if (list === undefined) this.#byPid.set(key, [happening])
        else list.push(happening)
      }
  }

  at(host: string, process: Process, second: number): Happening | undefined {
    // A group of short-lived processes has its first member's pid, negated (detect/short-lives.ts).
    return this.#byPid
      .get(`${host} ${Math.abs(process.pid)}`)
      ?.find(({ from, to }) => second >= from && second <= to + AFTERGLOW_SECONDS)
  }

  /** Whether anything happened on a host between two seconds. */
  within(host: string, first: number, last: number): boolean {
    return this.#happenings.some(
      (happening) => happening.host === host && happening.from <= last && happening.to >= first,
    )
  }
}

/** A host's frames without the processes of happenings: benign activity. */
export function ordinaryFrames(
  frames: readonly Frame[],
  host: string,
  happenings: HappeningIndex,
): Frame[] {
  return frames.map((frame) => {
    const isOrdinary = (process: Process) => happenings.at(host, process, frame.index) === undefined
    const rows = [...frame.processes.keys()].filter((row) => isOrdinary(frame.processes[row]!))
    const silent = frame.silent?.filter(({ process }) => isOrdinary(process))
    const all = rows.length === frame.processes.length && silent?.length === frame.silent?.length
    return all ? frame : onlyRows(frame, rows, silent)
  })
}

function onlyRows(frame: Frame, rows: readonly number[], silent: Frame['silent']): Frame {
  const offsets = new Uint32Array(rows.length + 1)
  const syscalls: number[] = []
  const counts: number[] = []
  rows.forEach((row, i) => {
    for (let k = frame.offsets[row]!; k < frame.offsets[row + 1]!; k++) {
      syscalls.push(frame.syscalls[k]!)
      counts.push(frame.counts[k]!)
    }
    offsets[i + 1] = syscalls.length
  })
  return {
    index: frame.index,
    processes: rows.map((row) => frame.processes[row]!),
    offsets,
    syscalls: Uint16Array.from(syscalls),
    counts: Uint32Array.from(counts),
    lost: frame.lost,
    ...(frame.cpuMs === undefined
      ? {}
      : { cpuMs: Uint32Array.from(rows, (i) => frame.cpuMs![i]!) }),
    ...defined({ silent }),
  }
}

/** The malicious class, if any, of a window of a process within a happening. */
export class MaliciousPrograms {
  readonly #ordinary: ReadonlySet<string>
  readonly #isGeneric: (name: string) => boolean
  readonly #own = new Map<Happening, ReadonlySet<string>>()

  /**
   * @param ordinary names of processes outside any happening
   * @param isGeneric whether a name is a shell's or an interpreter's
   */
  constructor(ordinary: ReadonlySet<string>, isGeneric: (name: string) => boolean) {
    this.#ordinary = ordinary
    this.#isGeneric = isGeneric
  }

  /** The program of the window; undefined if the window is not used for training. */
  at(happening: Happening, name: string, second: number): string | undefined {
    if (second > happening.to) return undefined
    if (happening.kind === 'masquerade')
      return behaviourOf(happening.program) !== undefined && name === happening.claimed
        ? happening.program
        : undefined
    if (happening.kind !== 'non-grata') return undefined
    let own = this.#own.get(happening)
    if (own === undefined) {
      own = ownNames(happening, this.#ordinary, this.#isGeneric)
      this.#own.set(happening, own)
    }
    return own.has(name) ? happening.program : undefined
  }
}

/**
 * Names of a happening that are the program's own. A `tar` run by an exfiltration is still `tar`:
 * trained as malicious, it would make every backup an alert. A program without a name of its own (a
 * reverse shell is a shell) has its shells and interpreters as well.
 */
export function ownNames(
  { names, program }: Happening,
  ordinary: ReadonlySet<string>,
  isGeneric: (name: string) => boolean,
): ReadonlySet<string> {
  const own = [...names].filter((name) => !ordinary.has(name))
  if (own.includes(program)) return new Set(own)
  const all = [...own, ...[...names].filter((name) => ordinary.has(name) && isGeneric(name))]
  return all.length > 0 ? new Set(all) : names
}
