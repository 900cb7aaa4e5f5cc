/**
 * What a second costs after counting: sequences, normalised rows and the net for so many processes.
 * `bun test/bench/inference.ts [MODEL]`; CPU time, medians, one thread.
 */
import type { Frame } from '../../src/domain/frame.ts'
import { Classifier } from '../../src/model/classifier.ts'
import { loadModel } from '../../src/model/model.ts'
import { Sequencer } from '../../src/model/sequencer.ts'
import { madeFrame } from '../support/frames.ts'

const model = await loadModel(process.argv[2] ?? 'models/default')
const SECONDS = 60

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!
}

for (const processes of [30, 300, 2_000]) {
  const frames: Frame[] = Array.from({ length: SECONDS }, (_, t) =>
    madeFrame(1_799_990_000 + t, { processes, calls: 10 }),
  )
  const sequencer = new Sequencer(model.normaliser)
  const classifier = new Classifier(model)
  const rows: number[] = []
  const net: number[] = []
  let judged = 0
  for (const frame of frames) {
    const began = cpuMs()
    const batch = sequencer.push(frame)
    const between = cpuMs()
    await classifier.predict(batch)
    if (batch.processes.length < processes / 2) continue
    judged = batch.processes.length
    rows.push(between - began)
    net.push(cpuMs() - between)
  }
  console.log(
    JSON.stringify({
      bench: 'inference',
      processes,
      judged,
      width: model.manifest.width,
      rowsMs: Math.round(median(rows) * 100) / 100,
      netMs: Math.round(median(net) * 100) / 100,
      rssMb: Math.round(process.memoryUsage().rss / 1e6),
    }),
  )
}
await model.close()
