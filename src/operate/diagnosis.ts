/**
 * The checks of `agent doctor`: each finding says what was found and, if something is wrong or
 * could be better, the next step. Nothing is repaired, and nothing is left behind except extracted
 * libraries; a failing check is a finding, too.
 *
 * `wrong`: the agent cannot work with this configuration; `optional`: it works, and could do more.
 */
import { statfsSync, statSync } from 'node:fs'
import { release as kernelRelease } from 'node:os'
import { sysdigVersion, tryBpftrace, trySysdig } from '../agent/sources.ts'
import { collectorWords } from '../agent/status-document.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { BUFFER_BYTES_MAX, OUTBOX_BYTES_MAX } from '../domain/limits.ts'
import type { CollectorStatus } from '../domain/source.ts'
import { commit, target, version } from '../platform/embedded.ts'
import {
  effectiveCapabilities,
  hasCapability,
  writeExecuteDenied,
} from '../platform/linux/capabilities.ts'
import { findProgram } from '../platform/linux/child.ts'
import { landlockVersion } from '../platform/linux/landlock.ts'
import { userFor } from '../platform/linux/owner.ts'
import { privateDirectory } from '../platform/linux/private-directory.ts'
import { connectMqtt, parseBrokerUrl } from '../platform/mqtt/client.ts'
import { libraryDirectory } from '../platform/native.ts'
import { onnxRuntime } from '../platform/onnx/runtime.ts'
import { sqliteEngine } from '../platform/sqlite.ts'
import type { Settings } from '../settings/keys.ts'
import { brokerLogin, type ResolvedSettings } from '../settings/settings.ts'
import { probeKernel } from './kernel-collector.ts'
import { openModelInUse } from './models.ts'
import { readSavedStatus } from './saved-status.ts'

export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'optional' | 'wrong'
  readonly found: string
  readonly next?: string
}

/** How long a broker may take to answer. */
const BROKER_MS = 5_000
/** Room that the state should have beside what it may grow to. */
const SPARE_BYTES = 64 * 1_048_576

/** @param resolved the settings, or why they cannot be used */
export async function* diagnose(resolved: ResolvedSettings | AgentError): AsyncGenerator<Finding> {
  yield {
    check: 'agent',
    state: 'ok',
    found: `${version} (${commit}, ${target}), Linux ${kernelRelease()}`,
  }
  yield await checked('memory', async () => jit())
  yield await checked('capabilities', async () => capabilities())
  yield await checked('sandbox', async () => sandbox())
  yield await checked('ONNX Runtime', onnx)
  yield await checked('SQLite', async () => sqlite())
  if (resolved instanceof AgentError) {
    yield { check: 'settings', state: 'wrong', found: resolved.message, ...nextOf(resolved) }
    return
  }
  const { settings, file } = resolved
  yield { check: 'settings', state: 'ok', found: file ?? 'defaults, flags and environment' }
  const kernel = await checked('kernel source', kernelCounts)
  const bpftrace = await checked('bpftrace', bpftraceTraces)
  const sysdig = await checked('sysdig', sysdigCaptures)
  yield kernel
  yield bpftrace
  yield sysdig
  yield liveSource(settings.source, { kernel, bpftrace, sysdig })
  yield await checked('model', () => model(settings))
  yield await checked('state', async () => state(settings.state))
  const collected = collector(settings.state)
  if (collected !== undefined) yield { check: 'collector', ...collected }
  yield await checked('clock', async () => clock())
  yield await checked('broker', () => broker(settings))
}

async function checked(
  check: string,
  look: () => Promise<Omit<Finding, 'check'>>,
): Promise<Finding> {
  try {
    return { check, ...(await look()) }
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error)
    return { check, state: 'wrong', found, ...nextOf(error) }
  }
}

function nextOf(error: unknown): { next?: string } {
  return error instanceof AgentError && error.hint !== undefined ? { next: error.hint } : {}
}

/**
 * Under systemd's MemoryDenyWriteExecute the JIT is off, and bun:ffi with it: 25 times slower, no
 * kernel source.
 */
function jit(): Omit<Finding, 'check'> {
  const next = 'Remove MemoryDenyWriteExecute=yes from the service unit'
  let denied: boolean
  try {
    denied = writeExecuteDenied()
  } catch {
    denied = true
  }
  if (denied)
    return {
      state: 'wrong',
      found: 'writable executable memory is denied, so the JIT is off',
      next,
    }
  return { state: 'ok', found: 'just-in-time compilation works' }
}

function capabilities(): Omit<Finding, 'check'> {
  const held = effectiveCapabilities()
  const names = (['bpf', 'perfmon', 'sysAdmin', 'sysPtrace'] as const).filter((name) =>
    hasCapability(held, name),
  )
  return { state: 'ok', found: names.length > 0 ? names.join(', ') : 'none' }
}

/**
 * What confines the watching agent beside its user; Landlock needs a kernel that was built with it.
 */
function sandbox(): Omit<Finding, 'check'> {
  const version = landlockVersion()
  if (version > 0) return { state: 'ok', found: `files by Landlock (version ${version})` }
  return {
    state: 'optional',
    found: 'no Landlock: files are protected by user and permissions alone',
    next: 'Linux 5.13 or later, with "landlock" in the boot parameter lsm=',
  }
}

