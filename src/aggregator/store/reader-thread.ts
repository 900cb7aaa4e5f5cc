/**
 * Asks the reading thread: an address in, JSON out. A thread that fails is replaced, and what it
 * was asked is answered by an error; more questions than API_WAITING_MAX at a time are refused.
 */
import { API_WAITING_MAX } from '../../domain/limits.ts'
import { startWorker } from '../../platform/worker.ts'
import { BadParameter } from '../api-parameters.ts'
import type { Answer, Question } from './reader-worker.ts'

/** Too many questions wait. */
export class TooBusy extends Error {}

interface Waiting {
  resolve(json: string | undefined): void
  reject(error: Error): void
}

export class ReaderThread {
  readonly #path: string
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #number = 0

  constructor(path: string) {
    this.#path = path
  }

  /**
   * @param now Unix seconds
   * @returns undefined where there is nothing of that name
   */
  ask(url: URL, now: number): Promise<string | undefined> {
    if (this.#waiting.size >= API_WAITING_MAX) return Promise.reject(new TooBusy())
    return new Promise((resolve, reject) => {
      const question: Question = { number: ++this.#number, url: url.href, now }
      this.#waiting.set(question.number, { resolve, reject })
      this.#begin().postMessage(question)
    })
  }

  close(): void {
    this.#end(new Error('The aggregator is shutting down'))
  }

  #begin(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = startWorker('aggregator/store/reader-worker.ts')
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#take(data)
    worker.onerror = ({ message }: ErrorEvent) => {
      if (this.#worker === worker) this.#end(new Error(message))
    }
    worker.postMessage(this.#path)
    this.#worker = worker
    return worker
  }

  #take({ number, json, wrong }: Answer): void {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (wrong === undefined) waiting?.resolve(json)
    else waiting?.reject(new BadParameter(wrong))
  }

  #end(error: Error): void {
    this.#worker?.terminate()
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const one of waiting) one.reject(error)
  }
}
