/**
 * `agent status`: the ledger of the agent of one state directory. observed = counted + dropped, and
 * created = acknowledged + queued + merged + given up; a difference would be a defect of ours.
 */
import { defineCommand } from 'citty'
import {
  blindWords,
  type CommonStatus,
  collectorWords,
  type SendingStatus,
  type StatusDocument,
} from '../agent/status-document.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import type { FleetState } from '../domain/fleet-state.ts'
import { readSavedStatus, type SavedStatus } from '../operate/saved-status.ts'
import { loadSettings } from '../settings/settings.ts'
import { columns, jsonArg, paintFor, safeText, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'status',
    description:
      'Shows the ledger: calls seen, counted, dropped; messages sent; exit code 4 if there is none',
    examples: ['agent status', 'agent status --state /tmp/try --json | jq .dropped'],
  },
  args: { ...settingArgs('state'), ...jsonArg },
  async run({ args }) {
    const directory = loadSettings(args).settings.state
    const saved = readSavedStatus(directory, Date.now())
    if (saved === undefined)
      throw new AgentError('ERR_NOT_RUNNING', `No agent has run with state "${directory}"`, {
        hint: 'Start it with "agent watch", or name its directory with --state DIR',
      })
    const { state, pid, savedMs, status } = saved
    if (args.json) await writeJson({ state, pid, savedMs, ...status })
    const { text, isWell } = readable(saved)
    if (!args.json) await writeOut(text)
    return state === 'killed' || !isWell ? EXIT.degraded : EXIT.ok
  },
})

/**
 * The document as a person reads it, and whether all is well.
 * @throws AgentError where it is no whole document: of another version, or damaged
 */
export function readable(saved: SavedStatus): { readonly text: string; readonly isWell: boolean } {
  try {
    return { text: shown(saved), isWell: isWell(saved.status) }
  } catch (cause) {
    throw new AgentError('ERR_FAILED', 'Cannot show the saved status: it is not whole', {
      hint: 'It is damaged, or of another version; --json shows it as it is, a running agent writes it anew',
      cause,
    })
  }
}

/**
 * Disk trouble, lost calls, seconds that failed and a cap that costs judgements are worth an exit
 * code; a broker that is away is not, for its queue is what it is there for.
 */
function isWell(status: SavedStatus['status']): boolean {
  const { dropped } = status
  const isReduced =
    'governor' in status && (status.buffer.problem !== undefined || status.governor.level > 0)
  return (
    !isReduced &&
    status.sight?.blind?.isSure !== true &&
    status.unjudged.error === undefined &&
    !Object.keys(dropped).some((reason) => reason.startsWith('lost('))
  )
}

function shown(saved: SavedStatus): string {
  const { status } = saved
  const { source, publisher, cost, collector } = status
  const blind = status.sight === undefined ? '' : blindWords(status.sight)
  const dropped = [...withReasons(status.dropped, status.samples)]
  const { red } = paintFor()
  const isSending = 'vectors' in status
  const rows: string[][] = [
    ['agent', agentWords(saved)],
    ['host', `${safeText(status.site)}/${safeText(status.host)}`],
    ['source', `${source.name}: ${safeText(source.why)}`],
    ...(collector === undefined ? [] : [['collector', collectorWords(collector)]]),
    ['model', isSending ? 'none: an aggregator classifies' : safeText(status.model)],
    [
      'observed',
      `${count(status.observed.calls)} calls in ${count(status.observed.frames)} seconds${unjudgedWords(status.unjudged)}`,
    ],
    ['counted', count(status.counted)],
    ...(blind === '' ? [] : [['not seen', red(safeText(blind))]]),
    ['dropped', dropped.length === 0 ? '0' : dropped[0]!],
    ...dropped.slice(1).map((line) => ['', line]),
    ...(isSending ? [['vectors', vectorWords(status.vectors)]] : judgedRows(status)),
    [
      'outbox',
      `${count(status.created)} created = ${count(status.acknowledged)} acknowledged + ${count(status.queued)} queued + ${count(status.merged)} merged + ${count(total(status.undelivered))} given up`,
    ],
    ...(isSending ? [] : [['outputs', outputWords(status.outputs)]]),
    [
      'broker',
      publisher === undefined
        ? 'none'
        : `${publisher.broker} ${publisher.connection}, aggregator ${publisher.aggregator}${publisher.lastError === undefined ? '' : `, ${safeText(publisher.lastError)}`}`,
    ],
    [
      'cost',
      `${cpuWords(cost)}${megabytes(cost.rssBytes)} resident${collectorPart(cost)}; ${callsWords(cost)}lag ${count(Math.round(status.lagMs))} ms`,
    ],
    ['keys', keyWords(status)],
    ...fleetRow(status),
    ...(isSending ? [] : limitRows(status)),
  ]
  return columns(rows)
}

