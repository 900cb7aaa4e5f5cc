/**
 * `agent replay FILE…`: the same pipeline as `watch`, over captures, at maximum speed:
 * deterministic, exit code 10 if there were alerts. Without --state it works in a directory of its
 * own that is gone afterwards, so a replay never mixes with what the live agent remembers.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineCommand } from 'citty'
import { openAgent } from '../agent/agent.ts'
import { runAgent } from '../agent/run.ts'
import { openFiles } from '../agent/sources.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { FILE_LATENESS_MS } from '../domain/limits.ts'
import { openModelInUse } from '../operate/models.ts'
import { jsonLinesOutput } from '../outputs/json-lines.ts'
import { terminalOutput } from '../outputs/terminal.ts'
import { loadSettings } from '../settings/settings.ts'
import { agentFlags } from './agent-flags.ts'
import { jsonArg, shutdownAfter, shutdownSignal } from './common.ts'
import { userInput } from './input-flags.ts'
import { filesInWords, inputExitCode, requireCounted } from './input-report.ts'
import { inputLedger, isFiltered, noteLedger } from './run-report.ts'

export default defineCommand({
  meta: {
    name: 'replay',
    description:
      'Runs captures through the full pipeline at maximum speed; exit code 10 if there were alerts',
    examples: [
      'agent replay busy.scap',
      'agent replay monday.frames.ndjson.zst --json > alerts.ndjson',
      'agent replay lines.txt.xz --pace real --broker mqtt://127.0.0.1 # at recorded speed, published',
    ],
  },
  args: {
    files: {
      type: 'positional',
      description: '.scap, sysdig text or JSON, strace or frames files; .gz, .zst and .xz as well',
      valueHint: 'FILE…',
      required: true,
    },
    pace: {
      type: 'string',
      description: 'max (default), real, or N times faster than it was recorded',
      valueHint: 'max|real|N',
    },
    ...agentFlags,
    ...jsonArg,
  },
  async run({ args }) {
    const signal = shutdownAfter(args.duration)
    const { settings, origins } = loadSettings(args)
    const pace = paceOf(args.pace)
    const input = userInput({ ...args, format: settings.format })
    const ownState = origins.state === 'default'
    const state = ownState ? mkdtempSync(join(tmpdir(), 'callsign-replay-')) : settings.state
    try {
      const sources = openFiles(args._, { stateDirectory: state })
      const model = await openModelInUse(settings.model, settings.state)
      shutdownSignal().throwIfAborted()
      const agent = openAgent({
        settings: { ...settings, state },
        model,
        source: { name: 'file', why: 'command line' },
        resume: false,
        counter: { latenessMs: FILE_LATENESS_MS },
        outputs: [args.json ? jsonLinesOutput() : terminalOutput()],
      })
      const { status, raised, format, error, arrived } = await runAgent(
        agent,
        sources,
        {
          pace,
          ...input,
        },
        signal,
      )
      await agent.close()
      await model.close()
      noteLedger(status, args.json)
      if (error !== undefined) throw error
      if (!arrived) throw undelivered(status.queued, settings.broker, ownState)
      if (shutdownSignal().aborted) return EXIT.interrupted
      requireCounted(inputLedger(status), filesInWords(args._))
      const code = inputExitCode(inputLedger(status), format, args)
      if (code === EXIT.ok && isFiltered(status)) return EXIT.degraded
      return code !== EXIT.lost && raised > 0 ? EXIT.alerts : code
    } finally {
      if (ownState) rmSync(state, { recursive: true, force: true })
    }
  },
})

function paceOf(text: string | undefined): number {
  if (text === undefined || text === 'max') return Number.POSITIVE_INFINITY
  const pace = text === 'real' ? 1 : Number(text)
  if (Number.isFinite(pace) && pace > 0) return pace
  throw new AgentError('ERR_USAGE', `Cannot use --pace "${text}"`, {
    hint: 'Give max, real, or a factor such as 10',
  })
}

function undelivered(queued: number, broker: string | undefined, ownState: boolean): AgentError {
  return new AgentError(
    'ERR_BROKER',
    `Cannot deliver ${queued} messages: broker "${broker}" did not accept them in time`,
    {
      hint: ownState
        ? 'Give --state DIR to keep them for the next run'
        : 'They are kept in the state directory for the next run',
    },
  )
}
