/** Hosts that send vectors get the alerts that they would have raised themselves. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import { calibrationOf } from '../../src/classify/calibration-of.ts'
import { HostsClassifier } from '../../src/classify/classify-hosts.ts'
import { HostPipeline, type SharedParts } from '../../src/classify/host-pipeline.ts'
import { type Alert, isObservation } from '../../src/domain/alert.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { Classifier } from '../../src/model/classifier.ts'
import { loadModel, type Model } from '../../src/model/model.ts'
import { type AlertMessage, toMessage } from '../../src/wire/alert-message.ts'
import { decodeVectors, encodeVectors } from '../../src/wire/vectors-message.ts'
import { LAB, labFrames, openTestAgent, recordingOutput } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const temporaryDirectory = temporaryDirectories()
let model: Model
let frames: Frame[]

beforeAll(async () => {
  model = await loadModel('models/default')
  frames = await labFrames()
})
afterAll(() => model.close())

function shared(every = 1): SharedParts {
  return {
    ...{ model, calibration: calibrationOf(model), classifier: new Classifier(model) },
    ...{ falseAlertsPerDay: 1, learnSeconds: 0, every, windowsMax: 1_024, memory: {}, book: {} },
  }
}

/** What `agent replay` says of the recording. */
async function alertsAtTheEdge(): Promise<object[]> {
  const told: AlertMessage[] = []
  const options = { resume: false, secretIds: false, outputs: [recordingOutput(told)] }
  const agent = openTestAgent(model, temporaryDirectory(), options)
  await runAgent(agent, openFiles([LAB], {}), {}, new AbortController().signal)
  await agent.close()
  // The end of a recording closes what is open; a stream of vectors has no end.
  return told.filter(({ ended }) => ended !== 'end').map(withoutNumber)
}

function withoutNumber({ boot: _, seq: __, ...alert }: AlertMessage) {
  return alert
}

/** As the wire carries them: ten seconds a message. */
function overTheWire(all: readonly Frame[]): Frame[] {
  const carried: Frame[] = []
  for (let at = 0; at < all.length; at += 10) {
    const origin = { site: 's', host: 'h', boot: 1, seq: at + 1 }
    const message = decodeVectors(encodeVectors(all.slice(at, at + 10), origin).payload)
    if (!message.ok) throw new Error(message.reason)
    carried.push(...message.value.frames)
  }
  return carried
}

/** @param hosts with the seconds that each is behind the first */
async function classify(
  hosts: readonly number[],
  parts = shared(),
  sent = frames,
): Promise<object[][]> {
  const carried = overTheWire(sent)
  const pipelines = hosts.map(() => new HostPipeline('h', parts))
  const told = hosts.map((): Alert[] => [])
  const classifier = new HostsClassifier(model, parts.classifier)
  for (let second = 0; second < carried.length + Math.max(...hosts); second++) {
    const due = hosts.flatMap((behind, i) => {
      const frame = carried[second - behind]
      return frame === undefined
        ? []
        : [
            {
              frame,
              pipeline: pipelines[i]!,
              onAlerts: (alerts: readonly Alert[]) => void told[i]!.push(...alerts),
              onError: (error: unknown) => {
                throw error
              },
            },
          ]
    })
    await classifier.classify(due)
  }
  const origin = { site: 's', host: 'h', boot: 1, seq: 1 }
  // Observations stay with who classifies, in an aggregator as on a host.
  return told.map((alerts) =>
    alerts
      .filter((alert) => !isObservation(alert))
      .map((alert) => withoutNumber(toMessage(alert, origin))),
  )
}

describe('HostsClassifier.classify()', () => {
  test('raises what the edge raises, word for word, over the wire and beside other hosts', async () => {
    const edge = await alertsAtTheEdge()
    expect(edge.length).toBeGreaterThan(1)
    for (const central of await classify([0, 0, 3, 17])) expect(central).toEqual(edge)
  })

  test('tells that a host cannot be seen', async () => {
    const lossy = frames.map((frame, i) => (i >= 20 && i < 50 ? { ...frame, lost: 1_000 } : frame))
    const [alerts = []] = await classify([0], shared(), lossy)
    const about = (alerts as AlertMessage[]).filter(
      ({ behaviour }) => behaviour === 'agent-blinded',
    )
    expect(about.map(({ state }) => state)).toContain('open')
    expect(about[0]!.process).toMatchObject({ pid: 0, name: 'agent' })
    expect(about[0]!.because?.join()).toMatch(/% of the last minute's windows not judged/)
    const [seen = []] = await classify([0])
    expect(seen).not.toContainEqual(expect.objectContaining({ behaviour: 'agent-blinded' }))
  })

  test('judges a process every tenth second only, and finds the same processes', async () => {
    // Whether a nginx that mines is called by what it is or by what it is not may differ.
    const names = (alerts: readonly object[]) =>
      [...new Set((alerts as Alert[]).map(({ process }) => process.name))].sort()
    const [slow] = await classify([0], shared(10))
    expect(names(slow!)).toEqual(names(await alertsAtTheEdge()))
  })
})
