/**
 * What the binary is made of, as CycloneDX 1.6: npm packages with their sums from bun.lock, the
 * runtime, and the model. The serial number follows from the content, so that the same sources give
 * the same bill.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as CDX from '@cyclonedx/cyclonedx-library'

interface LockedPackage {
  readonly name: string
  readonly version: string
  readonly integrity: string | undefined
  readonly dependencies: readonly string[]
}

/** @param epoch Unix seconds */
export function billOfMaterials(checkout: string, version: string, epoch: number): string {
  const { Bom, Component, HashDictionary, NamedLicense } = CDX.Models
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
  const main = new Component(CDX.Enums.ComponentType.Application, 'callsign', {
    version,
    bomRef: `callsign@${version}`,
    purl: `pkg:generic/callsign@${version}`,
  } as object)
  main.licenses.add(new NamedLicense(manifest.license))
  const bom = new Bom({
    metadata: new CDX.Models.Metadata({ component: main, timestamp: new Date(epoch * 1000) }),
  })
  for (const { name, version, integrity } of shippedPackages(checkout, manifest)) {
    const component = new Component(CDX.Enums.ComponentType.Library, name, {
      version,
      bomRef: `${name}@${version}`,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    } as object)
    if (integrity?.startsWith('sha512-') === true)
      component.hashes = new HashDictionary([
        [
          CDX.Enums.HashAlgorithm['SHA-512'],
          Buffer.from(integrity.slice(7), 'base64').toString('hex'),
        ],
      ] as never)
    const license = licenseOf(checkout, name)
    if (license !== undefined) component.licenses.add(new NamedLicense(license))
    bom.components.add(component)
    main.dependencies.add(component.bomRef)
  }
  bom.components.add(
    new Component(CDX.Enums.ComponentType.Framework, 'bun', {
      version: manifest.engines.bun,
      bomRef: `bun@${manifest.engines.bun}`,
      purl: `pkg:npm/bun@${manifest.engines.bun}`,
    } as object),
  )
  const model = JSON.parse(readFileSync(join(checkout, 'models/default/manifest.json'), 'utf8'))
  const trained = new Component(CDX.Enums.ComponentType.MachineLearningModel, model.name, {
    version: model.id.slice(0, 16),
    bomRef: `model@${model.id}`,
  } as object)
  bom.components.add(trained)
  const serialise = () =>
    new CDX.Serialize.JsonSerializer(
      new CDX.Serialize.JSON.Normalize.Factory(CDX.Spec.Spec1dot6),
    ).serialize(bom, { sortLists: true, space: 1 })
  bom.serialNumber = `urn:uuid:${uuidOf(serialise())}`
  return `${serialise()}\n`
}

/** What is bundled: the dependencies of the product and theirs. */
function shippedPackages(checkout: string, manifest: { dependencies: object }): LockedPackage[] {
  const locked = lockedPackages(checkout)
  const shipped = new Map<string, LockedPackage>()
  const queue = Object.keys(manifest.dependencies)
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const found = locked.get(name)
    if (found === undefined || shipped.has(found.name)) continue
    shipped.set(found.name, found)
    queue.push(...found.dependencies)
  }
  return [...shipped.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** bun.lock is JSON with commas behind the last entries. */
function lockedPackages(checkout: string): Map<string, LockedPackage> {
  const text = readFileSync(join(checkout, 'bun.lock'), 'utf8').replace(/,(\s*[}\]])/g, '$1')
  const { packages } = JSON.parse(text) as {
    packages: Record<string, [string, string, { dependencies?: object }, string?]>
  }
  return new Map(
    Object.entries(packages).map(([key, [id, , details, integrity]]) => {
      const at = id.lastIndexOf('@')
      const dependencies = Object.keys(details.dependencies ?? {})
      return [key, { name: id.slice(0, at), version: id.slice(at + 1), integrity, dependencies }]
    }),
  )
}

function licenseOf(checkout: string, name: string): string | undefined {
  try {
    const text = readFileSync(join(checkout, 'node_modules', name, 'package.json'), 'utf8')
    const { license } = JSON.parse(text) as { license?: unknown }
    return typeof license === 'string' ? license : undefined
  } catch {
    return undefined
  }
}

/** A UUID of version 8 [RFC 9562] from the content. */
function uuidOf(text: string): string {
  const hex = new Bun.CryptoHasher('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
