/**
 * What Home Assistant is told so that it finds this host by itself [MQTT discovery]: one device with
 * whether its agent is connected, and its last alert. The states are our own topics, so nothing else
 * is sent for it.
 */
import { createHash } from 'node:crypto'
import { agentTopics, TOPIC_ROOT } from './topics.ts'

export interface Announcement {
  readonly topic: string
  readonly payload: Uint8Array
}

/** @param prefix of discovery, as Home Assistant is set up; "homeassistant" by default */
export function homeAssistantAnnouncements(
  prefix: string,
  {
    site,
    host,
    version,
  }: { readonly site: string; readonly host: string; readonly version: string },
): Announcement[] {
  const topics = agentTopics(site, host)
  const id = idOf(site, host)
  const device = {
    identifiers: [id],
    name: `Callsign ${host}`,
    manufacturer: 'Callsign',
    sw_version: version,
  }
  const availability = {
    availability_topic: topics.status,
    availability_template: '{{ value_json.state }}',
  }
  const entity = (component: string, name: string, config: object): Announcement => ({
    topic: `${prefix}/${component}/${id}/${name}/config`,
    payload: new TextEncoder().encode(
      JSON.stringify({
        unique_id: `${id}_${name}`,
        device,
        origin: { name: TOPIC_ROOT },
        ...config,
      }),
    ),
  })
  return [
    entity('binary_sensor', 'agent', {
      ...{ name: 'Agent', device_class: 'connectivity', entity_category: 'diagnostic' },
      ...{ state_topic: topics.status, value_template: '{{ value_json.state }}' },
      ...{ payload_on: 'online', payload_off: 'offline' },
    }),
    entity('binary_sensor', 'alert', {
      ...{ name: 'Alert', device_class: 'problem', state_topic: topics.alert },
      // An alert that is only provisional is no problem yet, and one that is closed none any more.
      value_template:
        "{{ 'ON' if value_json.state != 'closed' and value_json.certainty == 'confirmed' else 'OFF' }}",
      ...availability,
    }),
    entity('sensor', 'last_alert', {
      ...{ name: 'Last alert', icon: 'mdi:shield-alert', state_topic: topics.alert },
      value_template:
        '{{ (value_json.severity ~ ": " ~ value_json.process.name ~ " " ~ value_json.kind)[:255] }}',
      json_attributes_topic: topics.alert,
      ...availability,
    }),
  ]
}

/**
 * Of letters, digits, "_" and "-" alone; where the names have others, a digest keeps apart what would
 * be the same ("web.1" and "web_1").
 */
function idOf(site: string, host: string): string {
  const other = /[^A-Za-z0-9-]/g
  const id = `callsign_${site.replace(other, '_')}_${host.replace(other, '_')}`
  if (`${site}${host}`.search(other) < 0) return id
  return `${id}_${createHash('sha256').update(`${site}/${host}`).digest('hex').slice(0, 8)}`
}
