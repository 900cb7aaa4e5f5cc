/**
 * Certificates for tests, made by openssl: an authority, a server for 127.0.0.1 and localhost,
 * clients, a stranger.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const hasOpenssl: boolean = Bun.which('openssl') !== null

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  readonly ca: string
  readonly server: Certificate
  readonly client: Certificate
  /** Signed by an authority that nobody knows. */
  readonly stranger: Certificate
  readonly strangersCa: string
}

export function makeCertificates(directory: string): Certificates {
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: directory })
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
  }
  const keyArgs = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const at = (name: string) => join(directory, name)
  const authority = (name: string) => {
    const subject = `/CN=${name}`
    openssl(
      'req',
      '-x509',
      ...keyArgs,
      '-subj',
      subject,
      '-days',
      '2',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
    )
    return at(`${name}.crt`)
  }
  const certificate = (name: string, by: string): Certificate => {
    openssl(
      'req',
      ...keyArgs,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    )
    writeFileSync(at(`${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${by}.crt`,
      '-CAkey',
      `${by}.key`,
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    )
    return { cert: at(`${name}.crt`), key: at(`${name}.key`) }
  }
  const ca = authority('authority')
  const strangersCa = authority('nobody')
  return {
    ca,
    strangersCa,
    server: certificate('server', 'authority'),
    client: certificate('client', 'authority'),
    stranger: certificate('stranger', 'nobody'),
  }
}
