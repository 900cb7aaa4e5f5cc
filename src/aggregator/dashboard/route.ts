/**
 * What is shown is in the address after `#`, so that it can be sent to a colleague and the back
 * button works: a path of names, and the filters of a list. No DOM here.
 */

export type Filters = Readonly<Record<string, string>>

export type Route =
  | { readonly view: 'overview'; readonly filters: Filters }
  | { readonly view: 'incidents'; readonly filters: Filters }
  | { readonly view: 'incident'; readonly site: string; readonly host: string; readonly id: string }
  | { readonly view: 'hosts'; readonly filters: Filters }
  | { readonly view: 'host'; readonly site: string; readonly host: string }
  | { readonly view: 'program'; readonly name: string }
  | { readonly view: 'fleet'; readonly filters: Filters }
  | { readonly view: 'audit'; readonly filters: Filters }
  | { readonly view: 'unknown' }

export function readRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const filters = Object.fromEntries(
    [...new URLSearchParams(query)].filter(([, value]) => value !== ''),
  )
  const [view = '', ...names] = path.split('/').map(decode)
  const [first = '', second = '', third = ''] = names
  if (names.includes('')) return { view: 'unknown' }
  if (names.length === 0)
    switch (view) {
      case '':
        return { view: 'overview', filters }
      case 'incidents':
      case 'hosts':
      case 'fleet':
      case 'audit':
        return { view, filters }
    }
  if (view === 'incident' && names.length === 3)
    return { view, site: first, host: second, id: third }
  if (view === 'host' && names.length === 2) return { view, site: first, host: second }
  if (view === 'program' && names.length === 1) return { view, name: first }
  return { view: 'unknown' }
}

/** An address; empty filters are left out. */
export function link(path: readonly string[], filters: Filters = {}): string {
  const wanted = Object.entries(filters).filter(([, value]) => value !== '')
  const query = new URLSearchParams(wanted).toString()
  return `#/${path.map(encodeURIComponent).join('/')}${query === '' ? '' : `?${query}`}`
}

export function incidentLink(of: { site: string; host: string; id: string }): string {
  return link(['incident', of.site, of.host, of.id])
}

export function hostLink({ site, host }: { site: string; host: string }): string {
  return link(['host', site, host])
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
