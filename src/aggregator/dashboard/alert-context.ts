/** What is known about the process of an alert, and the commands to run on its host. */
import type { HostAlert } from '../store/incident.ts'
import { block, type Child, element, facts, hash, name } from './element.ts'
import { at } from './incident-row.ts'
import { link } from './route.ts'

export function alertContext(alert: HostAlert, now: number): HTMLElement {
  if (alert.kind === 'absence')
    return block(
      'Context',
      facts([
        ['Techniques', techniquesOf(alert)],
        ['Since', [at(alert.first, now)]],
        ['Hosts', alert.count > 1 ? String(alert.count) : undefined],
        ['Alert', [name(alert.id)]],
      ]),
    )
  const { process, peers, model, evidence } = alert
  const optional = (text: string | undefined) => (text === undefined ? undefined : [name(text)])
  return block(
    'Context',
    facts([
      ['Process', [name(process.name), ` (pid ${process.pid})`]],
      ['Program', [element('a', { href: link(['program', process.name]) }, 'Over the fleet')]],
      ['Executable', executable(process)],
      ['Package', optional(process.package)],
      ['Command', optional(process.command)],
      ['Directory', optional(process.cwd)],
      ['User', userOf(process)],
      ['Parents', parentsOf(process)],
      ['Unit', optional(process.unit)],
      ['Container', optional(process.container)],
      ['Peers', peers?.flatMap((peer, i): Child[] => [i === 0 ? '' : ', ', name(peer)])],
      ['Techniques', techniquesOf(alert)],
      ['Started', [at(process.start, now)]],
      ['Evidence', [at(evidence.from, now), ' to ', at(evidence.to, now)]],
      ['Windows', String(alert.count)],
      ['Model', model === '' ? undefined : [hash(model)]],
      ['Alert', [name(alert.id)]],
    ]),
  )
}

/** @returns the commands that help to decide, each with what it is for */
export function nextCommands({ id, process, state, kind }: HostAlert): HTMLElement {
  const { pid } = process
  const ofAbsence = [
    ['systemctl status callsign', 'whether the agent runs, and who stopped it'],
    ['agent status', 'what it counts, drops and has not delivered'],
    ['agent doctor', 'what keeps it from working'],
  ] as const
  const ofProcess: (readonly [string, string])[] = [
    [`agent explain ${id}`, 'the seconds behind it, from the buffer'],
    ...(state === 'closed'
      ? []
      : ([
          [`ls -l /proc/${pid}/exe /proc/${pid}/cwd /proc/${pid}/fd`, 'its executable and files'],
          [`tr '\\0' ' ' </proc/${pid}/cmdline`, 'its command line'],
        ] as const)),
    [`agent allow ${id} --dry-run`, 'preview a rule that allows exactly this'],
    [`agent label ${id} bad`, 'or "fine": keep its windows for training'],
  ]
  const commands = kind === 'absence' ? ofAbsence : ofProcess
  return element(
    'dl',
    { class: 'commands' },
    ...commands.map(([command, why]) =>
      element(
        'div',
        {},
        element('dt', {}, element('code', {}, command)),
        element('dd', { class: 'note' }, why),
      ),
    ),
  )
}

function executable({ exe, deleted }: HostAlert['process']): Child[] | undefined {
  if (exe === undefined) return undefined
  return [name(exe), deleted === true ? element('strong', {}, ' (deleted)') : '']
}

function userOf({ user, uid, loginUid, loginUser }: HostAlert['process']): Child[] | undefined {
  const login: Child[] =
    loginUid === undefined || loginUid === uid
      ? []
      : [', logged in as ', ...who(loginUser, loginUid)]
  if (user === undefined && uid === undefined) return undefined
  return [...who(user, uid), ...login]
}

function who(user: string | undefined, uid: number | undefined): Child[] {
  if (user === undefined) return [`uid ${uid}`]
  return [name(user), uid === undefined ? '' : ` (uid ${uid})`]
}

function parentsOf({ parents }: HostAlert['process']): Child[] | undefined {
  return parents?.flatMap(({ pid, name: parent }, i): Child[] => [
    i === 0 ? '' : ' ← ',
    name(parent),
    ` (${pid})`,
  ])
}

function techniquesOf({ techniques, technique }: HostAlert): Child[] | undefined {
  const all = [...new Set([...(techniques ?? []), ...(technique === undefined ? [] : [technique])])]
  if (all.length === 0) return undefined
  return all.flatMap((id, i): Child[] => [
    i === 0 ? '' : ', ',
    /^T\d{4}(\.\d{3})?$/.test(id)
      ? element(
          'a',
          {
            href: `https://attack.mitre.org/techniques/${id.replace('.', '/')}/`,
            rel: 'noreferrer',
            target: '_blank',
          },
          id,
        )
      : name(id),
  ])
}
