/**
 * `agent adapt`: this host's own names become classes beside those of the model, learnt from what
 * the agent has buffered. A running agent does this by itself (--adapt auto) and takes into use
 * what this command writes within seconds.
 */
import { defineCommand } from 'citty'
import { AdaptationFiles, type AdaptOutcome } from '../agent/adaptation-files.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { bufferedHost } from '../operate/buffered-frames.ts'
import { modelFilesInUse } from '../operate/models.ts'
import { loadSettings } from '../settings/settings.ts'
import { adaptHost } from '../train/adapt-host.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'adapt',
    description: "Teaches the model this host's own programs, from what the agent has buffered",
    examples: [
      'agent adapt # how well this host is known, and since when',
      'agent adapt --now # learn from the last hour; kept only where it is better on windows held out',
      'agent adapt --revert # back to the shared model alone, and no adapting by itself until --now',
    ],
  },
  args: {
    now: { type: 'boolean', description: 'adapt to what is buffered now' },
    revert: {
      type: 'boolean',
      description: 'back to the model as it came; nothing is adapted by itself until --now',
    },
    status: { type: 'boolean', description: 'show what is in use (the default)' },
    ...settingArgs('state', 'model'),
    ...jsonArg,
  },
  async run({ args }) {
    if ([args.now, args.revert, args.status].filter(Boolean).length > 1)
      throw new AgentError('ERR_USAGE', 'Cannot use --now, --revert and --status together')
    const { settings } = loadSettings(args)
    const files = new AdaptationFiles(settings.state)
    if (args.revert) {
      const at = Math.floor(Date.now() / 1000)
      files.revert({ model: files.outcome()?.model ?? '', at, adapted: false, reverted: true })
      note('The shared model is used alone; "agent adapt --now" adapts again')
      return
    }
    if (args.now) {
      const inUse = await modelFilesInUse(settings.model, settings.state)
      const made = await adaptHost(inUse, files.rows(), (take) =>
        bufferedHost(settings.state, take),
      )
      const { model, at, adaptation, refused, figures } = made
      const outcome = { model, at, adapted: adaptation !== undefined, ...defined({ refused }) }
      files.put({ ...outcome, figures }, made.rows, adaptation)
      for (const name of made.quarantinedNames)
        note(
          `Not learnt, for it behaves like something malicious: ${safeText(name)} ("agent allow" says that it is fine)`,
        )
    }
    const outcome = files.outcome()
    if (args.json) await writeJson(outcome ?? { adapted: false })
    else await writeOut(columns(outcome === undefined ? [['adapted', 'no']] : rowsOf(outcome)))
  },
})

function rowsOf({ adapted, at, refused, reverted, figures }: AdaptOutcome): string[][] {
  return [
    ['adapted', adapted ? `yes, ${new Date(at * 1000).toISOString()}` : 'no'],
    ...(reverted ? [['reverted', '"agent adapt --now" adapts again']] : []),
    ...(refused === undefined ? [] : [['because', refused]]),
    ...(figures === undefined ? [] : figureRows(figures)),
  ]
}

function figureRows({
  seconds,
  names,
  windows,
  recall,
  malicious,
  quarantined,
}: NonNullable<AdaptOutcome['figures']>) {
  const share = (of: number) => `${(100 * of).toFixed(1)} %`
  return [
    ['learnt from', `${Math.round(seconds / 60)} minutes, ${names} names`],
    [
      'recognised',
      `${share(recall[1])} of the windows of lasting names among ${windows} held out (shared model alone: ${share(recall[0])})`,
    ],
    [
      'called malicious',
      `${share(malicious[1])} of them (shared model alone: ${share(malicious[0])})`,
    ],
    [
      'quarantined',
      `${quarantined} windows: near a grave behaviour, under an alert, or with losses`,
    ],
  ]
}
