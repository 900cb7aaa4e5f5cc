/** `agent label ID fine|bad|CLASS`: labels an alert, and keeps its windows for training. */
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { NAME_BYTES_MAX } from '../domain/limits.ts'
import { labelAlert, storedLabel } from '../operate/labels.ts'
import { changeLocal, lookLocal } from '../operate/local-alerts.ts'
import { loadSettings } from '../settings/settings.ts'
import { jsonArg, note, safeText, settingArgs, writeJson } from './common.ts'

export default defineCommand({
  meta: {
    name: 'label',
    description: 'Labels an alert with what it really was, and keeps its windows for training',
    examples: [
      'agent label 5f0c9e1d2a3b4c5d fine # the process is what its name says',
      'agent label 5f0c9e1d2a3b4c5d bad # the alert is right',
      'agent label 5f0c9e1d2a3b4c5d restic # the process is this program',
    ],
  },
  args: {
    id: { type: 'positional', description: 'id of the alert', valueHint: 'ID', required: true },
    label: {
      type: 'positional',
      description: 'fine, bad, or the name of a class',
      valueHint: 'fine|bad|CLASS',
      required: true,
    },
    ...settingArgs('state', 'host'),
    ...jsonArg,
  },
  async run({ args }) {
    const { state, host } = loadSettings(args).settings
    const { id, label } = args
    if (label === '' || label.length > NAME_BYTES_MAX)
      throw new AgentError('ERR_USAGE', 'Cannot label: give fine, bad, or the name of a class')
    const alert = lookLocal(state, (store) => store.alerts.get(id))
    if (alert === undefined)
      throw new AgentError(
        'ERR_INPUT',
        `Cannot label "${safeText(id)}": there is no such alert, or the prefix is ambiguous`,
        { hint: 'List them with "agent alerts"' },
      )
    const labelled = labelAlert(state, host, alert, label)
    if (!changeLocal(state, (store) => store.labels.put(storedLabel(alert, label))))
      throw new AgentError('ERR_DISK', `Cannot keep the label of "${alert.id}": the disk refused`)
    if (args.json) await writeJson({ id: alert.id, ...labelled })
    else
      note(
        `Kept ${labelled.vectors} seconds of ${safeText(alert.process.name)} as "${safeText(labelled.label)}" in ${labelled.file}`,
      )
  },
})
