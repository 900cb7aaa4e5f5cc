/** `agent import FILE`: hands a host's exported messages to an aggregator. */
import { defineCommand } from 'citty'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { DRAIN_MS } from '../domain/limits.ts'
import { importFile, writeReceipts } from '../operate/export.ts'
import { BROKER_SETTINGS } from '../settings/keys.ts'
import { brokerLogin, loadSettings } from '../settings/settings.ts'
import { jsonArg, note, settingArgs, shutdownSignal, writeJson } from './common.ts'

export default defineCommand({
  meta: {
    name: 'import',
    description: 'Sends a file of "agent export" to an aggregator, and says what it has stored',
    examples: [
      'agent import web-1.callsign --broker mqtt://127.0.0.1 --receipts web-1.receipts',
      'agent import web-1.callsign --broker mqtts://mq.example --ca ca.pem --broker-user "berlin/*"',
    ],
  },
  args: {
    file: {
      type: 'positional',
      required: true,
      description: 'file of "agent export"',
      valueHint: 'FILE',
    },
    receipts: {
      type: 'string',
      description: 'file to write what is stored to, for "agent export --receipts" on the host',
      valueHint: 'FILE',
    },
    ...settingArgs(...BROKER_SETTINGS, 'aggregatorKey'),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings } = loadSettings(args)
    if (settings.broker === undefined)
      throw new AgentError('ERR_USAGE', 'Cannot import: no broker is given', {
        hint: 'Give --broker URL, as "agent aggregate" shows it at its start',
      })
    const imported = await importFile(args.file, {
      broker: settings.broker,
      waitMs: DRAIN_MS,
      aggregatorKeys: settings.aggregatorKey,
      ...brokerLogin(settings),
      ...defined({ signal: shutdownSignal() }),
    })
    const { site, host, messages, stored } = imported
    if (args.receipts !== undefined) writeReceipts(args.receipts, imported)
    const count = stored.reduce((sum, { from, to }) => sum + to - from + 1, 0)
    if (args.json) await writeJson({ site, host, messages, stored: count })
    else note(`${site}/${host}: ${count} of ${messages} messages are stored`)
    if (count < messages)
      throw new AgentError(
        'ERR_BROKER',
        `Cannot import ${messages - count} of ${messages} messages: no aggregator has receipted them`,
        {
          hint: 'Check that an aggregator runs at this broker, and import again: what it has is not stored twice',
        },
      )
  },
})
