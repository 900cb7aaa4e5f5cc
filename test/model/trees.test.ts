/**
 * What a model file may say with trees: each way to make ONNX Runtime hang, fall or read elsewhere
 * is refused before it is asked.
 */
import { describe, expect, test } from 'bun:test'
import { FOREST_DEPTH_MAX, FOREST_TREES_MAX } from '../../src/domain/limits.ts'
import { openModel } from '../../src/model/model.ts'
import { troubleWithTrees } from '../../src/model/trees.ts'
import {
  encodeOnnx,
  type OnnxAttribute,
  type OnnxNode,
  readOnnxFacts,
  treesNode,
} from '../../src/platform/onnx/file.ts'
import { onnxRuntime } from '../../src/platform/onnx/runtime.ts'
import type { OnnxTrees } from '../../src/platform/onnx/trees.ts'
import { exportNet } from '../../src/train/net/export.ts'
import { initialParameters } from '../../src/train/net/nets.ts'
import { Random } from '../../src/train/random.ts'
import { sha256 } from '../../src/train/save-model.ts'
import { tinyModel } from '../support/tiny-model.ts'

/** Node 0 has a leaf and node 1 below it, node 1 two leaves. */
const good: OnnxTrees = {
  targets: 3,
  columns: Int32Array.of(0, 1),
  splits: Float32Array.of(0.5, 0.25),
  left: Int32Array.of(0, 1),
  right: Int32Array.of(1, 2),
  leftLeaf: Uint8Array.of(1, 1),
  rightLeaf: Uint8Array.of(0, 1),
  leafTargets: Int32Array.of(0, 1, 2),
  leafWeights: Float32Array.of(1, 1, 1),
  roots: Int32Array.of(0),
}

function graphOf(nodes: readonly OnnxNode[], width = 2): Uint8Array {
  return encodeOnnx({
    name: 'x',
    inputs: [{ name: 'row', type: 'float32', dims: ['n', width] }],
    outputs: [{ name: 'votes', type: 'float32', dims: ['n', 3] }],
    nodes,
    constants: [],
  })
}

/** A path of so many nodes, each with a leaf to its left. */
function path(nodes: number): OnnxTrees {
  const upTo = (n: number) => Int32Array.from({ length: n }, (_, i) => i)
  return {
    targets: 1,
    columns: new Int32Array(nodes),
    splits: new Float32Array(nodes),
    left: upTo(nodes),
    right: upTo(nodes).map((i) => i + 1),
    leftLeaf: new Uint8Array(nodes).fill(1),
    rightLeaf: new Uint8Array(nodes).fill(1, nodes - 1),
    leafTargets: new Int32Array(nodes + 1),
    leafWeights: new Float32Array(nodes + 1),
    roots: Int32Array.of(0),
  }
}

