import { createHmac } from 'node:crypto'
import { type CryptoKey, type JWK, calculateJwkThumbprint, importJWK } from 'jose'

/** One key, for one algorithm. */
export interface Key {
  algorithm: string
  material: CryptoKey | Uint8Array
}

/** The keys that tokens may be signed with, by their ids. */
export type Keys = ReadonlyMap<string, Key>

const ALGORITHMS: Record<string, string> = { 'EC P-256': 'ES256', 'OKP Ed25519': 'EdDSA', 'RSA ': 'RS256' }
const PRIVATE = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth']

/** The one key of a secret that the server shares. */
export function ofSecret(secret: string | Uint8Array): Keys {
  const material = new Uint8Array(Buffer.from(secret as string))
  if (material.length < 32) throw new TypeError('secret: 32 bytes or more, the same as JWT_SECRET of the server')
  const digest = createHmac('sha256', material).update('doorward 1 key id').digest()
  return new Map([[digest.subarray(0, 12).toString('base64url'), { algorithm: 'HS256', material }]])
}

/** Reads a JWK set (RFC 7517). One bad key refuses the whole set. */
export async function ofJwks(set: { keys?: JWK[] }): Promise<Keys> {
  if (!Array.isArray(set?.keys) || set.keys.length > 32) throw new TypeError('jwks: at most 32 keys in "keys"')
  const keys = new Map<string, Key>()
  for (const jwk of set.keys) {
    const algorithm = ALGORITHMS[`${jwk.kty} ${jwk.crv ?? ''}`]
    // Whoever has a symmetric or private key can make tokens: none belongs into a published set.
    if (!algorithm || PRIVATE.some((name) => name in jwk)) throw new TypeError(`jwks: no public key of ours: ${jwk.kty}`)
    const { alg = algorithm, use = 'sig' } = jwk
    if (alg !== algorithm || use !== 'sig') throw new TypeError('jwks: alg or use is wrong')
    const kid = jwk.kid ?? (await calculateJwkThumbprint(jwk))
    if (keys.has(kid)) throw new TypeError(`jwks: two keys have the kid ${kid}`)
    const material = (await importJWK(jwk, algorithm)) as CryptoKey
    const { modulusLength = 2048 } = material.algorithm as { modulusLength?: number }
    if (modulusLength < 2048) throw new TypeError('jwks: an RSA key under 2048 bits')
    keys.set(kid, { algorithm, material })
  }
  return keys
}

/** How long is waited before keys are fetched once more because a token names one that is unknown, in milliseconds. */
const COOL_DOWN = 10_000
const ANSWER = 5_000
const MAX_BYTES = 64 * 1024

/** The keys that a server publishes, fetched again when it says so. */
export class RemoteKeys {
  keys: Keys = new Map()
  #askedAt = -Infinity
  #freshUntil = 0
  #asking?: Promise<void>

  constructor(private readonly url: URL) {}

  /** Fetches them, for the first time: this one says why it could not. */
  start(): Promise<void> {
    return this.#fetch()
  }

  /** Fetches them where they are too old; the old ones stay until the new ones are there. */
  look(): void {
    if (Date.now() >= this.#freshUntil) void this.again()
  }

  /** Fetches them once for all who ask, and not again for a while; says whether they have just come. */
  async again(): Promise<boolean> {
    if (!this.#asking && performance.now() - this.#askedAt < COOL_DOWN) return false
    this.#asking ??= this.#fetch().finally(() => (this.#asking = undefined))
    return this.#asking.then(
      () => true,
      () => false,
    )
  }

  async #fetch() {
    this.#askedAt = performance.now()
    const response = await fetch(this.url, { redirect: 'error', signal: AbortSignal.timeout(ANSWER) })
    const text = await response.text()
    if (!response.ok || text.length > MAX_BYTES) throw new TypeError(`${this.url} answered ${response.status}`)
    this.keys = await ofJwks(JSON.parse(text))
    const age = Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1] ?? 60)
    this.#freshUntil = Date.now() + age * 1000
  }
}
