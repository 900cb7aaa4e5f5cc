/**
 * `agent model`: the models that this agent has, whether they are whole, which is in use, who made
 * them.
 */
import { readFile } from 'node:fs/promises'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import {
  type ListedModel,
  listModels,
  signModel,
  useModel,
  verifyModel,
} from '../operate/models.ts'
import { loadSettings } from '../settings/settings.ts'
import { storeOf } from './aggregator-store.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'
import { pushArgs, pushModelDirectory } from './fleet-push.ts'

const directoryArg = {
  directory: {
    type: 'positional',
    description: 'model directory, or "default" for the shipped model',
    valueHint: 'DIR',
    required: true,
  },
} as const

const ls = defineCommand({
  meta: {
    name: 'ls',
    description: 'Lists the models of this agent: classes, aliases, age, measured figures',
    examples: ['agent model ls', 'agent model ls --json # with classes and alias rules'],
  },
  args: { ...settingArgs('state'), ...jsonArg },
  async run({ args }) {
    const models = await listModels(loadSettings(args).settings.state)
    if (args.json) {
      for (const model of models) await writeJson(asJson(model))
      return
    }
    await writeOut(
      columns([
        ['', 'MODEL', 'CLASSES', 'MALICIOUS', 'NET', 'RECIPE', 'EXPIRES', 'NAME'],
        ...models.map(({ name, inUse, manifest, trouble }) =>
          manifest === undefined
            ? [inUse ? '*' : '', name, '-', '-', '-', '-', '-', safeText(trouble ?? '')]
            : [
                inUse ? '*' : '',
                name,
                String(manifest.classes.length),
                String(manifest.classes.filter(({ malicious }) => malicious).length),
                `${safeText(manifest.arch)} ${manifest.stateSize}`,
                safeText(manifest.recipe.name),
                safeText(manifest.expires.slice(0, 10)),
                safeText(manifest.name),
              ],
        ),
      ]),
    )
    const aliases = models.find(({ inUse }) => inUse)?.manifest?.aliases ?? []
    if (aliases.length > 0)
      note(
        `Taken for the same program (# stands for a version): ${aliases
          .map((rule) => safeText(`${rule.pattern} = ${rule.class}`))
          .join(', ')}`,
      )
  },
})

const verify = defineCommand({
  meta: {
    name: 'verify',
    description:
      'Checks lengths, hashes and shapes of a model, and its signature if a key is given',
    examples: [
      'agent model verify ./model',
      'agent model verify ./model --key public.pem # exit code 9 if it is not signed with it',
    ],
  },
  args: {
    ...directoryArg,
    key: {
      type: 'string',
      description: 'Ed25519 public key (PEM) of the signature',
      valueHint: 'FILE',
    },
    ...jsonArg,
  },
  async run({ args }) {
    const key = args.key === undefined ? undefined : await readKey(args.key)
    const { manifest, digest, signature } = await verifyModel(args.directory, key)
    const expired = Date.parse(manifest.expires) < Date.now()
    if (args.json) {
      await writeJson({
        id: manifest.id,
        digest,
        ok: true,
        signature,
        expired,
        classes: manifest.classes.length,
      })
      return
    }
    await writeOut(
      `${safeText(args.directory)}: whole, ${manifest.classes.length} classes, id ${digest.slice(0, 16)} over net and manifest, ` +
        `signature ${signature}\n`,
    )
    if (signature === 'none')
      note('Warning: it is not signed: whoever could write to it may have made it what it is')
    if (signature === 'not checked') note('Warning: its signature was not checked: give --key FILE')
    if (manifest.digest === undefined)
      note(
        'Warning: its manifest has no digest (an older version made it): changes of it do not show',
      )
    if (expired) note(`It expired on ${safeText(manifest.expires.slice(0, 10))}: train a new one`)
  },
})

const use = defineCommand({
  meta: {
    name: 'use',
    description: 'Checks and copies a model, and uses it from the next start',
    examples: ['agent model use ./model', 'agent model use default # back to the shipped model'],
  },
  args: { ...directoryArg, ...settingArgs('state') },
  async run({ args }) {
    const name = await useModel(args.directory, loadSettings(args).settings.state)
    note(`Used from the next start: ${name}`)
  },
})

const sign = defineCommand({
  meta: {
    name: 'sign',
    description: 'Signs a model directory with an Ed25519 key',
    examples: [
      'openssl genpkey -algorithm ed25519 -out key.pem; agent model sign ./model --key key.pem',
    ],
  },
  args: {
    ...directoryArg,
    key: {
      type: 'string',
      description: 'Ed25519 private key (PEM)',
      valueHint: 'FILE',
      required: true,
    },
  },
  async run({ args }) {
    await signModel(args.directory, await readKey(args.key))
    note(`Signed: ${safeText(args.directory)}/signature`)
  },
})

const push = defineCommand({
  meta: {
    name: 'push',
    description: 'Sends a model to the hosts of an aggregator; run it where its store is',
    examples: [
      'agent model push ./model --site berlin --canary 10 # first to a tenth of the hosts',
      'agent model push ./model --site berlin --expires 180d',
    ],
  },
  args: { ...directoryArg, ...pushArgs(), ...settingArgs('state', 'store', 'site'), ...jsonArg },
  async run({ args }) {
    const { settings, origins } = loadSettings(args)
    const { directory, canary, expires } = args
    await pushModelDirectory(directory, {
      ...{ canary, expires, site: settings.site, json: args.json === true },
      location: storeOf(settings, origins.store === 'flag'),
    })
  },
})

export default defineCommand({
  meta: {
    name: 'model',
    description: 'Models: look, check, switch, sign, send to a fleet',
    examples: ['agent model ls', 'agent model verify ./model'],
  },
  subCommands: { ls, verify, use, sign, push },
})

function asJson({ name, directory, inUse, manifest, trouble }: ListedModel) {
  if (manifest === undefined) return { name, directory, inUse, trouble }
  const { id, arch, forest, recipe, created, expires, classes, aliases, measured, data } = manifest
  return {
    name,
    directory,
    inUse,
    id,
    arch,
    ...(forest !== undefined && { forest }),
    recipe: recipe.name,
    created,
    expires,
    classes,
    aliases,
    measured,
    data,
  }
}

async function readKey(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new AgentError('ERR_INPUT', `Cannot read key "${path}"`, { cause })
  }
}
