/**
 * Central classification: what one host of 28 processes costs an aggregator, and what its vectors
 * take on the wire beside the paper's dense ones.
 *
 * The hosts are the recorded laboratory host with 28 of its processes, each host a few seconds
 * apart. CPU is that of decoding, sequences, net and detection, without broker and store.
 */
import { calibrationOf } from '../../src/classify/calibration-of.ts'
import { HostsClassifier } from '../../src/classify/classify-hosts.ts'
import { HostPipeline } from '../../src/classify/host-pipeline.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { Classifier } from '../../src/model/classifier.ts'
import { loadModel, type Model } from '../../src/model/model.ts'
import { decodeVectors, encodeVectors } from '../../src/wire/vectors-message.ts'
import { labFrames } from '../support/open-agent.ts'
import type { Bench } from './run.ts'

const PROCESSES = 28
const HOSTS = 200
/** Dense: one 4-byte count for each of the paper's syscalls. */
const PAPER_BYTES_A_VECTOR = 310 * 4
const MESSAGES_A_DAY = 8_640

const bench: Bench = {
  name: 'central',
  async run() {
    const model = await loadModel('models/default')
    const frames = narrowed(await labFrames())
    const messages = messagesOf(frames)
    const bytes = messages.reduce((sum, { byteLength }) => sum + byteLength, 0) / messages.length
    const dense = PROCESSES * 10 * PAPER_BYTES_A_VECTOR
    const lines = [
      `a message of ten seconds of ${PROCESSES} processes: ${Math.round(bytes)} bytes; ` +
        `a host-day ${((bytes * MESSAGES_A_DAY) / 1e6).toFixed(1)} MB, ` +
        `dense vectors ${((dense * MESSAGES_A_DAY) / 1e6).toFixed(0)} MB (× ${(dense / bytes).toFixed(0)})`,
    ]
    for (const every of [1, 10]) lines.push(await measured(model, messages, every))
    await model.close()
    return lines
  },
}
export default bench

/** The recording with the processes that are active in most of its seconds. */
function narrowed(frames: readonly Frame[]): Frame[] {
  const seconds = new Map<number, number>()
  for (const { processes } of frames)
    for (const { pid } of processes) seconds.set(pid, (seconds.get(pid) ?? 0) + 1)
  const kept = new Set(
    [...seconds]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, PROCESSES)
      .map(([pid]) => pid),
  )
  return frames.map((frame) => only(frame, kept))
}

function only(frame: Frame, pids: ReadonlySet<number>): Frame {
  const rows = frame.processes.flatMap(({ pid }, i) => (pids.has(pid) ? [i] : []))
  const parts = rows.map((i) => [frame.offsets[i]!, frame.offsets[i + 1]!] as const)
  const offsets = new Uint32Array(rows.length + 1)
  parts.forEach(([from, to], i) => {
    offsets[i + 1] = offsets[i]! + to - from
  })
  return {
    index: frame.index,
    processes: rows.map((i) => frame.processes[i]!),
    offsets,
    syscalls: Uint16Array.from(parts.flatMap(([from, to]) => [...frame.syscalls.slice(from, to)])),
    counts: Uint32Array.from(parts.flatMap(([from, to]) => [...frame.counts.slice(from, to)])),
    lost: 0,
  }
}

function messagesOf(frames: readonly Frame[]): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let at = 0; at + 10 <= frames.length; at += 10) {
    const origin = { site: 's', host: 'h', boot: 1, seq: at / 10 + 1 }
    messages.push(encodeVectors(frames.slice(at, at + 10), origin).payload)
  }
  return messages
}

async function measured(model: Model, messages: Uint8Array[], every: number): Promise<string> {
  const classifier = new Classifier(model)
  const shared = {
    ...{ model, classifier, calibration: calibrationOf(model), falseAlertsPerDay: 1 },
    ...{ learnSeconds: 86_400, every, windowsMax: 1_024, memory: {}, book: {} },
  }
  const hosts = Array.from({ length: HOSTS }, (_, i) => new HostPipeline(`h${i}`, shared))
  const batch = new HostsClassifier(model, classifier)
  let seconds = 0
  const round = async (payload: Uint8Array) => {
    for (const frames of hosts.map(() => framesOf(payload)).reduce(transposed, []))
      await batch.classify(
        frames.map((frame, i) => ({
          ...{ pipeline: hosts[i]!, frame, onAlerts: () => {} },
          onError: (error: unknown) => {
            throw error
          },
        })),
      )
    seconds += 10
  }
  // The first ten seconds have no sequences.
  for (const payload of messages.slice(0, 2)) await round(payload)
  const windowsBefore = windowsOf(hosts)
  const secondsBefore = seconds
  const began = process.cpuUsage()
  for (const payload of messages.slice(2)) await round(payload)
  const { user, system } = process.cpuUsage(began)
  const cpu = (user + system) / 1e6
  const spent = seconds - secondsBefore
  const windows = windowsOf(hosts) - windowsBefore
  return (
    `every ${every} s: ${((cpu / HOSTS / spent) * 1e6).toFixed(0)} µs of CPU a host-second, ` +
    `${Math.floor((HOSTS * spent) / cpu)} hosts a core; ` +
    `${(windows / HOSTS / spent).toFixed(1)} windows a host-second, ` +
    `${((cpu / windows) * 1e6).toFixed(0)} µs each; ` +
    `${((process.memoryUsage().rss / HOSTS) * 1e-3).toFixed(0)} kB resident a host, model included`
  )
}

function windowsOf(hosts: readonly HostPipeline[]): number {
  return hosts.reduce((sum, { windows }) => sum + windows.judged, 0)
}

function framesOf(payload: Uint8Array): readonly Frame[] {
  const message = decodeVectors(payload)
  if (!message.ok) throw new Error(message.reason)
  return message.value.frames
}

/** Second by second instead of host by host. */
function transposed(seconds: Frame[][], frames: readonly Frame[]): Frame[][] {
  frames.forEach((frame, second) => {
    const all = seconds[second] ?? []
    all.push(frame)
    seconds[second] = all
  })
  return seconds
}