function agentWords({ state, pid, savedMs, status }: SavedStatus): string {
  const { bold, red, green } = paintFor()
  const colour = state === 'running' ? green : state === 'killed' ? red : bold
  return `${colour(state)}, pid ${pid}, ${status.version}, ${ago(savedMs)}`
}

/** What becomes of the seconds of an agent that classifies. */
function judgedRows({ detection, adaptation, buffer, lastFrame }: StatusDocument): string[][] {
  const { red } = paintFor()
  const { alerts } = detection
  const notJudged = (windows: number) =>
    windows === 0 ? '' : red(`, ${count(windows)} not classified because calls were lost`)
  return [
    [
      'judged',
      `${count(detection.judged)} windows of ${count(detection.tracked)} processes${notJudged(detection.undecided.incomplete)}`,
    ],
    [
      'alerts',
      `${count(alerts.opened)} opened = ${count(alerts.open)} open + ${count(alerts.closed)} closed; ${count(alerts.reopened)} reopened, ${count(alerts.updated)} updates${heldWords(alerts.held)}`,
    ],
    ['memory', `${memoryWords(detection)}${unrestWords(detection.unrest)}`],
    ['guarantee', guaranteeWords(detection.hostLevel)],
    ['known', coverageWords(detection.coverage)],
    ['adapted', adaptedWords(adaptation, lastFrame)],
    [
      'buffer',
      `${count(buffer.frames)} frames, ${megabytes(buffer.bytes)}${buffer.problem === undefined ? '' : red(`, ${buffer.problem}`)}`,
    ],
  ]
}

function limitRows({ facts, governor }: StatusDocument): string[][] {
  const { red } = paintFor()
  return [
    ...(facts === undefined ? [] : [['facts', factWords(facts)]]),
    ['cap', governor.level === 0 ? capWords(governor) : red(capWords(governor))],
  ]
}

/** Suspicions beyond what may be opened in a minute (detect/dedup.ts). */
function heldWords(held: number): string {
  const { red } = paintFor()
  return held === 0 ? '' : red(`; ${count(held)} times held, as too many came at a time`)
}

/** What becomes of the seconds of an agent that sends them. */
function vectorWords({ created, sent, queued, dropped, omitted }: SendingStatus['vectors']) {
  const { red } = paintFor()
  const given = dropped === 0 ? '0 dropped' : red(`${count(dropped)} dropped`)
  const left = omitted === 0 ? '' : `; ${count(omitted)} times a process found no room`
  return `${count(created)} seconds = ${count(sent)} sent + ${count(queued)} queued + ${given}${left}`
}

/** Whose signatures count where: this host's at the aggregator, the aggregator's here. */
function keyWords({ key, publisher }: StatusDocument | SendingStatus): string {
  const { red } = paintFor()
  const { trusted = [], refused } = publisher?.aggregatorKeys ?? {}
  return [
    `this host ${key ?? 'none'}`,
    ...(trusted.length === 0 ? [] : [`aggregator ${trusted.join(' ')}`]),
    ...(refused === undefined ? [] : [red(`refused of the aggregator: ${safeText(refused)}`)]),
  ].join(', ')
}

