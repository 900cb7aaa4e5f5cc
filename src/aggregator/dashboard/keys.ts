/** Keys: j and k walk through rows, / goes to the search, ? shows all of them. */

export function startKeys(): void {
  const help = document.getElementById('help') as HTMLDialogElement
  document.getElementById('help-button')?.addEventListener('click', () => help.showModal())
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return
    const { target } = event
    const writes = target instanceof HTMLElement && target.matches('input, textarea, select')
    if (event.key === 'Escape' && writes) target.blur()
    if (writes) return
    const act = KEYS[event.key]
    if (act === undefined) return
    event.preventDefault()
    act(help)
  })
}

const KEYS: Readonly<Record<string, (help: HTMLDialogElement) => void>> = {
  j: () => walk(1),
  k: () => walk(-1),
  '/': () => document.querySelector<HTMLInputElement>('.toolbar input')?.focus(),
  '?': (help) => help.showModal(),
  o: () => goTo('#/'),
  i: () => goTo('#/incidents'),
  h: () => goTo('#/hosts'),
  u: () => history.back(),
  a: () => document.querySelector<HTMLButtonElement>('[data-key="button-acknowledge"]')?.click(),
}

function goTo(hash: string): void {
  location.hash = hash
}

function walk(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')]
  if (rows.length === 0) return
  const at = rows.indexOf(document.activeElement as HTMLElement)
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step
  rows[Math.min(Math.max(next, 0), rows.length - 1)]?.focus()
}
