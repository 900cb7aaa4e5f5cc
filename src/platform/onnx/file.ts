/**
 * Reads and writes ONNX files: writes the graphs that train/ builds, and reads from an untrusted
 * file what must be checked before the runtime opens it (operators, external weights, trees).
 */
import { clone, create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { AgentError } from '../../domain/error.ts'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  file_onnx,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx-schema.js'
import type { OnnxTrees } from './trees.ts'

export type OnnxType = 'float32' | 'float64' | 'int64'
/** A dimension: a number, or a name if it is only known at run time. */
export type OnnxDimension = number | string

export interface OnnxValue {
  readonly name: string
  readonly type: OnnxType
  readonly dims: readonly OnnxDimension[]
}

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly bytes: Uint8Array }
  | { readonly floats: Float32Array }
  | { readonly packed: ArrayLike<number> }

export interface OnnxNode {
  readonly op: string
  /** Operator set; without it, ONNX's own. */
  readonly domain?: typeof TREES_DOMAIN
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>
}

export interface OnnxConstant {
  readonly name: string
  readonly data: Float32Array | Float64Array | BigInt64Array
  readonly dims: readonly number[]
}

export interface OnnxGraph {
  readonly name: string
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly nodes: readonly OnnxNode[]
  readonly constants: readonly OnnxConstant[]
}

/** Facts about a graph, read without running it. */
export interface OnnxFacts {
  readonly opset: number
  readonly operators: ReadonlySet<string>
  /** True if weights are in other files, or functions or unknown operator sets are used. */
  readonly external: boolean
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** True if every float32 weight is finite. */
  readonly finite: boolean
  /** The forest beside the net. */
  readonly trees: OnnxTrees | undefined
}

const OPSET = 17
/** The one operator of another set, and that set. */
const TREES_OPERATOR = 'TreeEnsemble'
const TREES_DOMAIN = 'ai.onnx.ml'
const TREES_OPSET = 5
/** Sum of the leaves' weights, without a transform. */
const AGGREGATE_SUM = 1
const TRANSFORM_NONE = 0
const TYPES: Record<OnnxType, TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  int64: TensorProto_DataType.INT64,
}

/** The graph as an ONNX file; the same graph gives the same bytes. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'callsign',
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(OPSET) }),
      ...(graph.nodes.some(({ domain }) => domain === TREES_DOMAIN)
        ? [
            create(OperatorSetIdProtoSchema, {
              domain: TREES_DOMAIN,
              version: BigInt(TREES_OPSET),
            }),
          ]
        : []),
    ],
    graph: create(GraphProtoSchema, {
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
      initializer: graph.constants.map(({ name, data, dims }) =>
        create(TensorProtoSchema, {
          name,
          dims: dims.map(BigInt),
          dataType: TYPES[typeOf(data)],
          rawData: new Uint8Array(
            data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
          ) as Uint8Array<ArrayBuffer>,
        }),
      ),
      node: graph.nodes.map((node, index) =>
        create(NodeProtoSchema, {
          name: `${node.op}_${index}`,
          opType: node.op,
          domain: node.domain ?? '',
          input: [...node.inputs],
          output: [...node.outputs],
          attribute: Object.entries(node.attributes ?? {}).map(([name, value]) =>
            attribute(name, value),
          ),
        }),
      ),
    }),
  })
  return toBinary(ModelProtoSchema, model)
}

/** A TreeEnsemble node: rows in, the sum of their leaves' weights by class out. */
export function treesNode(trees: OnnxTrees, input: string, output: string): OnnxNode {
  return {
    op: TREES_OPERATOR,
    domain: TREES_DOMAIN,
    inputs: [input],
    outputs: [output],
    attributes: {
      nodes_splits: { floats: trees.splits },
      nodes_featureids: { packed: trees.columns },
      // Every node compares with "less or equal".
      nodes_modes: { bytes: new Uint8Array(trees.splits.length) },
      nodes_truenodeids: { packed: trees.left },
      nodes_falsenodeids: { packed: trees.right },
      nodes_trueleafs: { packed: trees.leftLeaf },
      nodes_falseleafs: { packed: trees.rightLeaf },
      leaf_targetids: { packed: trees.leafTargets },
      leaf_weights: { floats: trees.leafWeights },
      tree_roots: { packed: trees.roots },
      n_targets: { int: trees.targets },
      aggregate_function: { int: AGGREGATE_SUM },
      post_transform: { int: TRANSFORM_NONE },
    },
  }
}

