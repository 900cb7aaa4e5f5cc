/** Models as an aggregator offers them: made by `agent model push` from a directory. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pushModel } from '../../src/aggregator/push-model.ts'
import type { Store } from '../../src/aggregator/store/store.ts'
import type { Manifest } from '../../src/model/manifest.ts'
import { manifestText } from '../../src/train/save-model.ts'
import { detachSignature } from '../../src/wire/signed.ts'

/** The shipped model under another name: another digest, the same net. */
export function namedModel(directory: string, name: string): string {
  const target = join(directory, name)
  cpSync('models/default', target, { recursive: true })
  const path = join(target, 'manifest.json')
  const { digest: _, ...manifest } = JSON.parse(readFileSync(path, 'utf8')) as Manifest
  writeFileSync(path, manifestText({ ...manifest, name }))
  return target
}

export interface Offered {
  readonly version: number
  readonly digest: string
  /** Without its signature. */
  readonly head: Uint8Array
  readonly parts: readonly Uint8Array[]
}

export async function offerModel(
  store: Store,
  push: Parameters<typeof pushModel>[1],
): Promise<Offered> {
  const { site } = push
  const { version, digest } = await pushModel(store, push)
  const document = (await store.documents()).find(
    (one) => one.site === site && one.what === 'model',
  )
  return {
    ...{ version, digest, head: detachSignature(document!.body, undefined).payload },
    parts: await store.documentParts(document!),
  }
}
