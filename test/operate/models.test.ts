import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  listModels,
  openModelInUse,
  signModel,
  useModel,
  verifyModel,
} from '../../src/operate/models.ts'
import { writeTinyModel } from '../support/tiny-model.ts'

let state: string
let directory: string
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'models-'))
  directory = await writeTinyModel()
})
afterAll(async () => {
  await rm(state, { recursive: true })
  await rm(directory, { recursive: true })
})

const nameInUse = async () => (await listModels(state)).find(({ inUse }) => inUse)?.name

describe('useModel()', () => {
  test('copies a model that is whole and makes it the one in use, until another is chosen', async () => {
    expect(await nameInUse()).toBe('default')
    const name = await useModel(directory, state)
    expect(name).toMatch(/^[0-9a-f]{16}$/)
    expect(await nameInUse()).toBe(name)
    const model = await openModelInUse(undefined, state)
    expect(model.classes.names).toEqual(['nginx', 'cron', 'miner'])
    await model.close()
    await useModel('default', state)
    expect(await nameInUse()).toBe('default')
    expect(await useModel(name, state)).toBe(name)
  })

  test('leaves the one in use alone when the new one is not whole', async () => {
    const name = await useModel(directory, state)
    const broken = await writeTinyModel()
    await writeFile(join(broken, 'manifest.json'), '{}')
    await expect(useModel(broken, state)).rejects.toMatchObject({ code: 'ERR_MODEL' })
    await rm(broken, { recursive: true })
    expect(await nameInUse()).toBe(name)
  })

  test.each(['../../etc', '/etc', 'in-use', ''])('takes %p for no model', async (which) => {
    await expect(useModel(which, state)).rejects.toMatchObject({ code: 'ERR_MODEL' })
  })
})

describe('a manifest that was changed', () => {
  const changed = async (change: (text: string) => string) => {
    const copy = await writeTinyModel()
    const path = join(copy, 'manifest.json')
    await writeFile(path, change(await readFile(path, 'utf8')))
    return copy
  }

  test('is refused by its digest, whatever was changed in it', async () => {
    for (const change of [
      (text: string) => text.replace(/"temperature":[\d.]+/, '"temperature":3'),
      (text: string) => text.replace('"malicious":true', '"malicious":false'),
      (text: string) => text.replace(/"expires": "2\d/, '"expires": "29'),
    ]) {
      const copy = await changed(change)
      await expect(verifyModel(copy, undefined)).rejects.toMatchObject({ code: 'ERR_SIGNATURE' })
      await rm(copy, { recursive: true })
    }
  })

  test('is the same in another order and spacing', async () => {
    const before = await verifyModel(directory, undefined)
    const copy = await changed((text) =>
      JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse()), null, 1),
    )
    expect((await verifyModel(copy, undefined)).digest).toBe(before.digest)
    await rm(copy, { recursive: true })
  })

  test('without its digest is another model by name', async () => {
    const copy = await changed((text) => {
      const { digest: _, ...rest } = JSON.parse(text) as { digest: string; calibration: object }
      return JSON.stringify({ ...rest, calibration: { ...rest.calibration, temperature: 3 } })
    })
    expect(await useModel(copy, state)).not.toBe(await useModel(directory, state))
    await rm(copy, { recursive: true })
  })
})

describe('a model that others can write to', () => {
  test.each([
    ['the directory', ''],
    ['its manifest', 'manifest.json'],
    ['its net', 'model.onnx'],
  ])('is not opened: %s', async (_, file) => {
    const theirs = await writeTinyModel()
    await chmod(join(theirs, file), 0o777)
    await expect(openModelInUse(theirs, state)).rejects.toMatchObject({ code: 'ERR_PERMISSION' })
    await rm(theirs, { recursive: true })
  })
})

describe('a state directory that others can write to', () => {
  const opened = async () => {
    const theirs = await mkdtemp(join(tmpdir(), 'models-'))
    await useModel(directory, theirs)
    await chmod(theirs, 0o777)
    return theirs
  }

  test('is refused before a model is read from it, or written to it', async () => {
    const theirs = await opened()
    const refused = { code: 'ERR_STATE', message: expect.stringContaining('written to by others') }
    await expect(openModelInUse(undefined, theirs)).rejects.toMatchObject(refused)
    await expect(useModel('default', theirs)).rejects.toMatchObject(refused)
    await rm(theirs, { recursive: true })
  })

  test('does not matter where the model is another directory, or the one that came with the agent', async () => {
    const theirs = await opened()
    await (await openModelInUse(directory, theirs)).close()
    await rm(join(theirs, 'models'), { recursive: true })
    await (await openModelInUse(undefined, theirs)).close()
    await rm(theirs, { recursive: true })
  })
})

test('openModelInUse() refuses a name in use that leads elsewhere', async () => {
  await writeFile(join(state, 'models', 'in-use'), '../../../tmp/evil\n')
  await expect(openModelInUse(undefined, state)).rejects.toThrow('has no name of a model')
  await useModel('default', state)
})

test('verifyModel() tells unsigned, unchecked, good and foreign signatures apart', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const open = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  expect((await verifyModel(directory, undefined)).signature).toBe('none')
  await expect(verifyModel(directory, open)).rejects.toMatchObject({ code: 'ERR_SIGNATURE' })
  await signModel(directory, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  expect((await verifyModel(directory, undefined)).signature).toBe('not checked')
  expect((await verifyModel(directory, open)).signature).toBe('good')
  const path = join(directory, 'manifest.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace('"tiny"', '"tinY"'))
  await expect(verifyModel(directory, open)).rejects.toMatchObject({ code: 'ERR_SIGNATURE' })
})
