/**
 * A release as `install.sh` and `agent update` take it: plain files below one address. SHA256SUMS
 * has an Ed25519 signature and holds the sum of everything else, so one key vouches for all; the
 * address may be plain http or a directory. What is not signed by the key is not read further, let
 * alone run.
 */
import { createPublicKey, verify } from 'node:crypto'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { RELEASE_FILE_BYTES_MAX, RELEASE_FILE_WAIT_MS } from '../domain/limits.ts'

export interface Release {
  /** As its signed sums say. */
  readonly version: string
  readonly date: string
  /** The bytes of one of its files, checked against its signed sum. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * @param from URL or directory
 * @param key Ed25519 public key, PEM
 */
export async function openRelease(
  from: string,
  key: string,
  signal: AbortSignal,
): Promise<Release> {
  const get = from.startsWith('http://') || from.startsWith('https://') ? download : readLocal
  const fetchFile = (name: string) => get(from.replace(/\/$/, ''), name, signal)
  const sums = await fetchFile('SHA256SUMS')
  checkSignature(sums, await fetchFile('SHA256SUMS.sig'), key, from)
  const sumOf = parseSums(new TextDecoder().decode(sums))
  const read = async (name: string) => {
    const sum = sumOf.get(name)
    if (sum === undefined)
      throw new AgentError('ERR_INPUT', `Cannot find "${name}" in the release "${from}"`, {
        hint: 'It has no build for this architecture, or was not made by scripts/release.ts',
      })
    const bytes = await fetchFile(name)
    const got = new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
    if (got !== sum)
      throw new AgentError(
        'ERR_SIGNATURE',
        `Cannot use "${name}": its SHA-256 is ${got}, the signed one is ${sum}`,
        {
          hint: 'The download was damaged or modified; try again',
        },
      )
    return bytes
  }
  return { ...parseHead(new TextDecoder().decode(sums), from), read }
}

function checkSignature(sums: Uint8Array, signature: Uint8Array, key: string, from: string): void {
  let good = false
  try {
    good = verify(null, sums, createPublicKey(key), signature)
  } catch (cause) {
    throw new AgentError(
      'ERR_CONFIG',
      'Cannot read the release key: it must be an Ed25519 public key as PEM',
      {
        hint: 'Give the file that belongs to the release with --key',
        cause,
      },
    )
  }
  if (!good)
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot use the release "${from}": its signature is not by the expected key`,
      {
        hint: 'It was modified, or signed with another key; ask the publisher',
      },
    )
}

/**
 * The first line, `# callsign 0.2.0 2026-11-30T10:00:00Z`: signed, so that an old release cannot
 * pass for a new one.
 */
function parseHead(sums: string, from: string): { version: string; date: string } {
  const [, version, date] = /^# callsign (\d+\.\d+\.\d+\S*) (\S+)\n/.exec(sums) ?? []
  if (version !== undefined && date !== undefined) return { version, date }
  throw new AgentError(
    'ERR_SIGNATURE',
    `Cannot use the release "${from}": its signed sums hold no version`,
    {
      hint: 'It was made by an older scripts/release.ts; get a newer release',
    },
  )
}

function parseSums(text: string): Map<string, string> {
  const sums = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, sum, name] = /^([0-9a-f]{64}) {2}([\w.-]+)$/.exec(line) ?? []
    if (sum !== undefined && name !== undefined) sums.set(name, sum)
  }
  return sums
}

async function readLocal(from: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Bun.file(join(from, name)).bytes()
  } catch (cause) {
    throw new AgentError('ERR_INPUT', `Cannot read "${join(from, name)}"`, {
      hint: 'Give the directory that scripts/release.ts made',
      cause,
    })
  }
}

async function download(
  from: string,
  name: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const url = `${from}/${name}`
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(RELEASE_FILE_WAIT_MS)])
    const response = await fetch(url, { signal: limit })
    if (!response.ok) throw new Error(`the server answers ${response.status}`)
    return await bounded(response)
  } catch (cause) {
    if (signal.aborted) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AgentError('ERR_FAILED', `Cannot fetch "${url}": ${why}`, {
      hint: 'Check the address and the network; nothing was changed',
      cause,
    })
  }
}

async function bounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > RELEASE_FILE_BYTES_MAX)
      throw new Error(`it is longer than ${RELEASE_FILE_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks, length))
}

/** < 0 where a is older than b; both as `1.2.3`. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string) => version.split(/[.+-]/).slice(0, 3).map(Number)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] || 0) - (right[i] || 0)
    if (difference !== 0) return difference
  }
  return 0
}
