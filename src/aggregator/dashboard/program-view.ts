/** One program over the fleet: where it runs, what it behaves like there, and its incidents. */
import { get, type IncidentRecord, type Page, type ProgramItem } from './api.ts'
import { block, element, name, note } from './element.ts'
import { incidentList } from './incident-row.ts'
import { programTable } from './process-table.ts'
import { hostLink, link } from './route.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount, percent } from './words.ts'

const INCIDENTS = '20'
const ODD_LISTED = 20

export async function program(
  { name: program }: { readonly name: string },
  { now }: ViewContext,
): Promise<Shown> {
  const [running, incidents] = await Promise.all([
    get<Page<ProgramItem> & { readonly hosts: number; readonly hostsOmitted: number }>(
      `programs/${encodeURIComponent(program)}`,
    ),
    get<Page<IncidentRecord>>('incidents', { name: program, limit: INCIDENTS }),
  ])
  const { items, hosts, hostsOmitted } = running
  return {
    title: program,
    parts: [
      element('h1', {}, name(program)),
      note(
        `In the newest summaries of ${amount(hosts)} hosts: ${amount(items.length)} processes.`,
        hostsOmitted > 0
          ? ` ${amount(hostsOmitted)} hosts that were heard longer ago are left out.`
          : '',
      ),
      block(
        'Incidents',
        incidents.items.length === 0
          ? note('None.')
          : incidentList(incidents.items, now, 'Incidents of this program'),
        incidents.next === null
          ? ''
          : element(
              'p',
              {},
              element(
                'a',
                { href: link(['incidents'], { name: program, show: 'all' }) },
                'All of them',
              ),
            ),
      ),
      ...oddBlock(items),
      block(
        'Where it runs',
        items.length === 0 ? note('Nowhere that is known.') : programTable(items),
      ),
    ],
  }
}

/** Processes that differ from those of the same name on other hosts, and by which calls. */
function oddBlock(items: readonly ProgramItem[]): HTMLElement[] {
  const odd = items.filter((item) => item.odd !== undefined)
  if (odd.length === 0) return []
  return [
    block(
      'Unlike on other hosts',
      note('In their last minute these made other calls than the nearest hosts under this name.'),
      element(
        'ul',
        { class: 'others' },
        ...odd
          .slice(0, ODD_LISTED)
          .map(({ site, host, process, odd: of }) =>
            element(
              'li',
              {},
              element('a', { href: hostLink({ site, host }) }, name(host)),
              ` · pid ${process.pid} · `,
              of!.why
                .map(
                  ({ syscall, seen, usual }) =>
                    `${syscall} ${percent(seen)} (usual ${percent(usual)})`,
                )
                .join(', '),
            ),
          ),
      ),
    ),
  ]
}