describe('troubleWithTrees()', () => {
  test('finds none in trees, be they as deep as is allowed', () => {
    expect(troubleWithTrees(good, 2)).toBeUndefined()
    expect(troubleWithTrees(path(FOREST_DEPTH_MAX), 1)).toBeUndefined()
  })

  test.each<[string, Partial<OnnxTrees>, string]>([
    ['no tree', { roots: new Int32Array(0) }, '0 trees'],
    ['too many trees', { roots: new Int32Array(FOREST_TREES_MAX + 1) }, 'are allowed'],
    ['a tree from nowhere', { roots: Int32Array.of(2) }, 'begins at node 2 of 2'],
    ['the same tree twice', { roots: Int32Array.of(0, 0) }, 'a node with two parents'],
    ['a way back up', { right: Int32Array.of(0, 2) }, 'a node 0 below node 0'],
    [
      'a way round',
      { right: Int32Array.of(1, 0), rightLeaf: Uint8Array.of(0, 0) },
      'a node 0 below node 1',
    ],
    [
      'two ways to one node, which would be walked twice as often at each level',
      { left: Int32Array.of(1, 1), leftLeaf: Uint8Array.of(0, 1) },
      'a node with two parents',
    ],
    ['two ways to one leaf', { right: Int32Array.of(1, 1) }, 'a leaf with two parents'],
    [
      'a leaf that nobody reaches',
      { leafTargets: Int32Array.of(0, 1, 2, 0), leafWeights: new Float32Array(4) },
      'a leaf without a parent',
    ],
    [
      'a node that nobody reaches',
      { right: Int32Array.of(2, 1), rightLeaf: Uint8Array.of(1, 1) },
      'has none',
    ],
    ['a node past the end', { right: Int32Array.of(7, 2) }, 'a node 7'],
    ['a leaf past the end', { left: Int32Array.of(3, 1) }, 'a leaf 3 of 3'],
    ['a negative leaf', { left: Int32Array.of(-1, 1) }, 'a leaf -1'],
    ['a negative column', { columns: Int32Array.of(0, -1) }, 'a column -1'],
    ['a column past the end', { columns: Int32Array.of(0, 2) }, 'a column 2 of 2'],
    ['a class past the end', { leafTargets: Int32Array.of(0, 1, 3) }, 'a class 3 of 3'],
    ['a negative class', { leafTargets: Int32Array.of(0, -1, 2) }, 'a class -1'],
    ['a split that is no number', { splits: Float32Array.of(Number.NaN, 0) }, 'no finite number'],
    [
      'an endless weight',
      { leafWeights: Float32Array.of(1, Number.POSITIVE_INFINITY, 1) },
      'a weight that is no finite number',
    ],
    ['lists of two lengths', { splits: Float32Array.of(0.5) }, 'lists of 2 and 1 nodes'],
    ['leaves without weights', { leafWeights: Float32Array.of(1) }, 'lists of 3 and 1 leaves'],
    ['a mark that is neither', { leftLeaf: Uint8Array.of(1, 2) }, 'a mark of leaves that is 2'],
  ])('finds %s', (_, change, trouble) => {
    expect(troubleWithTrees({ ...good, ...change }, 2)).toContain(trouble)
  })

  test('finds a tree so deep that whoever walks it by recursion falls', () => {
    expect(troubleWithTrees(path(FOREST_DEPTH_MAX + 1), 1)).toContain(
      `deeper than ${FOREST_DEPTH_MAX}`,
    )
  })

  test('finds more nodes than are allowed, before it looks at any', () => {
    expect(troubleWithTrees(path(600_000), 1)).toContain('1200001 nodes and leaves')
  })
})

describe('readOnnxFacts()', () => {
  test('takes trees for nothing foreign, and gives them', () => {
    const facts = readOnnxFacts(graphOf([treesNode(good, 'row', 'votes')]))
    expect(facts.external).toBe(false)
    expect(facts.operators.size).toBe(0)
    expect(facts.trees).toEqual(good)
  })

  test.each<[string, Record<string, OnnxAttribute | undefined>, string]>([
    [
      'another question than "less or equal"',
      { nodes_modes: { bytes: Uint8Array.of(0, 3) } },
      'nodes with another comparison',
    ],
    [
      'fewer questions than nodes',
      { nodes_modes: { bytes: Uint8Array.of(0) } },
      'nodes with another comparison',
    ],
    ['another aggregate', { aggregate_function: { int: 2 } }, 'another aggregate'],
    ['a transform', { post_transform: { int: 1 } }, 'a transform'],
    [
      'an attribute that ours has not',
      { membership_values: { floats: Float32Array.of(1) } },
      'an attribute "membership_values"',
    ],
    ['no roots', { tree_roots: undefined }, 'no tree_roots'],
    ['roots of another kind', { tree_roots: { int: 0 } }, 'no tree_roots of the right kind'],
    [
      'splits of another kind',
      { nodes_splits: { bytes: Uint8Array.of(1, 2) } },
      'no nodes_splits in the file',
    ],
    ['an index beyond 31 bits', { n_targets: { int: 2 ** 40 } }, 'an index 1099511627776'],
    ['a negative index', { n_targets: { int: -3 } }, 'an index -3'],
    ['indexes that are not one run', { tree_roots: { ints: [0] } }, 'no tree_roots as one run'],
    [
      'an index beyond 31 bits in a run, of which we would read less than the runtime',
      { tree_roots: { packed: [2 ** 31] } },
      'no tree_roots as one run',
    ],
    ['a mark that is neither', { nodes_trueleafs: { packed: [1, 2] } }, 'a mark 2'],
  ])('refuses %s', (_, change, message) => {
    const node = treesNode(good, 'row', 'votes')
    const attributes = Object.fromEntries(
      Object.entries({ ...node.attributes, ...change }).filter(
        (entry): entry is [string, OnnxAttribute] => entry[1] !== undefined,
      ),
    )
    expect(() => readOnnxFacts(graphOf([{ ...node, attributes }]))).toThrow(message)
  })

  test('refuses two forests, and calls any other operator of that set foreign', () => {
    const node = treesNode(good, 'row', 'votes')
    expect(() => readOnnxFacts(graphOf([node, { ...node, outputs: ['more'] }]))).toThrow(
      'another beside it',
    )
    const { external } = readOnnxFacts(graphOf([{ ...node, op: 'SVMClassifier' }]))
    expect(external).toBe(true)
  })
})

