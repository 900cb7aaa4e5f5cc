/**
 * A model's files and a host's buffered seconds to the files of an adaptation: `adapt.ts` between
 * bytes and bytes.
 */
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { type AdaptationFigures, encodeAdaptation } from '../model/adaptation.ts'
import { hostRowWidth } from '../model/host-rows.ts'
import { type ModelFiles, openModel, referencesOf } from '../model/model.ts'
import { decodeRowSet, encodeRowSet } from '../model/row-set.ts'
import { collectGarbage } from '../platform/heap.ts'
import { adapt } from './adapt.ts'
import { type SampleOptions, sampleHost } from './data/host-sample.ts'

export interface AdaptedHost {
  /** Of the model. */
  readonly model: string
  /** Unix second of the last frame. */
  readonly at: number
  /** Undefined where it is no better than the shared model; `refused` then says why. */
  readonly adaptation: Uint8Array | undefined
  readonly refused: string | undefined
  readonly figures: AdaptationFigures
  /** To be given as `kept` the next time. */
  readonly rows: Uint8Array
  readonly quarantinedNames: readonly string[]
}

/** @param read gives the host's seconds, and what was held against its processes */
export async function adaptHost(
  { files, where }: { readonly files: ModelFiles; readonly where: string },
  kept: Uint8Array | undefined,
  read: <T>(take: (frames: Iterable<Frame>, suspects: SampleOptions) => Promise<T>) => Promise<T>,
): Promise<AdaptedHost> {
  const model = await openModel(files, where)
  const { references: stated } = model.manifest
  if (files.references === undefined || stated === undefined) {
    await model.close()
    throw new AgentError('ERR_MODEL', `Cannot adapt model "${where}": it brings no references`, {
      hint: 'Use the model that came with the agent, or train one anew with "agent train"',
    })
  }
  const sample = await read((frames, suspects) => sampleHost(model, frames, suspects)).finally(() =>
    model.close(),
  )
  // What the windows were made of is not needed for growing trees.
  collectGarbage()
  const references = referencesOf(files, model)!
  // Damaged rows, or those of another model, are only missed.
  const rows = kept && decodeRowSet(kept, hostRowWidth(model.manifest.width))
  const made = adapt({
    ...{ model, references, sample, now: sample.to },
    ...defined({ kept: rows }),
  })
  return {
    model: model.manifest.id,
    at: sample.to,
    adaptation: made.adaptation && encodeAdaptation(made.adaptation),
    refused: made.refused,
    figures: made.figures,
    rows: encodeRowSet(made.rows),
    quarantinedNames: sample.quarantinedNames,
  }
}