/**
 * @throws AgentError ERR_MODEL if the bytes are not an ONNX file, or contain trees of a kind that
 *   we do not write
 */
export function readOnnxFacts(bytes: Uint8Array): OnnxFacts {
  try {
    const model = readModel(bytes)
    const graph = model.graph
    if (graph === undefined) throw new Error('it holds no graph')
    return {
      opset: Number(model.opsetImport.find(({ domain }) => domain === '')?.version ?? 0n),
      operators: new Set(graph.node.filter((node) => !isTrees(node)).map(({ opType }) => opType)),
      external:
        model.functions.length > 0 ||
        model.opsetImport.some(
          ({ domain, version }) =>
            domain !== '' && !(domain === TREES_DOMAIN && version === BigInt(TREES_OPSET)),
        ) ||
        graph.node.some((node) => node.domain !== '' && !isTrees(node)) ||
        graph.sparseInitializer.length > 0 ||
        graph.initializer.some(
          ({ dataLocation, externalData }) =>
            dataLocation === TensorProto_DataLocation.EXTERNAL || externalData.length > 0,
        ),
      inputs: graph.input.map(({ name }) => name),
      outputs: graph.output.map(({ name }) => name),
      finite: graph.initializer.every(
        ({ dataType, rawData, floatData }) =>
          dataType !== TensorProto_DataType.FLOAT ||
          (allFinite(floats(rawData)) && allFinite(floatData)),
      ),
      trees: treesOf(graph.node),
    }
  } catch (cause) {
    throw new AgentError(
      'ERR_MODEL',
      `Cannot read model.onnx: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
}

/** Copies of the float32 weights of a graph by name. Only for checked files. */
export function readOnnxWeights(bytes: Uint8Array): ReadonlyMap<string, Float32Array> {
  const weights = new Map<string, Float32Array>()
  for (const { name, dataType, rawData } of readModel(bytes).graph?.initializer ?? [])
    if (dataType === TensorProto_DataType.FLOAT) weights.set(name, floats(rawData))
  return weights
}

/**
 * The graph without its last nodes and the weights that only they read; what went into them gets
 * the name of what came out. Undefined where the graph does not end with exactly these nodes.
 */
export function cutOnnx(
  bytes: Uint8Array,
  last: readonly OnnxNode[],
  { from, to }: { readonly from: string; readonly to: string },
): Uint8Array | undefined {
  const model = readModel(bytes)
  const graph = model.graph
  if (graph === undefined) return undefined
  const end = graph.node.slice(-last.length)
  const isSame = ({ opType, input, output }: NodeProto, i: number) =>
    opType === last[i]!.op &&
    input.join('\n') === last[i]!.inputs.join('\n') &&
    output.join('\n') === last[i]!.outputs.join('\n')
  if (end.length < last.length || !end.every(isSame)) return undefined
  graph.node = graph.node.slice(0, -last.length)
  const makers = graph.node.filter(({ output }) => output.includes(from))
  if (makers.length !== 1) return undefined
  for (const node of makers) node.output = node.output.map((name) => (name === from ? to : name))
  const read = new Set(graph.node.flatMap(({ input }) => input))
  if (read.has(from)) return undefined
  graph.initializer = graph.initializer.filter(({ name }) => read.has(name))
  model.opsetImport = model.opsetImport.filter(({ domain }) => domain !== TREES_DOMAIN)
  return toBinary(leanSchema(), model)
}

function isTrees({ opType, domain }: NodeProto): boolean {
  return opType === TREES_OPERATOR && domain === TREES_DOMAIN
}

/** The trees of a graph, at most one forest of them. */
function treesOf(nodes: readonly NodeProto[]): OnnxTrees | undefined {
  const [node, second] = nodes.filter(isTrees)
  if (node === undefined) return undefined
  const refuse = (what: string): never => {
    throw new Error(`its ${TREES_OPERATOR} has ${what}`)
  }
  if (second !== undefined) refuse('another beside it')
  const attributes = new Map(node.attribute.map((value) => [value.name, value]))
  if (attributes.size !== node.attribute.length) refuse('an attribute twice')
  const take = (name: string, type: AttributeProto_AttributeType): AttributeProto => {
    const found = attributes.get(name)
    if (found?.type !== type) return refuse(`no ${name} of the right kind`)
    attributes.delete(name)
    return found
  }
  const whole = (value: bigint): number =>
    value >= 0n && value <= 0x7fff_ffffn ? Number(value) : refuse(`an index ${value}`)
  const integer = (name: string) => whole(take(name, AttributeProto_AttributeType.INT).i)
  const integers = (name: string) =>
    unpackedInts(take(name, AttributeProto_AttributeType.INTS)) ??
    refuse(`no ${name} as one run of indexes`)
  const flags = (name: string) =>
    Uint8Array.from(integers(name), (flag) => (flag <= 1 ? flag : refuse(`a mark ${flag}`)))
  const tensor = (name: string, type: TensorProto_DataType): Uint8Array => {
    const { t } = take(name, AttributeProto_AttributeType.TENSOR)
    const size = type === TensorProto_DataType.FLOAT ? 4 : 1
    if (
      t?.dataType !== type ||
      t.externalData.length > 0 ||
      t.floatData.length > 0 ||
      t.int32Data.length > 0 ||
      t.dataLocation === TensorProto_DataLocation.EXTERNAL ||
      t.dims.length !== 1 ||
      t.dims[0] !== BigInt(t.rawData.length / size)
    )
      return refuse(`no ${name} in the file`)
    return t.rawData
  }
  const trees = {
    splits: floats(tensor('nodes_splits', TensorProto_DataType.FLOAT)),
    columns: integers('nodes_featureids'),
    left: integers('nodes_truenodeids'),
    right: integers('nodes_falsenodeids'),
    leftLeaf: flags('nodes_trueleafs'),
    rightLeaf: flags('nodes_falseleafs'),
    leafTargets: integers('leaf_targetids'),
    leafWeights: floats(tensor('leaf_weights', TensorProto_DataType.FLOAT)),
    roots: integers('tree_roots'),
    targets: integer('n_targets'),
  }
  const modes = tensor('nodes_modes', TensorProto_DataType.UINT8)
  if (modes.length !== trees.columns.length || modes.some((mode) => mode !== 0))
    refuse('nodes with another comparison than "less or equal"')
  if (integer('aggregate_function') !== AGGREGATE_SUM) refuse('another aggregate than the sum')
  if (integer('post_transform') !== TRANSFORM_NONE) refuse('a transform after the sum')
  if (attributes.size > 0) refuse(`an attribute "${[...attributes.keys()][0]}"`)
  return trees
}

function valueInfo(value: OnnxValue): ValueInfoProto {
  const dim = value.dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'number'
          ? { case: 'dimValue', value: BigInt(size) }
          : { case: 'dimParam', value: size },
    }),
  )
  return create(ValueInfoProtoSchema, {
    name: value.name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: create(TypeProto_TensorSchema, {
          elemType: TYPES[value.type],
          shape: create(TensorShapeProtoSchema, { dim }),
        }),
      },
    }),
  })
}

function attribute(name: string, value: OnnxAttribute): AttributeProto {
  if ('int' in value)
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.INT,
      i: BigInt(value.int),
    })
  if ('ints' in value)
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.INTS,
      ints: value.ints.map(BigInt),
    })
  if ('float' in value)
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.FLOAT,
      f: value.float,
    })
  if ('floats' in value)
    return tensorAttribute(name, TensorProto_DataType.FLOAT, value.floats.length, value.floats)
  if ('bytes' in value)
    return tensorAttribute(name, TensorProto_DataType.UINT8, value.bytes.length, value.bytes)
  if ('packed' in value) {
    const packed = create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS })
    packed.$unknown = [
      { no: INTS_FIELD, wireType: LENGTH_DELIMITED, data: packedInts(value.packed) },
    ]
    return packed
  }
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.STRING,
    s: new TextEncoder().encode(value.string),
  })
}

function tensorAttribute(
  name: string,
  dataType: TensorProto_DataType,
  size: number,
  data: Float32Array | Uint8Array,
): AttributeProto {
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.TENSOR,
    t: create(TensorProtoSchema, {
      dims: [BigInt(size)],
      dataType,
      rawData: new Uint8Array(
        data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
      ) as Uint8Array<ArrayBuffer>,
    }),
  })
}

/**
 * `AttributeProto.ints` in packed encoding. ONNX's schema writes a tag before each number; every
 * Protocol Buffers reader accepts both, and a forest becomes a quarter smaller.
 */
const INTS_FIELD = 8
const LENGTH_DELIMITED = 2
function packedInts(values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const run: number[] = []
  const varint = (value: number, to: number[]) => {
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) to.push((rest & 0x7f) | 0x80)
    to.push(rest)
  }
  for (let i = 0; i < values.length; i++) varint(values[i]!, run)
  const length: number[] = []
  varint(run.length, length)
  return Uint8Array.from(length.concat(run))
}

/** Inverse of `packedInts`; undefined for anything else, or a number beyond 31 bits. */
function unpackedInts({ $unknown }: AttributeProto): Int32Array | undefined {
  const [field, second] = ($unknown ?? []).filter(({ no }) => no === INTS_FIELD)
  if (field?.wireType !== LENGTH_DELIMITED || second !== undefined) return undefined
  const { data } = field
  const values = new Int32Array(data.length)
  let count = -1 // the length comes first
  let value = 0
  let shift = 0
  for (let at = 0; at < data.length; at++) {
    const byte = data[at]!
    if (shift === 28 && byte > 0x07) return undefined
    value |= (byte & 0x7f) << shift
    shift += 7
    if (byte > 0x7f) continue
    if (count < 0 && value !== data.length - at - 1) return undefined
    if (count >= 0) values[count] = value
    count++
    value = 0
    shift = 0
  }
  return shift === 0 ? values.slice(0, Math.max(0, count)) : undefined
}

/**
 * Parses an ONNX file, except `AttributeProto.ints`, which stay bytes in `$unknown`: the library
 * would make a BigInt of each, and a forest has a million of them (measured: 570 ms and 170 MB,
 * instead of 6 ms).
 */
function readModel(bytes: Uint8Array): ModelProto {
  return fromBinary(leanSchema(), bytes)
}

let lean: typeof ModelProtoSchema | undefined

function leanSchema(): typeof ModelProtoSchema {
  if (lean !== undefined) return lean
  const file = clone(FileDescriptorProtoSchema, file_onnx.proto)
  for (const message of file.messageType)
    if (message.name === 'AttributeProto')
      message.field = message.field.filter(({ number }) => number !== INTS_FIELD)
  const found = createFileRegistry(file, () => undefined).getMessage(ModelProtoSchema.typeName)
  lean = found as typeof ModelProtoSchema
  return lean
}

function typeOf(data: OnnxConstant['data']): OnnxType {
  if (data instanceof Float32Array) return 'float32'
  return data instanceof Float64Array ? 'float64' : 'int64'
}

function floats(raw: Uint8Array): Float32Array {
  // Copied, because bytes within a file may be unaligned (and a Buffer's slice is not a copy).
  const copy = new Uint8Array(raw)
  return new Float32Array(copy.buffer, 0, copy.length >> 2)
}

function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false
  return true
}