/** A whole model with these trees beside its net. */
function modelWith(trees: OnnxTrees) {
  const { manifest, net } = tinyModel()
  const forest = { trees, known: 3, weight: 0.5, temperature: 1 }
  const onnx = exportNet(net, initialParameters(net, 7), { forest, recipe: manifest.recipe })
  const text = JSON.stringify({ ...manifest, id: sha256(onnx) })
  return openModel({ manifest: new TextEncoder().encode(text), onnx }, 'x')
}

describe('openModel()', () => {
  test('opens a net with a forest beside it', async () => {
    await (await modelWith(good)).close()
  })

  test('refuses trees that go round, and columns that no row has', async () => {
    await expect(modelWith({ ...good, right: Int32Array.of(0, 2) })).rejects.toMatchObject({
      code: 'ERR_MODEL',
    })
    await expect(modelWith({ ...good, columns: Int32Array.of(0, 6) })).rejects.toThrow(
      'trees that must not be run: a column 6 of 6',
    )
  })

  test('opens or refuses with ERR_MODEL whatever bytes of the forest are others', async () => {
    const { manifest, net } = tinyModel()
    const forest = { trees: { ...path(20), targets: 3 }, known: 3, weight: 0.5, temperature: 1 }
    const good = exportNet(net, initialParameters(net, 7), { forest, recipe: manifest.recipe })
    const begin = Buffer.from(good).indexOf('nodes_splits')
    const random = new Random(4)
    const seen = { opened: 0, refused: 0 }
    for (let i = 0; i < 300; i++) {
      const onnx = good.slice()
      onnx[begin + random.below(700)] = random.below(256)
      const text = JSON.stringify({ ...manifest, id: sha256(onnx) })
      const opened = await openModel({ manifest: new TextEncoder().encode(text), onnx }, 'x').catch(
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'ERR_MODEL' })
        },
      )
      seen[opened === undefined ? 'refused' : 'opened']++
      await opened?.close()
    }
    // What changes a threshold is another forest, but a good one.
    expect(seen.refused).toBeGreaterThan(50)
    expect(seen.opened).toBeGreaterThan(20)
  })

  test('and where rows are narrower than the manifest says, ONNX Runtime refuses by itself', async () => {
    const runtime = await onnxRuntime()
    const narrow = graphOf([treesNode({ ...good, columns: Int32Array.of(0, 5) }, 'row', 'votes')])
    const session = await runtime.open(narrow)
    await expect(session.run({ row: runtime.tensor(new Float32Array(4), [2, 2]) })).rejects.toThrow(
      'feature',
    )
    await session.close()
  })
})
