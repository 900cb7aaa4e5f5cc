/**
 * A small certificate authority: certificates [RFC 5280] for P-256 keys, signed with ECDSA and
 * SHA-256, and lists of revoked ones. Nothing else is written, and nothing is read: what clients
 * bring is checked by the TLS library.
 *
 * Written here, because node:crypto makes keys and signatures but no certificates, and a library
 * that does brings some 20 packages for the nine fields below. Checked against openssl
 * (test/platform/x509.test.ts).
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'

export interface Authority {
  /** PEM. */
  readonly key: string
  readonly certificate: string
}

export interface Subject {
  readonly commonName: string
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  /** A server has names, a client has none. */
  readonly names?: readonly string[]
  /** Unix ms. */
  readonly from: number
  readonly until: number
}

export interface Issued {
  /** Hex, 32 characters. */
  readonly serial: string
  /** PEM. */
  readonly certificate: string
}

export interface KeyPair {
  /** PEM. */
  readonly key: string
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
}

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  names: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const

export function makeKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  }
}

/** Signs itself. */
export function makeAuthority(commonName: string, from: number, until: number): Authority {
  const { key, publicKey } = makeKeyPair()
  const certificate = certify({
    ...{ commonName, publicKey, from, until, serial: newSerial(), issuer: commonName },
    ...{ signingKey: createPrivateKey(key), authorityKey: publicKey },
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true), integer(Buffer.of(0)))),
      // keyCertSign and cRLSign.
      extension(OID.keyUsage, true, bits(Buffer.of(0x06), 1)),
    ],
  })
  return { key, certificate }
}

export function issue(authority: Authority, subject: Subject): Issued {
  const { names, ...rest } = subject
  const { issuer, authorityKey } = partsOf(authority)
  const serial = newSerial()
  const usage = names === undefined ? OID.client : OID.server
  const certificate = certify({
    ...{ ...rest, serial, issuer, authorityKey, signingKey: createPrivateKey(authority.key) },
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      // digitalSignature.
      extension(OID.keyUsage, true, bits(Buffer.of(0x80), 7)),
      extension(OID.extendedKeyUsage, false, sequence(oid(usage))),
      ...(names === undefined ? [] : [extension(OID.names, false, sequence(...names.map(nameOf)))]),
    ],
  })
  return { serial: serial.toString('hex'), certificate }
}

/**
 * @param revoked serials with the Unix ms of their revocation
 * @returns PEM
 */
export function revocationList(
  authority: Authority,
  revoked: readonly { readonly serial: string; readonly at: number }[],
  from: number,
  until: number,
): string {
  const { issuer, authorityKey } = partsOf(authority)
  const list = sequence(
    integer(Buffer.of(1)),
    algorithm(),
    distinguishedName(issuer),
    time(from),
    time(until),
    ...(revoked.length === 0
      ? []
      : [
          sequence(
            ...revoked.map(({ serial, at }) =>
              sequence(integer(Buffer.from(serial, 'hex')), time(at)),
            ),
          ),
        ]),
    tagged(
      0,
      sequence(
        authorityKeyExtension(authorityKey),
        extension(OID.crlNumber, false, integer(numberBytes(Math.floor(from / 1000)))),
      ),
    ),
  )
  return pem('X509 CRL', signed(list, createPrivateKey(authority.key)))
}

/** SHA-256 of a certificate's DER, hex. */
export function fingerprint(certificate: string): string {
  const { raw } = new X509Certificate(certificate)
  return createHash('sha256').update(raw).digest('hex')
}

/** Of a P-256 key whose point is not compressed, what comes before the point. */
const KEY_INFO_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
const POINT_BYTES = 64

/**
 * Whether it is the public key of the curve that certificates are issued for, and nothing else: it
 * goes into a certificate as it is, and the library reads a key that something follows, too.
 */
export function isPublicKeyInfo(der: Uint8Array): boolean {
  const { length } = KEY_INFO_HEAD
  if (der.length !== length + POINT_BYTES) return false
  if (!KEY_INFO_HEAD.equals(der.subarray(0, length))) return false
  try {
    createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
    return true
  } catch {
    // Not a point of the curve.
    return false
  }
}

