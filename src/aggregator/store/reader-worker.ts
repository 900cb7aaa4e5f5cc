/**
 * The thread that answers the API from the SQLite store: it opens the file for reading only, and
 * gets addresses and gives texts. A question that throws is answered; a file that cannot be read
 * ends the thread, and the aggregator begins a new one.
 */
import { openDatabase } from '../../platform/sqlite.ts'
import { answerApi } from '../api.ts'
import { BadParameter } from '../api-parameters.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { SCHEMA } from './sqlite-schema.ts'

export interface Question {
  readonly number: number
  readonly url: string
  /** Unix seconds. */
  readonly now: number
}

export interface Answer {
  readonly number: number
  /** Absent where there is nothing of that name. */
  readonly json?: string
  /** What is wrong with the question. */
  readonly wrong?: string
}

declare const self: Worker

let reads: SqliteReads | undefined

self.onmessage = async ({ data }: MessageEvent<string | Question>) => {
  if (typeof data === 'string') {
    reads = new SqliteReads(
      openDatabase(data, { schema: SCHEMA, readOnly: true, cacheKib: 16_384 }),
    )
    return
  }
  self.postMessage(await answer(data))
}

async function answer({ number, url, now }: Question): Promise<Answer> {
  try {
    const json = await answerApi(reads!, new URL(url), now)
    return json === undefined ? { number } : { number, json }
  } catch (error) {
    if (error instanceof BadParameter) return { number, wrong: error.message }
    throw error
  }
}
