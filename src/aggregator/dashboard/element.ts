/**
 * Makes elements whose content is text, never markup: nothing that comes from a host can become a
 * tag, an attribute or a script here, because there is no way to say so.
 */
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

/** A name that a host or a process chose: set apart, and its direction kept to itself. */
export function name(text: string): HTMLElement {
  return element('bdi', { class: 'name' }, text === '' ? '(no name)' : text)
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

/**
 * A bar of a share from 0 to 1; the number stands beside it as text, so it is hidden from readers.
 */
export function bar(share: number, className: string): HTMLElement {
  const fill = element('span', { class: `fill ${className}` })
  fill.style.inlineSize = `${Math.min(Math.max(share, 0), 1) * 100}%`
  return element('span', { class: 'bar', 'aria-hidden': 'true' }, fill)
}

/** Puts children in order with as few moves as possible: an element that stays keeps its focus. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  let at: Element | null = parent.firstElementChild
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling
    else parent.insertBefore(child, at)
  }
  while (at !== null) {
    const next: Element | null = at.nextElementSibling
    at.remove()
    at = next
  }
}
