/**
 * Writes a model directory: weights, manifest, card. Everything is written beside the target and
 * then moved, so that an interrupted write leaves the old model intact.
 */
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { type Manifest, manifestDigest } from '../model/manifest.ts'
import { CARD_FILE, MANIFEST_FILE, ONNX_FILE, REFERENCES_FILE } from '../model/model.ts'

export interface SavedModel {
  readonly onnx: Uint8Array
  readonly manifest: Manifest
  readonly references?: Uint8Array
}

export async function saveModel(
  directory: string,
  { onnx, manifest, references }: SavedModel,
  card: string,
): Promise<void> {
  const target = resolve(directory)
  try {
    await mkdir(dirname(target), { recursive: true })
    const fresh = await mkdtemp(`${target}.new-`)
    await writeFile(join(fresh, ONNX_FILE), onnx)
    await writeFile(join(fresh, MANIFEST_FILE), manifestText(manifest))
    if (references !== undefined) await writeFile(join(fresh, REFERENCES_FILE), references)
    await writeFile(join(fresh, CARD_FILE), card)
    await chmod(fresh, 0o755)
    const old = `${fresh}.old`
    await rename(target, old).catch(() => undefined)
    await rename(fresh, target)
    await rm(old, { recursive: true, force: true })
  } catch (cause) {
    throw new AgentError(
      'ERR_DISK',
      `Cannot write model directory "${directory}": ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
}

/** One field a line, so that two manifests can be compared; lists stay on their line. */
export function manifestText(manifest: Manifest): string {
  const digest = manifestDigest(manifest)
  const fields = Object.entries({ ...manifest, digest }).map(([key, value]) => {
    const text =
      key === 'classes' || key === 'aliases' || key === 'data'
        ? `[\n${(value as unknown[]).map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`
        : JSON.stringify(value)
    return `  ${JSON.stringify(key)}: ${text}`
  })
  return `{\n${fields.join(',\n')}\n}\n`
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
