import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defined } from '../../../src/domain/defined.ts'
import { AgentError } from '../../../src/domain/error.ts'
import { connectMqtt, parseBrokerUrl, type TlsFiles } from '../../../src/platform/mqtt/client.ts'
import { startAedes } from '../../support/brokers.ts'
import { temporaryDirectories } from '../../support/temporary.ts'

const directory = temporaryDirectories()

describe('parseBrokerUrl()', () => {
  test.each([
    [
      'mqtt://127.0.0.1',
      { tls: false, host: '127.0.0.1', port: 1883, url: 'mqtt://127.0.0.1:1883' },
    ],
    ['mqtts://broker.example', { tls: true, host: 'broker.example', port: 8883 }],
    ['mqtt://[::1]:2000/', { host: '::1', port: 2000, url: 'mqtt://[::1]:2000' }],
    ['mqtt://web%2D1@broker:9', { host: 'broker', username: 'web-1', url: 'mqtt://broker:9' }],
  ])('reads "%s"', (text, wanted) => {
    expect(parseBrokerUrl(text)).toMatchObject(wanted)
  })

  test.each([
    ['broker', 'it is no URL'],
    ['', 'it is no URL'],
    ['http://broker', '"http://" is not supported'],
    ['mqtt://', 'it has no host'],
    ['mqtt://broker:0', 'port 0 is no port'],
    ['mqtt://broker/topic', 'it must end with the port'],
    ['mqtt://broker?x=1', 'it must end with the port'],
    ['mqtt://broker:70000', 'it is no URL'],
  ])('refuses "%s"', (text, why) => {
    expect(() => parseBrokerUrl(text)).toThrow(why)
  })

  test('refuses a password, and does not repeat it', () => {
    try {
      parseBrokerUrl('mqtt://me:hunter2@broker')
      throw new Error('It did not throw')
    } catch (error) {
      expect(error).toBeInstanceOf(AgentError)
      expect((error as AgentError).code).toBe('ERR_CONFIG')
      expect((error as AgentError).message).toContain('a password does not belong in an address')
      expect(`${(error as AgentError).message}${(error as AgentError).hint}`).not.toContain(
        'hunter2',
      )
    }
  })
})

describe('connectMqtt()', () => {
  const connect = (url: string, tls?: TlsFiles) =>
    connectMqtt(parseBrokerUrl(url), {
      clientId: 'test',
      onMessage: () => {},
      timeoutMs: 2_000,
      ...defined({ tls }),
    })

  test('falls back to MQTT 3.1.1 where the broker knows no other', async () => {
    const broker = await startAedes()
    const connection = await connect(broker.url)
    expect(connection.protocol).toBe(4)
    await connection.publish('a/b', Uint8Array.of(1), {
      contentType: 'x',
      userProperties: { a: 'b' },
    })
    expect(broker.published).toHaveLength(1)
    await connection.end()
    expect(await connection.closed).toBeString()
    await broker.close()
  })

  test('rejects what is published after the end', async () => {
    const broker = await startAedes()
    const connection = await connect(broker.url)
    connection.destroy()
    await connection.closed
    await expect(connection.publish('a/b', Uint8Array.of(1))).rejects.toThrow()
    await broker.close()
  })

  test('says where nobody listens', async () => {
    await expect(connect('mqtt://127.0.0.1:1')).rejects.toMatchObject({
      code: 'ERR_BROKER',
      hint: 'Check that a broker listens there: nc -vz 127.0.0.1 1',
    })
  })

  test.each([
    [
      'a file that is not there',
      'mqtts',
      { ca: '/none/ca.pem' },
      'Cannot read "/none/ca.pem" for --ca',
    ],
    [
      'a certificate without its key',
      'mqtts',
      { cert: '/none' },
      'Cannot use a client certificate without its key',
    ],
    ['certificates without TLS', 'mqtt', { ca: '/none' }, 'it is not a TLS address'],
  ])('refuses %s', async (_, protocol, tls, why) => {
    const error = await connect(`${protocol}://127.0.0.1:1`, tls).catch((error) => error)
    expect(error).toBeInstanceOf(AgentError)
    expect([error.code, error.retriable]).toEqual(['ERR_CONFIG', false])
    expect(error.message).toContain(why)
  })

  test('refuses rubbish for a key, without ending the process', async () => {
    const path = join(directory(), 'rubbish.pem')
    writeFileSync(path, 'rubbish')
    const tls = { ca: path, cert: path, key: path }
    await expect(connect('mqtts://127.0.0.1:1', tls)).rejects.toBeInstanceOf(AgentError)
  })
})
