/**
 * The only module that uses ONNX Runtime: opens a session from bytes and runs it, for inference,
 * training steps and tests.
 *
 * The library is imported dynamically at the first use: the compiled binary must load its own copy
 * of libonnxruntime first (`native.ts`), and commands without a model start fast.
 *
 * Always one thread: ONNX Runtime's spinning thread pools are many times slower on a busy host, and
 * one thread gives the same bits on every run. `run` blocks the calling thread (4–8 ms for 300
 * processes), which is short enough for one batch a second.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { AgentError } from '../../domain/error.ts'
import { loadOnnxLibrary } from '../native.ts'

export type OnnxTensor = Tensor
export type OnnxTensors = Readonly<Record<string, Tensor>>
export type OnnxData = Float32Array | Float64Array | BigInt64Array

export interface OnnxSession {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  /** @param fetches tensors to be filled instead of new ones; by output name. */
  run(feeds: OnnxTensors, fetches?: OnnxTensors): Promise<OnnxTensors>
  close(): Promise<void>
}

export interface OnnxRuntime {
  open(model: Uint8Array): Promise<OnnxSession>
  /** A tensor that shares `data`. */
  tensor(data: OnnxData, dims: readonly number[]): OnnxTensor
}

let loading: Promise<OnnxRuntime> | undefined

/** Loads the library once; later calls give the same. */
export function onnxRuntime(): Promise<OnnxRuntime> {
  loading ??= load()
  return loading
}

async function load(): Promise<OnnxRuntime> {
  let ort: typeof import('onnxruntime-node')
  try {
    loadOnnxLibrary()
    ort = await import('onnxruntime-node')
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('ERR_FAILED', `Cannot load ONNX Runtime: ${message(cause)}`, {
      hint: 'It needs glibc 2.27 or newer on x86_64 or arm64; run "agent doctor"',
      cause,
    })
  }
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
  }
  return {
    async open(model) {
      const session = await ort.InferenceSession.create(model, options)
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        run: (feeds, fetches) =>
          fetches === undefined ? session.run(feeds) : session.run(feeds, fetches),
        close: () => session.release(),
      }
    },
    tensor(data, dims) {
      if (data instanceof Float32Array) return new ort.Tensor('float32', data, dims)
      if (data instanceof Float64Array) return new ort.Tensor('float64', data, dims)
      return new ort.Tensor('int64', data, dims)
    },
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
