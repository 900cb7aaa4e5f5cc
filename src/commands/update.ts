/**
 * `agent update --from WHERE`: puts a newer release in the place of this binary, verified as
 * install.sh does it, tried out before it counts, put in place by one rename. A running agent goes
 * on with the old one until it is restarted; nothing here stops or starts services.
 */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { packageCommands } from '../operate/installation.ts'
import { compareVersions, openRelease } from '../operate/release.ts'
import { compiled, releaseKey, releaseUrl, target, version } from '../platform/embedded.ts'
import { runCommand } from '../platform/linux/child.ts'
import { jsonArg, note, shutdownSignal, writeJson } from './common.ts'

/** Starting takes 10 ms; a machine under load some more. */
const TRIAL_MS = 20_000

export default defineCommand({
  meta: {
    name: 'update',
    description: 'Updates this agent to a newer release after verifying its signature',
    examples: [
      'agent update # from where its releases are served',
      'agent update --from https://example.org/callsign',
      'agent update --from /mnt/release --key release.pem # a release signed with your own key',
    ],
  },
  args: {
    from: {
      type: 'string',
      description: 'URL or directory of the release; default: the address built in',
      valueHint: 'WHERE',
    },
    key: {
      type: 'string',
      description: 'public key of the release (PEM); default: the built-in key',
      valueHint: 'FILE',
    },
    downgrade: { type: 'boolean', description: 'accept an older release' },
    ...jsonArg,
  },
  async run({ args }) {
    const binary = process.execPath
    if (!compiled)
      throw new AgentError('ERR_USAGE', 'Cannot update a run from source', {
        hint: 'Use git, then "sh install.sh"',
      })
    const packaged = packageCommands(binary)
    if (packaged !== undefined)
      throw new AgentError('ERR_USAGE', `Cannot update "${binary}": it belongs to a package`, {
        hint: `Use its manager: ${packaged.upgrade}`,
      })
    checkWritable(binary)
    const release = await openRelease(whereFrom(args.from), keyFrom(args.key), shutdownSignal())
    const order = compareVersions(release.version, version)
    if (order === 0 || (order < 0 && !args.downgrade)) {
      note(`This is ${version}, the release of ${release.date} is ${release.version}: up to date`)
      if (args.json) await writeJson({ updated: false, from: version, to: release.version })
      return
    }
    note(`Fetching ${release.version} …`)
    const packed = await release.read(`agent-${target}.gz`)
    await replace(binary, Bun.gunzipSync(packed))
    note(`Updated ${binary} from ${version} to ${release.version}; ${restartWords()}`)
    if (args.json) await writeJson({ updated: true, from: version, to: release.version })
  },
})

/** What is left to do. */
function restartWords(): string {
  if (existsSync('/etc/systemd/system/callsign.service')) return 'now "systemctl restart callsign"'
  if (existsSync('/etc/init.d/callsign')) return 'now "rc-service callsign restart"'
  return 'restart agents that run'
}

function whereFrom(given: string | undefined): string {
  if (given !== undefined) return given
  if (releaseUrl !== '') return releaseUrl
  throw new AgentError(
    'ERR_USAGE',
    'Cannot update: this build was not told where its releases are',
    {
      hint: 'Give the URL or directory of a release with --from',
    },
  )
}

function keyFrom(path: string | undefined): string {
  if (path === undefined) {
    if (releaseKey !== '') return releaseKey
    throw new AgentError('ERR_CONFIG', 'Cannot check the release: this build has no release key', {
      hint: 'Give the public key of the publisher with --key FILE',
    })
  }
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AgentError('ERR_CONFIG', `Cannot read the release key "${path}"`, { cause })
  }
}

function checkWritable(binary: string): void {
  try {
    accessSync(dirname(binary), constants.W_OK)
  } catch (cause) {
    throw new AgentError(
      'ERR_PERMISSION',
      `Cannot replace "${binary}": its directory is not writable`,
      {
        hint: 'Run this as the user that installed it',
        cause,
      },
    )
  }
}

async function replace(binary: string, bytes: Uint8Array): Promise<void> {
  const staged = join(dirname(binary), `.agent-new.${process.pid}`)
  try {
    writeFileSync(staged, bytes, { mode: 0o755, flag: 'wx' })
    // The service's binary stays its group's alone.
    const { uid, gid, mode } = statSync(binary)
    chownSync(staged, uid, gid)
    chmodSync(staged, mode & 0o777)
    const { code } = await runCommand([staged, '--version'], TRIAL_MS)
    if (code !== 0)
      throw new AgentError(
        'ERR_FAILED',
        'Cannot use the new agent: it does not start on this machine',
        {
          hint: 'Nothing was changed; report this with the output of "agent doctor"',
        },
      )
    renameSync(staged, binary)
  } catch (cause) {
    rmSync(staged, { force: true })
    if (cause instanceof AgentError) throw cause
    throw new AgentError(
      'ERR_DISK',
      `Cannot write "${staged}": ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        hint: 'Free 160 MB there; nothing was changed',
        cause,
      },
    )
  }
}
