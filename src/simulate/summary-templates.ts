/**
 * Recorded summaries as templates: site, host and numbers are put into the bytes, where encoding
 * each anew would cost more than all that is to be measured. The fields stand at the head of the
 * payload and take as many bytes as in the recording: names of one length, numbers of four or eight
 * bytes.
 */
import { readAsset } from '../platform/assets.ts'
import type { Origin } from '../wire/origin.ts'

const RECORDED = 'models/recordings/fleet/summaries.ndjson.zst'
/** Names in the templates: what is put in has the same length. */
export const TEMPLATE_SITE = 'site0000'
export const TEMPLATE_HOST = 'host00000'
/** In the templates and above, numbers take four bytes; a boot, in milliseconds, eight. */
export const SEQ_FIRST = 65_536

const ascii = new TextEncoder()

export class SummaryTemplate {
  readonly bytes: Uint8Array
  readonly #site: number
  readonly #host: number
  readonly #at: Readonly<Record<'boot' | 'seq' | 'from' | 'to', number>>

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#site = after(bytes, TEMPLATE_SITE) - TEMPLATE_SITE.length
    this.#host = after(bytes, TEMPLATE_HOST) - TEMPLATE_HOST.length
    // A key of CBOR begins with its kind and length, which are the letters b (2), c (3) and d (4)
    // here.
    const number = (key: string): number => after(bytes, key) + 1
    this.#at = {
      boot: number('dboot'),
      seq: number('cseq'),
      from: number('dfrom'),
      to: number('bto'),
    }
  }

  fill({ site, host, boot, seq }: Origin, toSeconds: number): Uint8Array {
    const bytes = this.bytes.slice()
    bytes.set(ascii.encode(site), this.#site)
    bytes.set(ascii.encode(host), this.#host)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(this.#at.boot, BigInt(boot))
    view.setUint32(this.#at.seq, seq)
    view.setUint32(this.#at.from, toSeconds - 59)
    view.setUint32(this.#at.to, toSeconds)
    return bytes
  }
}

export function readSummaryTemplates(): SummaryTemplate[] {
  const text = new TextDecoder().decode(Bun.zstdDecompressSync(readAsset(RECORDED)))
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const { payload } = JSON.parse(line) as { payload: string }
      return new SummaryTemplate(new Uint8Array(Buffer.from(payload, 'base64')))
    })
}

/** Where the first appearance of a text ends. */
function after(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text) + text.length
}