/** The documents of the fleet, where this host accepts any; version 0: none was seen. */
function fleetRow({ fleet }: StatusDocument | SendingStatus): [string, string][] {
  if (fleet === undefined) return []
  const { policy, model } = fleet
  const words = (what: string, of: FleetState | undefined) =>
    of === undefined || of.version === 0 ? `no ${what} yet` : `${what} ${of.version} ${of.state}`
  const parts = [
    ...(model === undefined || policy !== undefined ? [words('policy', policy)] : []),
    ...(model === undefined ? [] : [words('model', model)]),
  ]
  return [['fleet', parts.join(', ')]]
}

/** What each output took, and what it could not take. */
function outputWords(outputs: StatusDocument['outputs']): string {
  const { red } = paintFor()
  return Object.entries(outputs)
    .map(([name, { taken, refused }]) => {
      const reasons = Object.entries(refused).map(
        ([reason, n]) => `${count(n)} ${safeText(reason)}`,
      )
      const not = reasons.length === 0 ? '' : red(` (refused: ${reasons.join(', ')})`)
      return `${safeText(name)} ${count(taken)}${not}`
    })
    .join(', ')
}

function unjudgedWords({
  error = 0,
  filtered = 0,
  interrupted = 0,
  'clock-set': clockSet = 0,
}: CommonStatus['unjudged']) {
  const { red } = paintFor()
  return [
    error === 0 ? '' : red(`, ${count(error)} not classified because of an error`),
    filtered === 0
      ? ''
      : red(`, ${count(filtered)} not judged, as calls were filtered out of the capture`),
    interrupted === 0 ? '' : `, ${count(interrupted)} not judged when it was interrupted`,
    clockSet === 0 ? '' : `, ${count(clockSet)} only partly classified after the clock was set`,
  ].join('')
}

/** What this host's own hours promise, with the assumption that the promise rests on. */
function guaranteeWords({
  hours,
  needed,
  factor,
  alertHoursMax,
}: StatusDocument['detection']['hostLevel']): string {
  if (alertHoursMax === undefined)
    return `not yet: ${count(hours)} of ${count(needed)} ordinary hours`
  const lifted = factor > 1 ? `; levels raised by ${Math.round((factor - 1) * 100)} %` : ''
  return (
    `at most ${(alertHoursMax * 100).toFixed(1)} % of hours hold an alert by chance, ` +
    `if hours are alike: from ${count(hours)} ordinary hours of this host${lifted}`
  )
}

/** Nothing in the first seconds of an agent: there are no rates yet. */
function cpuWords({ cpuShare }: CommonStatus['cost']): string {
  return cpuShare === 0 ? '' : `${(cpuShare * 100).toFixed(1)} % of a core, `
}

function callsWords({ callsPerSecond }: CommonStatus['cost']): string {
  return callsPerSecond === 0 ? '' : `${count(Math.round(callsPerSecond))} calls/s, `
}

/** Of the agent's memory and CPU, what its collector takes. */
function collectorPart({ collector, cpuSeconds }: CommonStatus['cost']): string {
  if (collector === undefined) return ''
  const share = cpuSeconds > 0 ? Math.round((100 * collector.cpuSeconds) / cpuSeconds) : 0
  return ` (collector, pid ${collector.pid}: ${share} % of the CPU, ${megabytes(collector.rssBytes)})`
}

/** What was asked about processes beside their calls. */
function factWords({ reader, dropped, proofs }: NonNullable<StatusDocument['facts']>): string {
  if (reader === undefined) return 'none: missing permissions to inspect processes'
  const { asked, answered, failed } = reader
  const failures = Object.entries(failed).map(([reason, n]) => `${count(n)} ${reason}`)
  const unasked = dropped === 0 ? [] : [`${count(dropped)} dropped because the queue was full`]
  return [
    `${count(asked)} questions, ${count(answered)} answered`,
    ...failures,
    ...unasked,
    `${count(proofs)} proofs`,
  ].join(', ')
}

