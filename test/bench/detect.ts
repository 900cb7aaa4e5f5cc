/**
 * One second's decisions for 300 processes: signs, evidence, memory. Every process stands under a
 * name of its own whose memory is full, so each row is compared with all prototypes that a name may
 * have: the worst case.
 */
import { Detector } from '../../src/detect/detector.ts'
import { HostMemory } from '../../src/detect/memory.ts'
import type { Predictions } from '../../src/domain/prediction.ts'
import { loadModel } from '../../src/model/model.ts'
import { detectionOf } from '../../src/train/evaluate/detection-evaluate.ts'

const PROCESSES = 300
const SECONDS = 300
const T = 1_800_000_000

export default {
  name: 'detect',
  async run(): Promise<string[]> {
    const model = await loadModel('models/default')
    const calibration = detectionOf(model)
    const { classes } = model
    await model.close()
    const memory = new HostMemory(classes.modelId, calibration.whitening.size)
    const detector = new Detector({
      classes,
      calibration,
      host: 'bench',
      falseAlertsPerDay: 1,
      memory,
      learnSeconds: 1e9,
    })
    const stateSize = calibration.whitening.stateSize
    const second = (index: number): Predictions => {
      const probabilities = new Float32Array(PROCESSES * classes.names.length)
      const states = new Float32Array(PROCESSES * stateSize)
      for (let i = 0; i < PROCESSES; i++) {
        probabilities[i * classes.names.length + (i % 40)] = 1
        for (let j = 0; j < stateSize; j++) {
          states[i * stateSize + j] = Math.sin(i * 31 + j * 7 + (index % 60) * 13)
        }
      }
      return {
        frameIndex: T + index,
        processes: Array.from({ length: PROCESSES }, (_, i) => ({
          pid: i + 1,
          startMs: T * 1000,
          name: `worker-of-kind-${String.fromCharCode(97 + (i % 26))}${String.fromCharCode(97 + (i % 7))}`,
        })),
        probabilities,
        states,
        classCount: classes.names.length,
        stateSize,
        activeFrames: new Uint8Array(PROCESSES).fill(10),
        incomplete: new Uint8Array(PROCESSES),
      }
    }
    const seconds = Array.from({ length: SECONDS }, (_, i) => second(i))
    const ms: number[] = []
    for (const predictions of seconds) {
      const before = process.cpuUsage()
      detector.push(predictions)
      const { user, system } = process.cpuUsage(before)
      ms.push((user + system) / 1000)
    }
    const later = ms.slice(SECONDS / 3).sort((a, b) => a - b)
    const at = (share: number) => later[Math.floor(share * later.length)]!.toFixed(2)
    const started = performance.now()
    const bytes = memory.snapshot().length
    const snapshotMs = (performance.now() - started).toFixed(1)
    const { names, prototypes } = memory.status()
    return [
      `${PROCESSES} processes a second: CPU ${at(0.5)} ms median, ${at(0.95)} ms p95`,
      `memory: ${names} names, ${prototypes} behaviours, snapshot ${(bytes / 1024).toFixed(0)} KiB in ${snapshotMs} ms`,
    ]
  },
}
