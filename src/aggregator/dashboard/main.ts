/** The one script: the page in a tab, and the event stream of all tabs in a shared worker. */
import { serveFeed } from './feed.ts'
import { startPage } from './page.ts'

if (typeof document === 'undefined')
  serveFeed(globalThis as unknown as Parameters<typeof serveFeed>[0])
else startPage(import.meta.url)