function capWords({ cpuMax, level, does, reducedSeconds, unjudged }: StatusDocument['governor']) {
  if (cpuMax === 0) return 'none'
  const seconds = total(reducedSeconds)
  const past =
    seconds === 0
      ? ''
      : `; ${count(seconds)} seconds judged less, ${count(total(unjudged))} windows not judged; counting was not reduced`
  return `${cpuMax} % of a core: ${level === 0 ? '' : `level ${level}, `}${does}${past}`
}

function memoryWords({
  memory,
  learning,
  learningUntil,
  newNamesPerDay,
}: StatusDocument['detection']): string {
  const learns = memory.state === 'learning' ? '' : ', learning'
  const until = learning && learningUntil > 0 ? `${learns} until ${instant(learningUntil)}` : ''
  const poisoned =
    memory.poisoned === 0 ? '' : `, ${count(memory.poisoned)} of them forgotten when due`
  const full = `${Math.round(memory.full * 100)} % full`
  const fresh =
    newNamesPerDay === undefined ? '' : `, ${newNamesPerDay.toFixed(1)} new names a day expected`
  return `${memory.state}${until}, ${full}: ${count(memory.names)} names${poisoned}, ${count(memory.prototypes)} behaviours${fresh}`
}

/** How much of this host has a class, is remembered, or neither. */
function coverageWords(coverage: StatusDocument['detection']['coverage']): string {
  if (coverage === undefined) return 'nothing was classified yet'
  const shares = ({ class: named, remembered, unknown }: typeof coverage.windows) =>
    `${percent(named)} with a class, ${percent(remembered)} remembered, ${percent(unknown)} unknown`
  const { windows, names } = coverage
  const ofNames = names === undefined ? '' : `; names: ${shares(names)}`
  return `windows of the last ten minutes: ${shares(windows)}${ofNames}`
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

function instant(second: number): string {
  return new Date(second * 1000).toISOString().slice(0, 16).replace('T', ' ')
}

/** What is done about what is unknown. Agents of before adaptations told nothing of it. */
function adaptedWords(adaptation: StatusDocument['adaptation'] | undefined, now: number): string {
  if (adaptation === undefined) return 'not told'
  const { names, figures, due, since, refused } = adaptation
  const learnt =
    names === undefined || figures === undefined
      ? refused === undefined
        ? 'not adapted to this host yet'
        : `not adapted: ${refused}`
      : `${names} classes of this host, ${Math.round(100 * figures.recall[1])} % recognised (${Math.round(100 * figures.recall[0])} % by the shared model)`
  const next =
    since !== undefined
      ? `; adapting for ${Math.floor((now - since) / 60)} minutes`
      : due === undefined
        ? ''
        : `; adapting in ${Math.max(0, Math.ceil((due - now) / 60))} minutes`
  return `${learnt}${next}`
}

function* withReasons(
  dropped: Readonly<Record<string, number>>,
  samples: Readonly<Record<string, string>>,
): Generator<string> {
  for (const [reason, n] of Object.entries(dropped)) {
    const sample = samples[reason]
    yield `${count(n)} ${reason}${sample === undefined ? '' : `, for example "${safeText(sample)}"`}`
  }
}

function total(counts: Readonly<Record<string, number>> | readonly number[]): number {
  return Object.values(counts).reduce((sum, n) => sum + n, 0)
}

function count(n: number): string {
  return n.toLocaleString('en-US')
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000))
  return seconds < 120 ? `as of ${seconds} s ago` : `as of ${new Date(ms).toISOString()}`
}

/**
 * Share of strange processes above which claims are weighed less (detect/unrest.ts), so a reader
 * should know.
 */
const UNREST_SHOWN = 0.1

function unrestWords(share: number): string {
  return share > UNREST_SHOWN
    ? `; ${Math.round(share * 100)} % of the processes deviate from the baseline, so masquerade alerts are suppressed`
    : ''
}
