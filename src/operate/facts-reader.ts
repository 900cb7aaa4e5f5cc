/**
 * The facts reader for commands: to run it, to start one before privileges are dropped, and to
 * adopt it.
 */
export { adoptReader, prepareReader } from '../facts/reader.ts'
export { runReader } from '../facts/reader-process.ts'
