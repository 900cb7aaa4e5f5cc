/** The filters above a list: a search, choices, each kept in the address as soon as it changes. */
import { element } from './element.ts'
import type { Filters } from './route.ts'

const TYPED_MS = 250

export interface Choice {
  readonly name: string
  readonly label: string
  /** Value and words; the first stands for no filter and has the value ''. */
  readonly options: readonly (readonly [value: string, words: string])[]
}

export function toolbar(
  filters: Filters,
  search: { readonly name: string; readonly label: string },
  choices: readonly Choice[],
  onChange: (changes: Filters) => void,
): HTMLFormElement {
  const input = element('input', {
    type: 'search',
    name: search.name,
    placeholder: search.label,
    'aria-label': search.label,
    'data-key': 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: '200',
  })
  input.value = filters[search.name] ?? ''
  let soon: ReturnType<typeof setTimeout> | undefined
  input.addEventListener('input', () => {
    clearTimeout(soon)
    soon = setTimeout(() => onChange({ [search.name]: input.value.trim() }), TYPED_MS)
  })
  const form = element(
    'form',
    { class: 'toolbar', role: 'search' },
    input,
    ...choices.map((choice) => picker(choice, filters, onChange)),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    clearTimeout(soon)
    onChange({ [search.name]: input.value.trim() })
  })
  return form
}

function picker(
  { name, label, options }: Choice,
  filters: Filters,
  onChange: (changes: Filters) => void,
): HTMLElement {
  const current = filters[name] ?? options[0]![0]
  const known = options.some(([value]) => value === current)
  const select = element(
    'select',
    { name, 'data-key': `select-${name}` },
    ...[...options, ...(known ? [] : [[current, current] as const])].map(([value, words]) =>
      element('option', { value, selected: value === current }, words),
    ),
  )
  select.addEventListener('change', () => onChange({ [name]: select.value }))
  return element('label', {}, element('span', {}, label), select)
}
