/** Made from own-line.wat by `bun scripts/wasm.ts`; do not edit. */
const CODE = [
  'AGFzbQEAAAABCQFgBH9/fn8BfwMCAQAFAwEAIAcQAgZtZW1vcnkCAANydW4AAAq5BQG2BQgBfgF/A34CfwF+AX8Bfgh/QQgp',
  'AwAhBEEQLwEAIQVBFCgCACEVQRgoAgAhFAJ/A38gACABTwRAQQAMAgsgACkDACAEUgRAQQEMAgsgAC8BCCAFRwRAQQEMAgsg',
  'ACkDCiEGIAZC8OHDh4+evPhwg0Kw4MCBg4aMmDCFIAZChoyYsODAgYMGfELw4cOHj568+HCDQrDgwIGDhoyYMIWEQgBSBEBB',
  'AQwCCyAALQASQTBrQQlLBEBBAQwCCyAALQATQSBHBEBBAQwCCyAAQRRqIQogCiEJQgAhCwJAA0AgCSkDACEGIAZCipSo0KDB',
  'goUKhSEHIAdCgYKEiJCgwIABfSAHQn+Fg0KAgYKEiJCgwIB/gyEIIAhCAFINASALIAaFQpX4qfqXt96bnn9+IQsgCUEIaiEJ',
  'IAkgCmtBKEsEQEEBDAQLDAALCyAIekI4gyENIAZCASANhkIBfYMhBiALIAaFQpX4qfqXt96bnn9+IQsgC0IgiKchDCAJIApr',
  'IA1CA4inaiEOIAsgAoinIQ8CQANAQYAIIA9BBnRqIRACQCAQKAIAIAxHDQAgECgCCCAOQQFqRw0AIAohEQJAA0AgESAJRg0B',
  'IBEpAwAgECARIApraikDEFINAiARQQhqIREMAAsLIAYgECAJIApraikDEFENAgsgECgCCEUEQEEcIA82AgBBICAMNgIAQSQg',
  'DjYCAEECDAQLIA9BAWogA3EhDwwACwsgECgCBCESIBJFBEBBKCgCACAPQQR0aiETIBMoAgRBAEoEQCATKAIEQSwoAgAgEygC',
  'DEECdGooAgBHBEBBHCAPNgIAQQMMBAsLQTAoAgAgFUECdGogDzYCACAVQQFqIRULIBAgEkEBajYCBCAAIRQgCiAOakEBaiEA',
  'DAALC0EAIAA2AgBBFCAVNgIAQRggFDYCAAs=',
].join('')

const module = new WebAssembly.Module(Buffer.from(CODE, 'base64'))

export interface OwnLineCore {
  readonly memory: WebAssembly.Memory
  readonly run: (line: number, end: number, shift: bigint, mask: number) => number
}

/** A core of its own memory, of at least so many bytes. */
export function ownLineCore(bytes: number): OwnLineCore {
  const core = new WebAssembly.Instance(module).exports as unknown as OwnLineCore
  const missing = bytes - core.memory.buffer.byteLength
  if (missing > 0) core.memory.grow(Math.ceil(missing / 65_536))
  return core
}
