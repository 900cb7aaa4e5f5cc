/** Runs an exported net over many windows in parts, for calibration, early stopping and figures. */
import { collectEvery } from '../../platform/heap.ts'
import { onnxRuntime } from '../../platform/onnx/runtime.ts'
import type { Batches } from '../data/batches.ts'
import { type NetShape, stateSizeOf } from './nets.ts'

const PART = 512

export async function runNet(
  onnx: Uint8Array,
  net: NetShape,
  batches: Batches,
  ids: Int32Array,
): Promise<{ logits: Float32Array; states: Float32Array }> {
  const runtime = await onnxRuntime()
  const session = await runtime.open(onnx)
  const size = stateSizeOf(net)
  const logits = new Float32Array(ids.length * net.classes)
  const states = new Float32Array(ids.length * size)
  const rows = new Float32Array(PART * net.frames * net.width)
  const collect = collectEvery(24)
  try {
    for (let from = 0; from < ids.length; from += PART) {
      const part = ids.subarray(from, from + PART)
      const dense = rows.subarray(0, part.length * net.frames * net.width)
      batches.sequences(part, dense)
      const sequences = runtime.tensor(dense, [part.length, net.frames, net.width])
      const outputs = await session.run({ sequences })
      logits.set(outputs.logits!.data as Float32Array, from * net.classes)
      states.set(outputs.state!.data as Float32Array, from * size)
      collect()
    }
  } finally {
    await session.close()
  }
  return { logits, states }
}
