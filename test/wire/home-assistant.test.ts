/** Which host Home Assistant takes an announcement for. */
import { expect, test } from 'bun:test'
import { homeAssistantAnnouncements } from '../../src/wire/home-assistant.ts'

const idsOf = (site: string, host: string) =>
  homeAssistantAnnouncements('homeassistant', { site, host, version: '1' }).map(
    ({ payload }) =>
      (JSON.parse(new TextDecoder().decode(payload)) as { unique_id: string }).unique_id,
  )

test('hosts with names that differ in a sign have ids of their own, which Home Assistant takes', () => {
  const names = [
    ['lab', 'web-1'],
    ['lab', 'web.1'],
    ['lab', 'web_1'],
    ['lab_web', '1'],
    ['lab', 'web:1'],
  ] as const
  const ids = names.flatMap(([site, host]) => idsOf(site, host))
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]+$/)
  expect(ids[0]).toBe('callsign_lab_web-1_agent')
})
