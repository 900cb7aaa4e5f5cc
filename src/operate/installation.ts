/**
 * How this binary came onto the host: by install.sh, which left a record beside it, by a package
 * manager, or by hand. `agent update` and `agent uninstall` are for the first; files of a package
 * are its manager's to change.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isStateFile } from '../settings/state-directory.ts'

/** Written by install.sh. */
export function installRecord(binary: string): string {
  return join(dirname(dirname(binary)), 'share/callsign/installed')
}

/** Words that upgrade and remove the package; undefined where no package has this file. */
export function packageCommands(
  binary: string,
  root = '/',
): { readonly upgrade: string; readonly remove: string } | undefined {
  if (hasLine(join(root, 'var/lib/dpkg/info/callsign.list'), binary))
    return {
      upgrade: 'apt install ./callsign_VERSION_amd64.deb',
      remove: 'apt remove callsign (apt purge callsign: its state, too)',
    }
  // What the rpm puts there and install.sh does not; its database is no text.
  if (binary === '/usr/bin/agent' && existsSync(join(root, 'usr/share/licenses/callsign/LICENSE')))
    return {
      upgrade: 'dnf upgrade ./callsign-VERSION.x86_64.rpm',
      remove: 'dnf remove callsign',
    }
  return undefined
}

/** What agents keep in their state, by name: a mistyped --state must not cost somebody his home. */
export function stateFiles(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter((name) => isStateFile(directory, name))
    .map((name) => join(directory, name))
}

function hasLine(file: string, line: string): boolean {
  try {
    return readFileSync(file, 'utf8').split('\n').includes(line)
  } catch {
    return false
  }
}
