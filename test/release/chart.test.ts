/**
 * The Helm chart, rendered here. Its template uses three things alone: values, `toJson`,
 * `sha256sum`; whatever else stands in it fails. Helm's own renderer was not at hand.
 */
import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'

const CHART = join(import.meta.dir, '../../packaging/helm')
const read = (name: string): string => readFileSync(join(CHART, name), 'utf8')
const parsed = (name: string) => Bun.YAML.parse(read(name)) as Record<string, unknown>
const TEMPLATE = read('templates/callsign.yaml')
const ACTION = /\{\{(.*?)\}\}/g
const defaults = parsed('values.yaml')

interface Template {
  metadata: { annotations?: Record<string, string> }
  spec: {
    containers: { image: string }[]
    volumes: { hostPath: { path: string } }[]
    nodeSelector: Record<string, string>
    imagePullSecrets?: unknown[]
  }
}
interface Document {
  kind: string
  metadata: { namespace?: string }
  data: Record<string, string>
  spec: { template: Template }
}

/** As Go's encoding/json writes it. */
function toJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

function render(values: Record<string, unknown>, namespace = 'callsign'): Document[] {
  const data = { Values: { ...defaults, ...values }, Release: { Namespace: namespace } }
  expect(TEMPLATE.replaceAll(ACTION, '')).not.toMatch(/\{\{|\}\}/)
  const text = TEMPLATE.replace(ACTION, (_, action: string) => {
    const [path, ...filters] = action.split('|').map((word) => word.trim())
    expect(path).toMatch(/^(\.[A-Z][A-Za-z]+)(\.[A-Za-z]+)+$/)
    let value: unknown = data
    for (const key of path!.slice(1).split('.')) {
      expect(Object.keys(value as object)).toContain(key)
      value = (value as Record<string, unknown>)[key]
    }
    expect(filters.at(-1)).toBe('toJson')
    for (const filter of filters) {
      expect(['toJson', 'sha256sum']).toContain(filter)
      value = filter === 'toJson' ? toJson(value) : sha256(String(value))
    }
    return String(value)
  })
  return Bun.YAML.parse(text) as Document[]
}

const byKind = (documents: Document[], kind: string) =>
  documents.find((document) => document.kind === kind)!

describe('the Helm chart', () => {
  test('gives with its own values what the plain manifest says', () => {
    const plain = Bun.YAML.parse(
      readFileSync(join(CHART, '../kubernetes/callsign.yaml'), 'utf8'),
    ) as Document[]
    const rendered = render({})
    const { metadata, spec } = byKind(rendered, 'DaemonSet').spec.template
    expect(metadata.annotations?.['callsign/settings']).toHaveLength(64)
    delete metadata.annotations
    expect(spec.imagePullSecrets).toEqual([])
    delete spec.imagePullSecrets
    // Helm makes the namespace, where it is told to.
    expect(rendered).toEqual(plain.filter(({ kind }) => kind !== 'Namespace'))
  })

  test('gives manifests that Kubernetes takes, whatever the values hold', () => {
    const settings = 'site = "a: b # c"\n---\nkind: Pod\n{{ .Values.image }}\n<>&"\'\u2028'
    const documents = render(
      {
        ...{ settings, image: 'registry.example:5000/callsign:0.1.0', statePath: '/srv/state: x' },
        imagePullSecrets: [{ name: 'registry' }],
        nodeSelector: { 'kubernetes.io/os': 'linux', pool: 'web' },
        tolerations: [],
      },
      'security',
    )
    expect(documents.map(({ kind }) => kind)).toEqual(['ServiceAccount', 'ConfigMap', 'DaemonSet'])
    expect(documents.map(({ metadata }) => metadata.namespace)).toEqual(Array(3).fill('security'))
    const kinds = { DaemonSet, ConfigMap, ServiceAccount }
    for (const document of documents) {
      const Kind = kinds[document.kind as keyof typeof kinds]
      expect(() => new Kind(document as never).validate()).not.toThrow()
    }
    expect(byKind(documents, 'ConfigMap').data['agent.toml']).toBe(settings)
    const { spec } = byKind(documents, 'DaemonSet').spec.template
    expect(spec.containers[0]?.image).toBe('registry.example:5000/callsign:0.1.0')
    expect(spec.volumes[0]?.hostPath.path).toBe('/srv/state: x')
    expect(spec.nodeSelector.pool).toBe('web')
  })

  test('other settings are other pods', () => {
    const annotation = (settings: string) =>
      byKind(render({ settings }), 'DaemonSet').spec.template.metadata.annotations
    expect(annotation('site = "a"')).not.toEqual(annotation('site = "b"'))
  })

  test('knows each value, and lets Helm refuse others', () => {
    const schema = JSON.parse(read('values.schema.json'))
    expect(schema.additionalProperties).toBe(false)
    // `global` is Helm's own.
    expect(Object.keys(schema.properties).sort()).toEqual(
      ['global', ...Object.keys(defaults)].sort(),
    )
    for (const name of schema.required) expect(defaults[name]).toBeDefined()
  })

  test('has a template for each file, and says what it is', () => {
    expect(readdirSync(join(CHART, 'templates'))).toEqual(['callsign.yaml'])
    const chart = parsed('Chart.yaml')
    expect(chart).toMatchObject({ apiVersion: 'v2', name: 'callsign', type: 'application' })
  })
})
