/**
 * A model that an aggregator offers to all agents of a site: a retained, signed head on
 * `fleet/model`, and its bytes in parts on `fleet/model-0`, `fleet/model-1`, … A part is no longer
 * than any other message, so no broker and no agent needs other bounds for it, and each host asks for
 * one part at a time. The head holds the SHA-256 of each part: parts need no signature of their own.
 *
 * The bytes are the files one after the other, not compressed: what arrives is as long as the head
 * says.
 */
import {
  FLEET_MODEL_BYTES_MAX,
  FLEET_MODEL_HEAD_BYTES_MAX,
  FLEET_MODEL_SPREAD_S_MAX,
  FLEET_PART_BYTES,
  FLEET_PARTS_MAX,
} from '../domain/limits.ts'
import {
  type Decoded,
  type Field,
  type Fields,
  parseJson,
  reading,
  refuse,
} from '../domain/untrusted.ts'
import { type FleetDocument, readHead } from './fleet-document.ts'

/** In this order; the first two are never absent. */
export const FLEET_MODEL_FILES = [
  'manifest.json',
  'model.onnx',
  'references.bin',
  'signature',
] as const
export type FleetModelFile = (typeof FLEET_MODEL_FILES)[number]

export interface FleetModel extends FleetDocument {
  readonly what: 'model'
  /** SHA-256 over net and manifest, and that of the net. */
  readonly digest: string
  readonly id: string
  readonly files: readonly { readonly name: FleetModelFile; readonly bytes: number }[]
  /** SHA-256 of each part. */
  readonly parts: readonly string[]
  /** Hosts begin to fetch it over so many seconds. */
  readonly spread: number
}

const HASH = /^[0-9a-f]{64}$/
const utf8 = new TextEncoder()

export function encodeFleetModel(model: FleetModel): Uint8Array {
  return utf8.encode(JSON.stringify(model))
}

/** @param payload without its signature */
export function decodeFleetModel(payload: Uint8Array): Decoded<FleetModel> {
  return reading(() => {
    const fields = parseJson(payload, FLEET_MODEL_HEAD_BYTES_MAX)
    const head = readHead(fields, 'model')
    const files = fields.objects('files', FLEET_MODEL_FILES.length).map(readFile)
    const names = FLEET_MODEL_FILES.filter((name) => files.some((file) => file.name === name))
    const isOrdered = names.length === files.length && names.every((n, i) => n === files[i]!.name)
    if (!isOrdered || !names.includes('manifest.json') || !names.includes('model.onnx'))
      refuse('bad-field(files)')
    const total = totalOf(files)
    if (total > FLEET_MODEL_BYTES_MAX) refuse('too-long')
    const parts = fields.field('parts').items(FLEET_PARTS_MAX).map(hashOf)
    if (parts.length !== Math.ceil(total / FLEET_PART_BYTES)) refuse('bad-field(parts)')
    return {
      ...head,
      digest: hashOf(fields.field('digest')),
      id: hashOf(fields.field('id')),
      files,
      parts,
      spread: fields.integer('spread', 0, FLEET_MODEL_SPREAD_S_MAX),
    }
  })
}

export function totalOf(files: FleetModel['files']): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** What a part is as long as. @param index of the parts of this model */
export function partLength({ files, parts }: FleetModel, index: number): number {
  const isLast = index === parts.length - 1
  return isLast ? totalOf(files) - FLEET_PART_BYTES * (parts.length - 1) : FLEET_PART_BYTES
}

/** Views of the bytes. */
export function partsOf(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.length / FLEET_PART_BYTES)
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * FLEET_PART_BYTES, (i + 1) * FLEET_PART_BYTES),
  )
}

function readFile(fields: Fields): FleetModel['files'][number] {
  return {
    name: fields.oneOf('name', FLEET_MODEL_FILES),
    bytes: fields.integer('bytes', 1, FLEET_MODEL_BYTES_MAX),
  }
}

function hashOf(field: Field): string {
  const text = field.text(64)
  return HASH.test(text) ? text : field.bad('a SHA-256 in hexadecimal digits')
}
