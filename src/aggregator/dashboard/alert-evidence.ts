/** What a process claims to be beside what it behaves like, and the calls that decided. */

import type { Reason } from '../../domain/alert.ts'
import type { HostAlert } from '../store/incident.ts'
import { bar, block, type Child, element, name, note } from './element.ts'
import { comparison, percent } from './words.ts'

export function claims({ claimed, predicted, process, kind }: HostAlert): HTMLElement {
  const line = (label: string, who: Child, confidence: number | undefined, className: string) =>
    element(
      'div',
      { class: 'claim' },
      element('dt', {}, label),
      element(
        'dd',
        {},
        element('span', { class: 'who' }, who),
        element(
          'span',
          { class: 'sure' },
          confidence === undefined ? '' : percent(confidence),
          confidence === undefined ? '' : bar(confidence, className),
        ),
      ),
    )
  const known = claimed.class !== ''
  return element(
    'dl',
    { class: 'claims', 'aria-label': 'Claimed and predicted' },
    line(
      'Claims to be',
      name(known ? claimed.class : process.name),
      known ? claimed.confidence : undefined,
      'plain',
    ),
    line(
      kind === 'novelty' ? 'Most like' : 'Behaves like',
      predicted.class === '' ? 'nothing known' : name(predicted.class),
      predicted.class === '' ? undefined : predicted.confidence,
      kind === 'novelty' ? 'plain' : 'seen',
    ),
  )
}

/** What it was seen to do against what its name usually does, syscall by syscall. */
export function whyBars({ why, claimed }: HostAlert): HTMLElement {
  if (why.length === 0) return block('Calls that decided', note('The agent named none.'))
  const most = Math.max(...why.flatMap(({ seen, expected }) => [seen, expected]), 0.01)
  const usual = claimed.class === '' ? ['usual elsewhere'] : ['usual for ', name(claimed.class)]
  return block(
    'Calls that decided',
    element(
      'p',
      { class: 'legend' },
      element(
        'span',
        {},
        element('span', { class: 'key seen', 'aria-hidden': 'true' }),
        'seen here',
      ),
      element(
        'span',
        {},
        element('span', { class: 'key expected', 'aria-hidden': 'true' }),
        ...usual,
      ),
      element('span', {}, '(share of all its calls)'),
    ),
    element('ul', { class: 'why' }, ...why.map((reason) => reasonOf(reason, most))),
  )
}

function reasonOf({ syscall, seen, expected }: Reason, most: number): HTMLElement {
  const pair = (label: string, share: number, className: string): HTMLElement =>
    element(
      'span',
      { class: 'pair' },
      element('span', { class: 'unseen' }, `${label} `),
      bar(share / most, className),
      element('span', { class: 'share' }, percent(share)),
    )
  return element(
    'li',
    {},
    element('span', { class: 'syscall' }, name(syscall)),
    element('span', { class: 'verdict' }, comparison(seen, expected)),
    element(
      'span',
      { class: 'pairs' },
      pair('seen', seen, 'seen'),
      pair('usual', expected, 'expected'),
    ),
  )
}
