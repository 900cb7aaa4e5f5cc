/** `agent export FILE`: the messages that wait, in a file, for hosts without a network. */
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { exportOutbox, takeReceipts } from '../operate/export.ts'
import { systemClock } from '../platform/clock.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, note, settingArgs, writeJson } from './common.ts'

export default defineCommand({
  meta: {
    name: 'export',
    description: 'Writes the alerts and summaries that wait for an aggregator to a file',
    examples: [
      'sudo agent watch --delivery file # without a broker: messages are kept',
      'sudo agent export /media/stick/web-1.callsign # to be read by "agent import"',
      'sudo agent export --receipts /media/stick/web-1.receipts # removes what was imported',
    ],
  },
  args: {
    file: {
      type: 'positional',
      required: false,
      description: 'file to write; nothing is removed from the outbox',
      valueHint: 'FILE',
    },
    receipts: {
      type: 'string',
      description:
        'file of "agent import --receipts": what it names is removed; the agent must not run',
      valueHint: 'FILE',
    },
    ...settingArgs('state', 'site', 'host', 'aggregatorKey'),
    ...jsonArg,
  },
  async run({ args }) {
    const { state, site, host, aggregatorKey } = loadSettings(args).settings
    const where = { state, site, host, aggregatorKeys: aggregatorKey }
    const removed = args.receipts === undefined ? undefined : takeReceipts(args.receipts, where)
    if (args.file === undefined && removed === undefined)
      throw new AgentError('ERR_USAGE', 'Cannot export: no file is given', {
        hint: 'agent export FILE, or agent export --receipts FILE',
      })
    const exported =
      args.file === undefined ? undefined : exportOutbox(where, args.file, systemClock.now())
    if (args.json) {
      await writeJson({ removed: removed ?? 0, ...exported })
      return
    }
    if (removed !== undefined) note(`${removed} messages are stored by an aggregator: removed`)
    if (exported !== undefined)
      note(`${exported.alerts} alerts and ${exported.summaries} summaries in ${args.file}`)
  },
})
