/**
 * Loads a model directory: the manifest is checked, the weights are hashed, the graph is inspected
 * before it is run, and run once on synthetic rows. After that no further checks are needed.
 *
 * A directory may come from anywhere (a stick, a download), so file names are fixed and never
 * taken from the manifest, sizes are checked before reading, only operators that our own exports
 * use are accepted, and external or non-finite weights are refused. Who made a model is verified in
 * `signature.ts`.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { MANIFEST_BYTES_MAX, MODEL_BYTES_MAX, REFERENCES_BYTES_MAX } from '../domain/limits.ts'
import type { ModelClasses } from '../domain/prediction.ts'
import { readOnnxFacts } from '../platform/onnx/file.ts'
import { type OnnxSession, onnxRuntime } from '../platform/onnx/runtime.ts'
import { classNameOf } from './aliases.ts'
import { type Forest, splitForest } from './forest.ts'
import { hostRowWidth } from './host-rows.ts'
import { MaliceJudge, readMalice } from './malice-judge.ts'
import { type Manifest, manifestDigest, parseManifest } from './manifest.ts'
import { Normaliser } from './normalise.ts'
import type { Recipe } from './recipe.ts'
import { decodeRowSet, type RowSet } from './row-set.ts'
import { troubleWithTrees } from './trees.ts'

export const MANIFEST_FILE = 'manifest.json'
export const ONNX_FILE = 'model.onnx'
export const REFERENCES_FILE = 'references.bin'
export const CARD_FILE = 'MODEL_CARD.md'
export const SIGNATURE_FILE = 'signature'

/**
 * All that the graphs of train/net/export.ts and forest-graph.ts consist of, beside trees
 * (model/trees.ts).
 */
const OPERATORS = new Set(
  (
    'Transpose LSTM Squeeze Gemm MatMul Concat Identity Reshape Slice ReduceMean Add Mul Unsqueeze ' +
    'ReduceSum ReduceSumSquare ReduceMax Sign Max Div Softmax Log'
  ).split(' '),
)

export interface Model {
  readonly directory: string
  readonly manifest: Manifest
  /** sha256 over net and manifest. */
  readonly digest: string
  readonly classes: ModelClasses
  readonly vocabulary: readonly string[]
  readonly recipe: Recipe
  readonly normaliser: Normaliser
  /** Asks whether a window is malicious, where the model brings trees for it. */
  readonly malice: MaliceJudge | undefined
  /** The net; with the forest, where that is not run beside it. */
  readonly session: OnnxSession
  readonly forest: Forest | undefined
  close(): Promise<void>
}

/** The bytes that loading needs; the compiled binary has those of the default model embedded. */
export interface ModelFiles {
  readonly manifest: Uint8Array
  readonly onnx: Uint8Array
  /** Only adapting reads them. */
  readonly references?: Uint8Array
}

export async function loadModel(directory: string): Promise<Model> {
  return openModel(await readModelFiles(directory), directory)
}

/** The two files of a model directory as bytes, never more than their bounds. */
export async function readModelFiles(directory: string): Promise<ModelFiles> {
  return {
    manifest: await readBounded(join(directory, MANIFEST_FILE), MANIFEST_BYTES_MAX),
    onnx: await readBounded(join(directory, ONNX_FILE), MODEL_BYTES_MAX),
    ...(existsSync(join(directory, REFERENCES_FILE)) && {
      references: await readBounded(join(directory, REFERENCES_FILE), REFERENCES_BYTES_MAX),
    }),
  }
}

/**
 * The rows that a model brings for adapting it; undefined where it brings none. ERR_MODEL where
 * they are not the manifest's.
 */
export function referencesOf(
  { references: bytes }: ModelFiles,
  { manifest, directory }: Pick<Model, 'manifest' | 'directory'>,
): RowSet | undefined {
  if (manifest.references === undefined || bytes === undefined) return undefined
  const hash = createHash('sha256').update(bytes).digest('hex')
  const rows =
    hash === manifest.references.sha256
      ? decodeRowSet(bytes, hostRowWidth(manifest.width))
      : undefined
  if (rows !== undefined) return rows
  throw new AgentError(
    'ERR_MODEL',
    `Cannot use model "${directory}": ${REFERENCES_FILE} is not the file that its manifest names`,
    { hint: 'Get the whole directory again, or train it with "agent train"' },
  )
}

