/**
 * Writes the collector's stream; its format is in domain/kernel-stream.ts.
 * One buffer, reused for each second: `take()` is valid until the next record.
 */
import { EXECUTED, HEAD, KIND, VERSION } from '../../domain/kernel-stream.ts'

export interface ProcessRecord {
  readonly pid: number
  /** Unix seconds, 0 if not known. */
  readonly start: number
  readonly ppid: number
  /** NO_UID if not known. */
  readonly uid: number
  /** Inode of its pid namespace, 0 if not known. */
  readonly pidNamespace: number
  readonly exe: string
  /** It has executed another file than before: where `exe` is empty, what was known is over. */
  readonly executed?: boolean
  readonly container: string
}

export interface Unseen {
  readonly uid: number
  readonly reason: number
  readonly keys: number
  readonly lost: number
}

export class RecordWriter {
  #bytes = new Uint8Array(256 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #at = 0
  #start = 0

  hello(arch: number): void {
    this.#begin(KIND.hello)
    this.#u8(VERSION)
    this.#u8(arch)
    this.#end()
  }

  second(unixSecond: number): void {
    this.#begin(KIND.second)
    this.#u32(unixSecond)
    this.#end()
  }

  process(record: ProcessRecord, name: Uint8Array, nameKind: number): void {
    this.#begin(KIND.process)
    this.#u32(record.pid)
    this.#u32(record.start)
    this.#u32(record.ppid)
    this.#u32(record.uid)
    this.#u32(record.pidNamespace)
    this.#u8(nameKind | (record.executed === true ? EXECUTED : 0))
    this.#text(name)
    this.#text(encode(record.exe))
    this.#text(encode(record.container))
    this.#end()
  }

  /** @param digest of the arguments before secrets were masked */
  command(pid: number, digest: number, text: Uint8Array): void {
    this.#begin(KIND.command)
    this.#u32(pid)
    this.#u32(digest)
    this.#room(2)
    this.#view.setUint16(this.#at, text.length, true)
    this.#at += 2
    this.#copy(text)
    this.#end()
  }

  /** @param activity the bytes of a record from RECORD.activity on, in the stream's order */
  activity(pid: number, name: Uint8Array, nameKind: number, activity: Uint8Array): void {
    this.#begin(KIND.activity)
    this.#u32(pid)
    this.#u8(nameKind)
    this.#text(name)
    this.#copy(activity)
    this.#end()
  }

  /** Begins the calls of a process; follow with `call` for each number, then `endCalls`. */
  beginCalls(pid: number, name: Uint8Array, nameKind: number): void {
    this.#begin(KIND.calls)
    this.#u32(pid)
    this.#u8(nameKind)
    this.#text(name)
  }

  call(number: number, count: number): void {
    this.#room(6)
    this.#view.setUint16(this.#at, number, true)
    this.#view.setUint32(this.#at + 2, count, true)
    this.#at += 6
  }

  endCalls(): void {
    this.#end()
  }

  /** @param micros CPU time of the second */
  cpu(pid: number, name: Uint8Array, nameKind: number, micros: number): void {
    this.#begin(KIND.cpu)
    this.#u32(pid)
    this.#u8(nameKind)
    this.#text(name)
    this.#u32(Math.min(micros, 0xffff_ffff))
    this.#end()
  }

  exit(pid: number): void {
    this.#begin(KIND.exit)
    this.#u32(pid)
    this.#end()
  }

  lost(unixSecond: number, reason: number, count: number): void {
    this.#begin(KIND.lost)
    this.#u32(unixSecond)
    this.#u8(reason)
    this.#f64(count)
    this.#end()
  }

  /**
   * What a process did in this second is not known whole. @param pid 0 for all processes of the
   * user
   * @param lost calls that were not counted
   * @param keys different calls that the process made
   */
  unseen(pid: number, name: Uint8Array, nameKind: number, unseen: Unseen): void {
    this.#begin(KIND.unseen)
    this.#u32(pid)
    this.#u8(nameKind)
    this.#text(name)
    this.#u32(unseen.uid)
    this.#u8(unseen.reason)
    this.#u32(unseen.keys)
    this.#f64(unseen.lost)
    this.#end()
  }

  endOfSecond(drainMicros: number, keys: number, processes: number, unrecorded: number): void {
    this.#begin(KIND.end)
    this.#u32(drainMicros)
    this.#u32(keys)
    this.#u32(processes)
    this.#u32(unrecorded)
    this.#end()
  }

  bye(): void {
    this.#begin(KIND.bye)
    this.#end()
  }

  /** What was written since the last `take`. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#at)
    this.#at = 0
    return taken
  }

  #begin(kind: number): void {
    this.#start = this.#at
    this.#room(HEAD)
    this.#view.setUint8(this.#at + 4, kind)
    this.#at += HEAD
  }

  #end(): void {
    this.#view.setUint32(this.#start, this.#at - this.#start - HEAD, true)
  }

  #u8(value: number): void {
    this.#room(1)
    this.#view.setUint8(this.#at++, value)
  }

  #u32(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  #f64(value: number): void {
    this.#room(8)
    this.#view.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  /** At most 255 bytes; longer text is left out rather than cut to something else. */
  #text(bytes: Uint8Array): void {
    const length = bytes.length > 255 ? 0 : bytes.length
    this.#room(1 + length)
    this.#bytes[this.#at++] = length
    if (length > 0) this.#bytes.set(bytes, this.#at)
    this.#at += length
  }

  #copy(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(this.#bytes.length * 2)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

const encoder = new TextEncoder()
const nothing = new Uint8Array(0)

function encode(text: string): Uint8Array {
  return text === '' ? nothing : encoder.encode(text)
}
