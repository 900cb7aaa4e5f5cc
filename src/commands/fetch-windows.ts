/**
 * `agent fetch-windows HOST ID`: runs where the aggregator's store is; asks a host for the windows of
 * one of its alerts, and keeps them for training.
 */
import { defineCommand } from 'citty'
import { fetchWindows } from '../aggregator/fetch-windows.ts'
import { openStore } from '../aggregator/store/open.ts'
import { AgentError } from '../domain/error.ts'
import { NAME_BYTES_MAX } from '../domain/limits.ts'
import { keepFetched } from '../operate/labels.ts'
import { log } from '../platform/log.ts'
import { loadSettings } from '../settings/settings.ts'
import { requireStore, storeOf } from './aggregator-store.ts'
import {
  durationOf,
  jsonArg,
  note,
  safeText,
  settingArgs,
  shutdownSignal,
  writeJson,
} from './common.ts'

const WAIT_MS = 60_000
const TROUBLE = {
  'unknown-alert': 'it keeps no such alert any more',
  'not-kept':
    'the seconds are kept no longer; within an hour they are, and those that "agent label" kept there',
} as const

export default defineCommand({
  meta: {
    name: 'fetch-windows',
    description:
      'Fetches the windows of an alert from its host for training; run it where the store of an aggregator is',
    examples: [
      'agent fetch-windows berlin/web-1 5f0c9e1d2a3b4c5d --label restic',
      'agent fetch-windows web-1 5f0c9e1d2a3b4c5d # labelled as on the page',
      'agent train fetched.frames.ndjson --base default --out ./model; agent model push ./model',
    ],
  },
  args: {
    of: {
      type: 'positional',
      description: 'host, or SITE/HOST',
      valueHint: 'HOST',
      required: true,
    },
    id: { type: 'positional', description: 'id of the alert', valueHint: 'ID', required: true },
    label: {
      type: 'string',
      description: 'fine, bad, or the name of a class; default: the label on the page',
      valueHint: 'fine|bad|CLASS',
    },
    out: {
      type: 'string',
      description: 'frames file that they are added to; default fetched.frames.ndjson',
      valueHint: 'FILE',
    },
    wait: { type: 'string', description: 'how long to wait; default 60s', valueHint: 'DURATION' },
    ...settingArgs('state', 'store', 'site'),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings, origins } = loadSettings(args)
    const [site, host] = args.of.includes('/')
      ? (args.of.split('/', 2) as [string, string])
      : [settings.site, args.of]
    const { id, label: given, out = 'fetched.frames.ndjson' } = args
    if (given !== undefined && (given === '' || given.length > NAME_BYTES_MAX))
      throw new AgentError('ERR_USAGE', 'Cannot label: give fine, bad, or the name of a class')
    const waitMs = durationOf(args.wait, 'wait') ?? WAIT_MS
    const location = storeOf(settings, origins.store === 'flag')
    requireStore(location)
    const signal = shutdownSignal()
    const opened = await openStore(location, { log, signal })
    try {
      const where = `${site}/${host}`
      const { answer, alert, label } = await fetchWindows(
        opened.store,
        { site, host, id, waitMs },
        signal,
      )
      const word = given ?? label
      if (answer.trouble !== undefined)
        throw new AgentError(
          'ERR_INPUT',
          `Cannot fetch windows of "${safeText(id)}" from ${safeText(where)}: ${TROUBLE[answer.trouble]}`,
        )
      if (word === undefined || word === '')
        throw new AgentError('ERR_USAGE', 'Cannot keep windows without a label', {
          hint: 'Give --label fine, bad or CLASS, or label the incident on the page',
        })
      const kept = keepFetched(out, host, alert, answer.rows, word)
      const { rows, omitted } = answer
      if (args.json)
        await writeJson({ site, host, id, ...kept, seconds: rows.length, omitted, file: out })
      else
        note(
          `Kept ${rows.length} seconds of ${safeText(alert.process.name)} on ${safeText(where)} as "${safeText(kept.label)}" in ${out}${kept.scenarios === undefined ? '' : ` and ${kept.scenarios}`}`,
        )
    } finally {
      await opened.close()
    }
  },
})
