/** A tiny model: untrained, but a whole and valid directory, made in milliseconds. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MANIFEST_FORMAT, type Manifest } from '../../src/model/manifest.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { RECIPES, type Recipe } from '../../src/model/recipe.ts'
import { exportNet } from '../../src/train/net/export.ts'
import { initialParameters, type NetShape, stateSizeOf } from '../../src/train/net/nets.ts'
import { manifestText, sha256 } from '../../src/train/save-model.ts'

export interface TinyOptions {
  readonly vocabulary?: readonly string[]
  readonly recipe?: Recipe
  readonly classes?: readonly {
    name: string
    malicious?: boolean
    generic?: boolean
    background?: boolean
  }[]
  readonly arch?: NetShape['arch']
  readonly hidden?: number
}

export function tinyModel(options: TinyOptions = {}): {
  onnx: Uint8Array
  manifest: Manifest
  net: NetShape
} {
  const vocabulary = options.vocabulary ?? ['other', 'read', 'write', 'openat', 'close']
  const recipe = options.recipe ?? RECIPES.frequency!
  const classes = options.classes ?? [
    { name: 'nginx' },
    { name: 'cron' },
    { name: 'miner', malicious: true },
  ]
  const net: NetShape = {
    arch: options.arch ?? 'simple',
    width: new Normaliser(vocabulary, recipe).width,
    frames: 10,
    hidden: options.hidden ?? 4,
    classes: classes.length,
  }
  const onnx = exportNet(net, initialParameters(net, 7))
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    id: sha256(onnx),
    name: 'tiny',
    created: '2026-11-23T00:00:00.000Z',
    expires: '2027-11-23T00:00:00.000Z',
    code: 'test',
    seed: 7,
    arch: net.arch,
    vocabulary,
    recipe,
    frameMs: 1000,
    sequenceFrames: 10,
    width: net.width,
    stateSize: stateSizeOf(net),
    classes: classes.map(({ name, malicious = false, generic = false, background = false }) => ({
      name,
      malicious,
      generic,
      background,
      windows: 1,
    })),
    aliases: [],
    calibration: { temperature: 1, windows: 0, ece: 0 },
    data: [],
    measured: {},
  }
  return { onnx, manifest, net }
}

export async function writeTinyModel(options: TinyOptions = {}): Promise<string> {
  const { onnx, manifest } = tinyModel(options)
  const directory = await mkdtemp(join(tmpdir(), 'tiny-model-'))
  await writeFile(join(directory, 'model.onnx'), onnx)
  await writeFile(join(directory, 'manifest.json'), manifestText(manifest))
  return directory
}