/** Whether a private key (PEM) is that of a certificate (PEM); false where either is none. */
export function isPair(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

/** Unix ms of a certificate's time. @throws where it is no certificate */
export function validityOf(certificate: string): { readonly from: number; readonly until: number } {
  const { validFrom, validTo } = new X509Certificate(certificate)
  return { from: Date.parse(validFrom), until: Date.parse(validTo) }
}

// --- What a certificate is made of -------------------------------------------------------------------

interface Certificate extends Omit<Subject, 'names'> {
  readonly serial: Buffer
  readonly issuer: string
  readonly authorityKey: Uint8Array
  readonly signingKey: KeyObject
  readonly extensions: readonly Buffer[]
}

function certify(of: Certificate): string {
  const { serial, issuer, commonName, from, until, publicKey, authorityKey, extensions } = of
  const body = sequence(
    tagged(0, integer(Buffer.of(2))), // version 3
    integer(serial),
    algorithm(),
    distinguishedName(issuer),
    sequence(time(from), time(until)),
    distinguishedName(commonName),
    Buffer.from(publicKey),
    tagged(
      3,
      sequence(
        ...extensions,
        extension(OID.subjectKey, false, octets(keyId(publicKey))),
        authorityKeyExtension(authorityKey),
      ),
    ),
  )
  return pem('CERTIFICATE', signed(body, of.signingKey))
}

function partsOf({ certificate }: Authority) {
  const { subject, publicKey } = new X509Certificate(certificate)
  return {
    issuer: subject.replace(/^CN=/, ''),
    authorityKey: publicKey.export({ format: 'der', type: 'spki' }),
  }
}

function signed(body: Buffer, key: KeyObject): Buffer {
  return sequence(body, algorithm(), bits(sign('sha256', body, key), 0))
}

function algorithm(): Buffer {
  return sequence(oid(OID.ecdsaWithSha256))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(oid(OID.commonName), der(0x0c, Buffer.from(commonName, 'utf8')))))
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
}

function authorityKeyExtension(publicKey: Uint8Array): Buffer {
  return extension(OID.authorityKey, false, sequence(der(0x80, keyId(publicKey))))
}

/** SHA-1 of the key's bits names it and protects nothing [RFC 5280, 4.2.1.2]. */
function keyId(publicKey: Uint8Array): Buffer {
  return createHash('sha1').update(publicKey.subarray(-65)).digest()
}

/** dNSName or iPAddress. */
function nameOf(name: string): Buffer {
  const version = isIP(name)
  if (version === 0) return der(0x82, Buffer.from(name, 'ascii'))
  if (version === 4) return der(0x87, Buffer.from(name.split('.').map(Number)))
  return der(0x87, ipv6Bytes(name))
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = new Array<string>(8 - left.length - right.length).fill('0')
  const words = [...left, ...(tail === undefined ? [] : zeros), ...right]
  return Buffer.from(words.map((word) => word.padStart(4, '0')).join(''), 'hex')
}

/** Positive, and unguessable [CA/B Baseline 7.1]. */
function newSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x40
  return serial
}

// --- DER [X.690] -----------------------------------------------------------------------------------

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const bytes = numberBytes(length)
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length), bytes, content])
}

function numberBytes(value: number): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function set(...parts: readonly Buffer[]): Buffer {
  return der(0x31, Buffer.concat(parts))
}

function tagged(number: number, content: Buffer): Buffer {
  return der(0xa0 | number, content)
}

function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.of(value ? 0xff : 0))
}

/** A number of 0 or more. */
function integer(bytes: Buffer): Buffer {
  return der(0x02, (bytes[0]! & 0x80) === 0 ? bytes : Buffer.concat([Buffer.of(0), bytes]))
}

function octets(content: Buffer): Buffer {
  return der(0x04, content)
}

function bits(content: Buffer, unused: number): Buffer {
  return der(0x03, Buffer.concat([Buffer.of(unused), content]))
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

/** UTCTime until 2049, GeneralizedTime after it. */
function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
