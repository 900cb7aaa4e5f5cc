/**
 * Makes elements whose content is text, never markup: nothing that comes from a host can become a
 * tag, an attribute or a script here, because there is no way to say so.
 */
import { oddities, piecesOf } from './odd-names.ts'
import type { Part } from './words.ts'

export type Child = Node | string | null | undefined | false

type Attributes = Readonly<Record<string, string | boolean | undefined>>

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    made.setAttribute(name, value === true ? '' : value)
  }
  made.append(
    ...children.filter((child): child is Node | string => child != null && child !== false),
  )
  return made
}

/**
 * A name that a host or a process chose: set apart, its direction kept to itself, broken after
 * separators rather than in mid-word, what is hidden in it shown, and marked where it deceives.
 */
export function name(text: string): HTMLElement {
  if (text === '') return element('bdi', { class: 'name' }, '(no name)')
  const odd = oddities(text)
  const shown = piecesOf(text).flatMap(({ text: piece, hidden }): Child[] =>
    hidden ? [element('span', { class: 'hidden-char' }, piece)] : breakable(piece),
  )
  const set = element('bdi', { class: 'name' }, ...shown)
  if (odd.length === 0) return set
  const words = odd.join(', ')
  return element('span', {}, set, ' ', element('span', { class: 'odd', title: words }, words))
}

/** Breaks are allowed after the separators of names and paths. */
function breakable(text: string): Child[] {
  return text
    .split(/(?<=[./_:@-])/u)
    .flatMap((part, i): Child[] => (i === 0 ? [part] : [element('wbr'), part]))
}

/** A hash, cut: its beginning is what people compare; the whole is in the title. */
export function hash(text: string): HTMLElement {
  const cut = name(text.length > 24 ? `${text.slice(0, 16)}…` : text)
  cut.title = text
  return cut
}

export function words(parts: readonly Part[]): (Node | string)[] {
  return parts.map((part) => (typeof part === 'string' ? part : name(part.name)))
}

/** A bar of a share from 0 to 1; the number stands beside it as text, so it is hidden from readers. */
export function bar(share: number, className: string): HTMLElement {
  const fill = element('span', { class: `fill ${className}` })
  fill.style.inlineSize = `${Math.min(Math.max(share, 0), 1) * 100}%`
  return element('span', { class: 'bar', 'aria-hidden': 'true' }, fill)
}

export function block(title: string, ...children: Child[]): HTMLElement {
  return element('section', { class: 'block' }, element('h2', {}, title), ...children)
}

/** A list of label and value; what is undefined is left out. */
export function facts(
  rows: readonly (readonly [label: string, value: string | readonly Child[] | undefined])[],
): HTMLElement {
  const shown = rows.filter(([, value]) => value !== undefined)
  return element(
    'dl',
    { class: 'facts' },
    ...shown.map(([label, value]) =>
      element(
        'div',
        {},
        element('dt', {}, label),
        element('dd', {}, ...(typeof value === 'string' ? [value] : (value ?? []))),
      ),
    ),
  )
}

export function note(...children: Child[]): HTMLElement {
  return element('p', { class: 'note' }, ...children)
}