async function kernelCounts(): Promise<Omit<Finding, 'check'>> {
  const { ok, reasons, hints, variant } = await probeKernel()
  const next = hints.length === 0 ? {} : { next: hints.join('; ') }
  if (ok)
    return { state: 'ok', found: `counts in the kernel${variant ? ` (${variant})` : ''}`, ...next }
  return { state: 'optional', found: reasons.join('; '), ...next }
}

async function sysdigCaptures(): Promise<Omit<Finding, 'check'>> {
  const sysdig = findProgram('sysdig')
  if (sysdig === undefined)
    return {
      state: 'optional',
      found: 'not installed: .scap captures cannot be read',
      next: '"apt install sysdig", or your distribution\'s package',
    }
  try {
    return { state: 'ok', found: await trySysdig() }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    return {
      state: 'optional',
      found: `${await sysdigVersion(sysdig)}, reads captures, but not this host: ${error.message}`,
      ...nextOf(error),
    }
  }
}

/** A host where the kernel counts for us needs none: what is missing then is no fault. */
async function bpftraceTraces(): Promise<Omit<Finding, 'check'>> {
  try {
    return { state: 'ok', found: `traces here: ${await tryBpftrace()}` }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    return { state: 'optional', found: error.message, ...nextOf(error) }
  }
}

/** What `agent watch` would do with --source as it is set; `auto` takes the first that works. */
function liveSource(wanted: string, live: Readonly<Record<string, Finding>>): Finding {
  const check = 'live source'
  const names = Object.keys(live)
  const asked = wanted === 'auto' ? names : names.filter((name) => name === wanted)
  if (asked.length === 0) return { check, state: 'ok', found: `source = ${wanted}, not tried` }
  const usable = asked.find((name) => live[name]?.state === 'ok')
  if (usable !== undefined) return { check, state: 'ok', found: `${usable} (source = ${wanted})` }
  const next = live[asked[0]!]?.next
  return {
    check,
    state: 'wrong',
    found: `source = ${wanted} does not work on this host; captures and pipes do`,
    ...defined({ next }),
  }
}

async function onnx(): Promise<Omit<Finding, 'check'>> {
  await onnxRuntime()
  return { state: 'ok', found: `loaded from ${libraryDirectory() ?? 'node_modules'}` }
}

function sqlite(): Omit<Finding, 'check'> {
  const { name, why } = sqliteEngine()
  return { state: 'ok', found: `${name}: ${why}` }
}

async function model(settings: Settings): Promise<Omit<Finding, 'check'>> {
  const model = await openModelInUse(settings.model, settings.state)
  const { name, id } = model.manifest
  const found = `${name} (${id.slice(0, 16)}), ${model.classes.names.length} classes, from ${model.directory}`
  await model.close()
  return { state: 'ok', found }
}

function state(directory: string): Omit<Finding, 'check'> {
  // Root's agent becomes the owner of its state.
  const isServices = userFor(directory, process.execPath) !== undefined
  const why = isServices ? undefined : privateDirectory(directory)
  if (why !== undefined)
    return {
      state: 'wrong',
      found: `${directory} ${why}`,
      next: 'Give a directory that only you can write to with --state DIR',
    }
  const { bavail, bsize } = statfsSync(directory)
  const free = bavail * bsize
  const needed = BUFFER_BYTES_MAX + OUTBOX_BYTES_MAX + SPARE_BYTES
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  if (free < needed)
    return {
      state: 'wrong',
      found: `${directory}: ${megabytes(free)} free, it may grow to ${megabytes(needed)}`,
      next: 'Free space there, or give another directory with --state DIR',
    }
  return { state: 'ok', found: `${directory}, ${megabytes(free)} free` }
}

/**
 * What the collector of the agent that runs here, or ran last, says of itself; undefined where
 * there was none.
 */
function collector(directory: string): Omit<Finding, 'check'> | undefined {
  let said: CollectorStatus | undefined
  try {
    said = readSavedStatus(directory, Date.now())?.status.collector
  } catch {
    // Whether the directory can be used is another check's matter.
  }
  if (said === undefined) return undefined
  const found = collectorWords(said)
  if (Object.keys(said.lost).length === 0 && said.unrecorded === 0) return { state: 'ok', found }
  return {
    state: 'optional',
    found,
    next: 'Seconds with lost calls raise no alerts: find the program with the most processes or calls ("agent top")',
  }
}

/**
 * A clock that is behind the binary itself is wrong for sure; certificates and other hosts' times
 * need a right one.
 */
function clock(): Omit<Finding, 'check'> {
  const built = statSync(process.execPath).mtimeMs
  const now = Date.now()
  const shown = new Date(now).toISOString()
  if (now < built - 86_400_000)
    return {
      state: 'wrong',
      found: `${shown}, but this binary is from ${new Date(built).toISOString()}`,
      next: 'Set the clock, for example by systemd-timesyncd or chrony',
    }
  return { state: 'ok', found: shown }
}

async function broker(settings: Settings): Promise<Omit<Finding, 'check'>> {
  if (settings.broker === undefined)
    return {
      state: 'optional',
      found: 'none set: alerts stay on this host',
      next: 'Set broker = "mqtt://HOST" in the settings, or give --broker',
    }
  const address = parseBrokerUrl(settings.broker)
  const connection = await connectMqtt(address, {
    clientId: `callsign-doctor-${process.pid}`,
    timeoutMs: BROKER_MS,
    onMessage: () => {},
    ...brokerLogin(settings),
  })
  await connection.end()
  return { state: 'ok', found: `${address.url} answers` }
}