/** @param where its name in error messages */
export async function openModel(files: ModelFiles, where: string): Promise<Model> {
  const manifest = parseManifest(new TextDecoder().decode(files.manifest), where)
  const refuse = (what: string): never => {
    throw new AgentError('ERR_MODEL', `Cannot use model "${where}": ${what}`, {
      hint: 'Get the directory again, or train it with "agent train"',
    })
  }
  const hash = createHash('sha256').update(files.onnx).digest('hex')
  if (hash !== manifest.id)
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot use model "${where}": ${ONNX_FILE} has SHA-256 ${hash.slice(0, 16)}…, the manifest says ${manifest.id.slice(0, 16)}…`,
      { hint: 'One of the two files was modified or truncated: get the directory again' },
    )
  const digest = manifestDigest(JSON.parse(new TextDecoder().decode(files.manifest)))
  if (manifest.digest !== undefined && manifest.digest !== digest)
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot use model "${where}": its manifest has digest ${digest.slice(0, 16)}…, but says ${manifest.digest.slice(0, 16)}…`,
      { hint: 'The manifest was changed: get the whole directory again' },
    )
  const normaliser = new Normaliser(manifest.vocabulary, manifest.recipe)
  if (normaliser.width !== manifest.width)
    refuse(
      `its vocabulary and recipe make rows of ${normaliser.width} numbers, the manifest says ${manifest.width}`,
    )
  const facts = readOnnxFacts(files.onnx)
  if (facts.external) refuse(`${ONNX_FILE} refers to other files or foreign operators`)
  const foreign = [...facts.operators].filter((operator) => !OPERATORS.has(operator))
  if (foreign.length > 0)
    refuse(`${ONNX_FILE} uses unsupported operators: ${foreign.slice(0, 5).join(', ')}`)
  const badTrees = facts.trees && troubleWithTrees(facts.trees, manifest.width + 1)
  if (badTrees !== undefined) refuse(`${ONNX_FILE} has trees that must not be run: ${badTrees}`)
  if (!facts.finite) refuse(`${ONNX_FILE} holds weights that are not finite numbers`)
  const classes = modelClasses(manifest)
  const malice = maliceJudge(manifest, classes, refuse)
  const split = splitForest(files.onnx, manifest)
  const session = await openSession(split?.net ?? files.onnx, manifest, refuse)
  return {
    directory: where,
    manifest,
    digest,
    classes,
    malice,
    vocabulary: manifest.vocabulary,
    recipe: manifest.recipe,
    normaliser,
    session,
    forest: split?.forest,
    close: () => session.close(),
  }
}

function maliceJudge(
  { malice, width, sequenceFrames }: Manifest,
  { malicious, background }: ModelClasses,
  refuse: (what: string) => never,
): MaliceJudge | undefined {
  if (malice === undefined) return undefined
  const table = readMalice(malice, width, malicious)
  if (table === undefined) return refuse('the trees in its "malice" are damaged')
  return new MaliceJudge(table, { width, frames: sequenceFrames, background })
}

/** Opens the graph and runs it on two sequences: checks names, shapes and finite numbers. */
async function openSession(
  onnx: Uint8Array,
  manifest: Manifest,
  refuse: (what: string) => never,
): Promise<OnnxSession> {
  const runtime = await onnxRuntime()
  const session = await runtime
    .open(onnx)
    .catch((cause: unknown) => refuse(`${ONNX_FILE} cannot be opened: ${firstLine(cause)}`))
  if (!session.inputNames.includes('sequences') || session.inputNames.length !== 1)
    refuse(`${ONNX_FILE} takes "${session.inputNames.join(', ')}", it should take "sequences"`)
  for (const name of ['logits', 'state'])
    if (!session.outputNames.includes(name)) refuse(`${ONNX_FILE} has no output "${name}"`)
  const rows = new Float32Array(2 * manifest.sequenceFrames * manifest.width).fill(
    1 / manifest.width,
  )
  const dims = [2, manifest.sequenceFrames, manifest.width]
  const outputs = await session
    .run({ sequences: runtime.tensor(rows, dims) })
    .catch((cause: unknown) =>
      refuse(
        `${ONNX_FILE} cannot take sequences of [${dims.slice(1).join(' × ')}]: ${firstLine(cause)}`,
      ),
    )
  const wanted = { logits: manifest.classes.length, state: manifest.stateSize }
  for (const [name, columns] of Object.entries(wanted)) {
    const output = outputs[name]!
    if (output.dims.length !== 2 || output.dims[0] !== 2 || output.dims[1] !== columns)
      refuse(
        `${ONNX_FILE} gives ${name} of [${output.dims.join(' × ')}], the manifest says [2 × ${columns}]`,
      )
    if (!(output.data instanceof Float32Array) || !output.data.every(Number.isFinite))
      refuse(`${ONNX_FILE} gives ${name} that are not finite 32-bit numbers`)
  }
  return session
}

export function modelClasses(manifest: Manifest): ModelClasses {
  const indexOf = new Map(manifest.classes.map(({ name }, index) => [name, index]))
  const background = manifest.classes.findIndex((entry) => entry.background)
  const toolOf = new Map(
    manifest.classes.flatMap(({ name, malicious, tools = [] }, index) =>
      malicious ? [name, ...tools].map((tool) => [tool, index] as const) : [],
    ),
  )
  return {
    modelId: manifest.id,
    names: manifest.classes.map(({ name }) => name),
    malicious: manifest.classes.map(({ malicious }) => malicious),
    behaviours: manifest.classes.map(({ behaviour }) => behaviour),
    generic: manifest.classes.map(({ generic }) => generic),
    ...(background < 0 ? {} : { background }),
    claimedBy(name) {
      const index = indexOf.get(classNameOf(name, manifest.aliases))
      // A name never claims a behaviour or "other programs".
      if (index === undefined || index === background) return undefined
      const { malicious, behaviour } = manifest.classes[index]!
      return malicious || behaviour !== undefined ? undefined : index
    },
    toolClassOf: (name) => toolOf.get(classNameOf(name, manifest.aliases)),
  }
}

async function readBounded(path: string, bytesMax: number): Promise<Uint8Array> {
  const failed = (why: string, cause?: unknown): never => {
    throw new AgentError('ERR_MODEL', `Cannot read model file "${path}": ${why}`, {
      hint: 'A model directory contains manifest.json and model.onnx; "agent model ls" lists the installed ones',
      cause,
    })
  }
  const facts = await stat(path).catch((cause: unknown) => failed(firstLine(cause), cause))
  if (!facts.isFile()) failed('it is no file')
  if (facts.size > bytesMax) failed(`it has ${facts.size} bytes, at most ${bytesMax} are read`)
  return await readFile(path).catch((cause: unknown) => failed(firstLine(cause), cause))
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]!.slice(0, 300)
}
