/** What commands need of the facts reader: to run it, to start one while the rights are here, and to take it over. */
export { adoptReader, prepareReader } from '../facts/reader.ts'
export { runReader } from '../facts/reader-process.ts'
