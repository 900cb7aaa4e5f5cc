/** The agent's stages as `watch` puts them together, over the recorded laboratory host. */
import { join } from 'node:path'
import { type Agent, type AgentOptions, openAgent } from '../../src/agent/agent.ts'
import { ingest } from '../../src/agent/ingest.ts'
import { openFiles } from '../../src/agent/sources.ts'
import { Counter } from '../../src/count/counter.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Model } from '../../src/model/model.ts'
import type { Output } from '../../src/outputs/output.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'

/** 98 seconds with a miner and a masquerade in them. */
export const LAB = join(import.meta.dir, '../fixtures/frames/lab-98s.frames.ndjson.zst')

export async function labFrames(): Promise<Frame[]> {
  const counter = new Counter()
  const frames: Frame[] = []
  const take = () => void frames.push(...counter.closeReady())
  for (const source of openFiles([LAB], {}))
    await ingest(source, counter, { afterChunk: take }, new AbortController().signal)
  frames.push(...counter.end())
  return frames
}

/** A host that is watched, whose state outlives the run. */
export function openTestAgent(
  model: Model,
  state: string,
  options: Partial<AgentOptions> & { readonly broker?: string } = {},
): Agent {
  const { broker, ...more } = options
  return openAgent({
    settings: {
      ...{
        state,
        site: 's',
        host: 'h',
        falseAlarmsPerDay: 1,
        learn: 0,
        delivery: 'auto',
        aggregatorKey: [],
        acceptFleet: [],
        send: [],
      },
      ...{ broker, brokerUser: undefined, brokerPassword: undefined },
      ...{ brokerPasswordFile: undefined, ca: undefined, cert: undefined, key: undefined },
    },
    model,
    source: { name: 'kernel', why: 'test' },
    resume: true,
    secretIds: true,
    ...more,
  })
}

export function recordingOutput(told: AlertMessage[]): Output {
  return { name: 'seen', refused: {}, take: ({ alerts }) => void told.push(...alerts) }
}
