/** Opens a page in the user's browser if there is a desktop; never fails, never waits. */
import { findProgram, startDetached } from '../platform/linux/child.ts'

export function openPage(url: string): boolean {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env
  const opener = findProgram('xdg-open')
  if (opener === undefined || (!DISPLAY && !WAYLAND_DISPLAY)) return false
  startDetached([opener, url])
  return true
}
