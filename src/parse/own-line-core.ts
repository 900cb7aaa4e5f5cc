/** Made from own-line.wat by `bun scripts/wasm.ts`; do not edit. */
const CODE = [
  'AGFzbQEAAAABCAFgA39/fwF/AwIBAAUDAQAgBxACBm1lbW9yeQIAA3J1bgAACoMGAYAGCQF+AX8DfgJ/AX4BfwF+CH8BfkE4',
  'KQMAIRVBCCkDACEDQRAvAQAhBEEUKAIAIRRBGCgCACETAn8DfyAAIAFPBEBBAAwCCyAAKQMAIANSBEBBAQwCCyAALwEIIARH',
  'BEBBAQwCCyAAKQMKIQUgBULw4cOHj568+HCDQrDgwIGDhoyYMIUgBUKGjJiw4MCBgwZ8QvDhw4ePnrz4cINCsODAgYOGjJgw',
  'hYRCAFIEQEEBDAILIAAtABJBMGtBCUsEQEEBDAILIAAtABNBIEcEQEEBDAILIABBFGohCSAJIQhCACEKAkADQCAIKQMAIQUg',
  'BUKKlKjQoMGChQqFIQYgBkKBgoSIkKDAgAF9IAZCf4WDQoCBgoSIkKDAgH+DIQcgB0IAUg0BIAogBYVClfip+pe33puef34h',
  'CiAIQQhqIQggCCAJa0EoSwRAQQEMBAsMAAsLIAd6QjiDIQwgBUIBIAyGQgF9gyEFIAogBYVClfip+pe33puef34hCiAKQiCI',
  'pyELIAggCWsgDEIDiKdqIQ0gCiAViKchDgJAA0BBgAggDkEGdGohDwJAIA8oAgAgC0cNACAPKAIIIA1BAWpHDQAgCSEQAkAD',
  'QCAQIAhGDQEgECkDACAPIBAgCWtqKQMQUg0CIBBBCGohEAwACwsgBSAPIAggCWtqKQMQUQ0CCyAPKAIIRQRAQRwgDjYCAEEk',
  'IA02AgAgDyALNgIAIA8gDUEBajYCCCAJIRACQANAIBAgCEYNASAPIBAgCWtqIBApAwA3AxAgEEEIaiEQDAALCyAPIAggCWtq',
  'IAU3AxBBAgwECyAOQQFqIAJxIQ4MAAsLIA8oAgQhESARRQRAQSgoAgAgDkEEdGohEiASKAIEQQBKBEAgEigCBEEsKAIAIBIo',
  'AgxBAnRqKAIARwRAQRwgDjYCAEEDDAQLC0EwKAIAIBRBAnRqIA42AgAgFEEBaiEUCyAPIBFBAWo2AgQgACETIAkgDWpBAWoh',
  'AAwACwtBACAANgIAQRQgFDYCAEEYIBM2AgAL',
].join('')

const module = new WebAssembly.Module(Buffer.from(CODE, 'base64'))

export interface OwnLineCore {
  readonly memory: WebAssembly.Memory
  readonly run: (line: number, end: number, mask: number) => number
}

/** A core of its own memory, of at least so many bytes. */
export function ownLineCore(bytes: number): OwnLineCore {
  const core = new WebAssembly.Instance(module).exports as unknown as OwnLineCore
  const missing = bytes - core.memory.buffer.byteLength
  if (missing > 0) core.memory.grow(Math.ceil(missing / 65_536))
  return core
}
