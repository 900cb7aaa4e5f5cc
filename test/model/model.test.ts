import { afterAll, describe, expect, test } from 'bun:test'
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MODEL_BYTES_MAX } from '../../src/domain/limits.ts'
import { loadModel, modelClasses, openModel } from '../../src/model/model.ts'
import { encodeOnnx } from '../../src/platform/onnx/file.ts'
import { exportNet } from '../../src/train/net/export.ts'
import { initialParameters } from '../../src/train/net/nets.ts'
import { sha256 } from '../../src/train/save-model.ts'
import { tinyModel, writeTinyModel } from '../support/tiny-model.ts'

const directories: string[] = []
async function tiny(): Promise<string> {
  const directory = await writeTinyModel()
  directories.push(directory)
  return directory
}
afterAll(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))))

/** Opens the tiny model with parts of its manifest or its weights replaced. */
function open(change: Record<string, unknown>, onnx?: Uint8Array) {
  const model = tinyModel()
  const bytes = onnx ?? model.onnx
  const manifest = { ...model.manifest, id: sha256(bytes), ...change }
  return openModel(
    { manifest: new TextEncoder().encode(JSON.stringify(manifest)), onnx: bytes },
    'x',
  )
}

test('loadModel() loads what was written, with its classes', async () => {
  const model = await loadModel(await tiny())
  expect(model.classes.names).toEqual(['nginx', 'cron', 'miner'])
  expect(model.classes.malicious).toEqual([false, false, true])
  expect(model.classes.claimedBy('nginx')).toBe(0)
  expect(model.classes.claimedBy('nobody')).toBeUndefined()
  await model.close()
})

test('modelClasses() takes the names of tools for their class, and no name for a claim to a behaviour', async () => {
  const { manifest } = tinyModel()
  const shape = { malicious: true, generic: false, background: false, windows: 1 }
  const classes = modelClasses({
    ...manifest,
    classes: [
      manifest.classes[0]!,
      { ...shape, name: 'crypto miner', behaviour: 'crypto-miner', tools: ['xmrig'] },
      { ...shape, name: 'use of a tool', malicious: false, behaviour: 'tool-use' },
    ],
  })
  expect(classes.behaviours).toEqual([undefined, 'crypto-miner', 'tool-use'])
  expect(classes.toolClassOf!('xmrig')).toBe(1)
  expect(classes.claimedBy('xmrig')).toBeUndefined()
  expect(classes.claimedBy('use of a tool')).toBeUndefined()
  expect(classes.toolClassOf!('use of a tool')).toBeUndefined()
})

test('modelClasses().claimedBy() lets nobody claim a malicious class, and follows the alias rules', async () => {
  const model = await open({ aliases: [{ pattern: 'nginx: *', class: 'nginx' }] })
  expect(model.classes.claimedBy('miner')).toBeUndefined()
  expect(model.classes.claimedBy('nginx: worker')).toBe(0)
  expect(model.classes.toolClassOf!('miner')).toBe(model.classes.names.indexOf('miner'))
  expect(model.classes.toolClassOf!('nginx')).toBeUndefined()
  await model.close()
})

