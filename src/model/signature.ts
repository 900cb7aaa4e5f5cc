/**
 * Ed25519 signature over the bytes of manifest.json. The manifest contains the hash of model.onnx,
 * so one signature covers both; the model card is not covered.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { AgentError } from '../domain/error.ts'

/** @param key private key in PEM @returns base64 */
export function signManifest(manifest: Uint8Array, key: string): string {
  try {
    const privateKey = createPrivateKey(key)
    if (privateKey.asymmetricKeyType !== 'ed25519')
      throw new Error(`it is an ${privateKey.asymmetricKeyType} key`)
    return sign(null, manifest, privateKey).toString('base64')
  } catch (cause) {
    throw new AgentError('ERR_INPUT', `Cannot sign with this key: ${said(cause)}`, {
      hint: 'Make one with "openssl genpkey -algorithm ed25519 -out key.pem"',
      cause,
    })
  }
}

/** @throws AgentError ERR_CONFIG where it is no key that signatures can be checked with */
export function requirePublicKey(key: string, where: string): void {
  let why: string | undefined
  try {
    const { asymmetricKeyType: type } = createPublicKey(key)
    if (type !== 'ed25519') why = `it is an ${type} key`
  } catch (cause) {
    why = said(cause)
  }
  if (why === undefined) return
  throw new AgentError('ERR_CONFIG', `Cannot use the key "${where}": ${why}`, {
    hint: 'Give an Ed25519 public key in PEM: openssl pkey -in key.pem -pubout',
  })
}

/**
 * @throws AgentError ERR_SIGNATURE if the signature does not match. @param key public key in PEM
 */
export function checkSignature(
  manifest: Uint8Array,
  signature: string,
  key: string,
  where: string,
): void {
  let right: boolean
  try {
    right = verify(null, manifest, createPublicKey(key), Buffer.from(signature.trim(), 'base64'))
  } catch (cause) {
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot check the signature of model "${where}": ${said(cause)}`,
      {
        hint: 'The key must be an Ed25519 public key in PEM',
        cause,
      },
    )
  }
  if (!right)
    throw new AgentError(
      'ERR_SIGNATURE',
      `Cannot trust model "${where}": its signature is not that of this key over its manifest`,
      { hint: 'Get the model from a trusted source, or give the key it was signed with' },
    )
}

function said(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
