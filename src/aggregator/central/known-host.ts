/**
 * What the store keeps of a host that is classified here, as bytes: where its stream stood, what
 * its detector knows, its memory, and its last seconds, from which sequences go on.
 *
 *   version u8 | JSON | memory | payload of the last message of vectors
 *
 * Written by aggregators into their own store; what is not whole is none, and the host is learned
 * anew.
 */
import type { HostKnowledge } from '../../classify/host-pipeline.ts'
import { defined } from '../../domain/defined.ts'
import { parseJson, reading } from '../../domain/untrusted.ts'
import { VarintReader, VarintWriter } from '../../domain/varint.ts'

const VERSION = 1
const utf8 = new TextEncoder()

/** Where the stream of a host stands. */
export interface StreamPlace {
  readonly boot: number
  readonly seq: number
  /** Unix second of the last frame. */
  readonly last: number
}

export interface KnownHost {
  readonly place: StreamPlace
  /** States of one net mean nothing to another. */
  readonly model: string
  readonly knowledge: HostKnowledge
  readonly payload: Uint8Array
}

export function encodeKnownHost({ place, model, knowledge, payload }: KnownHost): Uint8Array {
  const { memory, hostLevel, causes, counts } = knowledge
  const out = new VarintWriter(1)
  out.bytes(utf8.encode(JSON.stringify({ ...place, model, hostLevel, causes, counts })))
  out.bytes(memory)
  out.bytes(payload)
  const bytes = out.finish().slice()
  bytes[0] = VERSION
  return bytes
}

export function decodeKnownHost(bytes: Uint8Array): KnownHost | undefined {
  const decoded = reading((): KnownHost | undefined => {
    if (bytes[0] !== VERSION) return undefined
    const read = new VarintReader(bytes.subarray(1))
    const fields = parseJson(read.bytes())
    const causes = fields.raw('causes')
    const counts = fields.raw('counts') as HostKnowledge['counts']
    return {
      place: {
        boot: fields.integer('boot'),
        seq: fields.integer('seq'),
        last: fields.integer('last'),
      },
      model: fields.text('model', 128),
      knowledge: {
        hostLevel: fields.raw('hostLevel'),
        causes: Array.isArray(causes) ? causes : [],
        ...defined({ counts }),
        memory: read.bytes().slice(),
      },
      payload: read.bytes().slice(),
    }
  })
  return decoded.ok ? decoded.value : undefined
}