describe('loadModel() refuses, saying what differs,', () => {
  test('weights that are not those of the manifest', async () => {
    const directory = await tiny()
    const path = join(directory, 'model.onnx')
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer())
    bytes[bytes.length >> 1]! ^= 1
    await writeFile(path, bytes)
    await expect(loadModel(directory)).rejects.toThrow(/SHA-256 [0-9a-f]{16}…, the manifest says/)
  })

  test('a directory that is not there, or holds no file of that name', async () => {
    await expect(loadModel('/nowhere/at/all')).rejects.toMatchObject({ code: 'ERR_MODEL' })
    const directory = await tiny()
    await rm(join(directory, 'model.onnx'))
    await mkdir(join(directory, 'model.onnx'))
    await expect(loadModel(directory)).rejects.toThrow('it is no file')
  })

  test('a file larger than any model, without reading it', async () => {
    const directory = await tiny()
    await truncate(join(directory, 'model.onnx'), MODEL_BYTES_MAX + 1)
    await expect(loadModel(directory)).rejects.toThrow(`at most ${MODEL_BYTES_MAX} are read`)
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['another format', { format: 2 }, 'format is 2, it should be 1'],
    ['another second', { frameMs: 500 }, 'frameMs is 500'],
    ['a frame too long to be kept', { frameMs: 60_000 }, 'frameMs is 60000, a sequence of 600 s'],
    ['a vocabulary without "other"', { vocabulary: ['read', 'write'] }, 'without "other"'],
    [
      'a vocabulary that is too short for its width',
      { vocabulary: ['other', 'read'] },
      'make rows of 2 numbers, the manifest says 5',
    ],
    [
      'a name twice in the vocabulary',
      { vocabulary: ['other', 'a', 'a', 'b', 'c'] },
      'a name twice',
    ],
    [
      'more classes than the graph has',
      { classes: ['a', 'b', 'c', 'd'].map((name) => ({ name, malicious: false })) },
      'gives logits of [2 × 3], the manifest says [2 × 4]',
    ],
    ['another state', { stateSize: 5 }, 'gives state of [2 × 4], the manifest says [2 × 5]'],
    ['one class', { classes: [{ name: 'a', malicious: false }] }, 'two or more'],
    [
      'a temperature of nothing',
      { calibration: { temperature: 0 } },
      'calibration.temperature is 0',
    ],
    ['a width beyond the bound', { width: 1e9 }, 'width is 1000000000'],
    [
      'a recipe that is none',
      { recipe: { name: 'x', families: [], power: 'a', rate: 'none' } },
      'recipe.power',
    ],
    ['an expiry that is no date', { expires: 'soon' }, 'expires is "soon"'],
    ['a prototype for a list', { classes: { length: 3 } }, 'classes is'],
  ])('%s', async (_, change, message) => {
    const failure = await open(change).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ code: 'ERR_MODEL' })
    expect((failure as Error).message).toContain(message)
  })

  test('a manifest that is no JSON', async () => {
    const { onnx } = tinyModel()
    await expect(
      openModel({ manifest: new TextEncoder().encode('{"a":'), onnx }, 'x'),
    ).rejects.toThrow('it is not JSON')
  })

  test('weights that are not numbers', async () => {
    const { net } = tinyModel()
    const parameters = initialParameters(net, 7)
    parameters['forward.input']![3] = Number.NaN
    await expect(open({}, exportNet(net, parameters))).rejects.toThrow(
      'weights that are not finite',
    )
  })

  test('bytes that are no ONNX file', async () => {
    await expect(open({}, new TextEncoder().encode('no model at all'))).rejects.toMatchObject({
      code: 'ERR_MODEL',
    })
  })

  test('a graph that takes other inputs', async () => {
    const graph = encodeOnnx({
      name: 'x',
      inputs: [{ name: 'rows', type: 'float32', dims: ['n', 10, 5] }],
      outputs: [{ name: 'logits', type: 'float32', dims: ['n', 10, 5] }],
      nodes: [{ op: 'Identity', inputs: ['rows'], outputs: ['logits'] }],
      constants: [],
    })
    await expect(open({}, graph)).rejects.toThrow('takes "rows", it should take "sequences"')
  })

  test('a graph with operators that no model of ours has', async () => {
    const graph = encodeOnnx({
      name: 'x',
      inputs: [{ name: 'sequences', type: 'float32', dims: ['n', 10, 5] }],
      outputs: [{ name: 'logits', type: 'float32', dims: ['n', 10, 5] }],
      nodes: [{ op: 'If', inputs: ['sequences'], outputs: ['logits'] }],
      constants: [],
    })
    await expect(open({}, graph)).rejects.toThrow('unsupported operators: If')
  })
})
