/**
 * The one door to ONNX files as bytes: writes the graphs that train/ builds, and reads of a foreign file what
 * must be known before it is given to the runtime (operators, whether weights lie outside the file).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
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
} from 'onnx-buf'
import { AgentError } from '../domain/error.ts'

export type OnnxType = 'float32' | 'float64' | 'int64'
/** A dimension by number, or by name where it is only known at run time. */
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

export interface OnnxNode {
  readonly op: string
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

/** What a graph is made of, read without running it. */
export interface OnnxFacts {
  readonly opset: number
  readonly operators: ReadonlySet<string>
  /** True where weights are said to lie in other files, or functions and foreign operator sets are used. */
  readonly external: boolean
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** True where every float32 weight is a finite number. */
  readonly finite: boolean
}

const OPSET = 17
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
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(OPSET) })],
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

/** Throws ERR_MODEL where the bytes are no ONNX file. */
export function readOnnxFacts(bytes: Uint8Array): OnnxFacts {
  try {
    const model = fromBinary(ModelProtoSchema, bytes)
    const graph = model.graph
    if (graph === undefined) throw new Error('it holds no graph')
    return {
      opset: Number(model.opsetImport.find(({ domain }) => domain === '')?.version ?? 0n),
      operators: new Set(graph.node.map(({ opType }) => opType)),
      external:
        model.functions.length > 0 ||
        model.opsetImport.some(({ domain }) => domain !== '') ||
        graph.node.some(({ domain }) => domain !== '') ||
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
    }
  } catch (cause) {
    throw new AgentError(
      'ERR_MODEL',
      `Cannot read model.onnx: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
}

/** The float32 weights of a graph by name, as copies. Only for bytes whose facts were found good. */
export function readOnnxWeights(bytes: Uint8Array): ReadonlyMap<string, Float32Array> {
  const weights = new Map<string, Float32Array>()
  for (const { name, dataType, rawData } of fromBinary(ModelProtoSchema, bytes).graph
    ?.initializer ?? [])
    if (dataType === TensorProto_DataType.FLOAT) weights.set(name, floats(rawData))
  return weights
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
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.STRING,
    s: new TextEncoder().encode(value.string),
  })
}

function typeOf(data: OnnxConstant['data']): OnnxType {
  if (data instanceof Float32Array) return 'float32'
  return data instanceof Float64Array ? 'float64' : 'int64'
}

function floats(raw: Uint8Array): Float32Array {
  // Copied, because bytes within a file need not be aligned (and a Buffer's slice is no copy).
  const copy = new Uint8Array(raw)
  return new Float32Array(copy.buffer, 0, copy.length >> 2)
}

function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false
  return true
}
