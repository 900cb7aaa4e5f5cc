/** What the fleet was told, what became of it, and which hosts run what. */
import type { FleetState } from '../../domain/fleet-state.ts'
import { type Fleet, get, type NewPrograms } from './api.ts'
import { block, element, facts, hash, name, note } from './element.ts'
import { at } from './incident-row.ts'
import { link } from './route.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount } from './words.ts'

const STATE_WORDS: Readonly<Record<string, string>> = {
  active: 'in use',
  waiting: 'not for them yet',
  'rolled-back': 'rolled back, as more alerts came',
  expired: 'expired',
  fetching: 'being fetched',
  refused: 'cannot be used there',
  older: 'not heard yet',
  'not-accepting': 'accept none',
}

export async function fleet(_: unknown, { now }: ViewContext): Promise<Shown> {
  const [{ documents, runs }, programs] = await Promise.all([
    get<Fleet>('fleet'),
    get<NewPrograms>('programs?limit=50'),
  ])
  return {
    title: 'Fleet',
    parts: [
      element('h1', {}, 'Fleet'),
      ...(documents.length === 0
        ? [
            block(
              'Policy and model',
              note('None was pushed. Agents with accept_fleet take them from this aggregator:'),
              element(
                'pre',
                { tabindex: '0' },
                'agent policy push policy.json --site SITE\nagent model push ./model --site SITE',
              ),
            ),
          ]
        : documents.map((document) => published(document, now))),
      block(
        'What hosts run',
        runs.length === 0 ? note('No host has reported yet.') : runTable(runs),
      ),
      block('New programs', ...newPrograms(programs, now)),
    ],
  }
}

/** What was there when names began to be gathered is not new. */
function newPrograms({ items, since = 0 }: NewPrograms, now: number): HTMLElement[] {
  const news = items.filter(({ first }) => first > since + GATHERING_S)
  if (news.length === 0) return [note('No host has shown a program that no other had shown.')]
  return [
    note('Names that no host of their site had shown before, the newest first.'),
    facts(
      news.map(({ site, name: program, host, first }): [string, (string | HTMLElement)[]] => [
        program,
        [`${site}/${host}, `, at(first, now)],
      ]),
    ),
  ]
}

/** Every host has been looked at by then. */
const GATHERING_S = 2 * 3_600

function published(document: Fleet['documents'][number], now: number): HTMLElement {
  const { site, what, version, made, expires, canary, rules, allow, model, bytes, hosts } = document
  const counted = Object.entries(hosts).filter(([, count]) => count > 0)
  return block(
    `${what === 'policy' ? 'Policy' : 'Model'} of site ${site}`,
    facts([
      ['Version', String(version)],
      ['Pushed', made === undefined ? undefined : [at(made, now)]],
      ['Expires', expires === undefined ? undefined : [at(expires, now)]],
      ['For', canary === undefined ? undefined : `${canary} % of the hosts`],
      [
        'Severities',
        rules?.map(({ behaviour, severity }) => `${behaviour} ${severity}`).join(', ') || undefined,
      ],
      ['Allow rules', allow === undefined ? undefined : String(allow.length)],
      ['Model', model === undefined ? undefined : [hash(model)]],
      ['Size', bytes === undefined ? undefined : `${(bytes / 1e6).toFixed(1)} MB`],
      ...counted.map(([state, count]): [string, string] => [
        `Hosts: ${STATE_WORDS[state] ?? state}`,
        amount(count),
      ]),
    ]),
  )
}

function runTable(runs: Fleet['runs']): HTMLElement {
  const cell = (...children: (string | HTMLElement)[]) => element('td', {}, ...children)
  return element(
    'table',
    { class: 'table', 'aria-label': 'Hosts by site, version, model, and documents of the fleet' },
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...['Site', 'Version', 'Model', 'Model of the fleet', 'Policy', 'Hosts', 'Online'].map(
          (title) => element('th', { scope: 'col' }, title),
        ),
      ),
    ),
    element(
      'tbody',
      {},
      ...runs.map(({ site, version, model, fleet, hosts, online }) =>
        element(
          'tr',
          {},
          cell(element('a', { href: link(['hosts'], { search: `${site}/` }) }, name(site))),
          cell(version),
          cell(model === '' ? '' : hash(model)),
          cell(stateWords(fleet?.model)),
          cell(stateWords(fleet?.policy)),
          cell(amount(hosts)),
          cell(amount(online)),
        ),
      ),
    ),
  )
}

/** Version 0: it takes one, and has heard of none. */
export function stateWords(of: FleetState | undefined): string {
  if (of === undefined) return ''
  if (of.version === 0) return 'none yet'
  return `${of.version} (${STATE_WORDS[of.state] ?? of.state})`
}
